"""The pool of threads says where it has none."""

from __future__ import annotations

import threading

import pytest

from lambdamesh.client.threads import Threads


def test_work_runs_in_a_thread() -> None:
    threads, ran = Threads(1), threading.Event()
    assert threads.run(ran.set)
    assert ran.wait(5.0)
    threads.close()
    assert not threads.run(ran.set)


def test_a_system_without_threads_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    assert not Threads(1).run(lambda: None)
