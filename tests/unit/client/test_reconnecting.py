"""When to connect again, and when not to."""

from __future__ import annotations

from math import inf

import pytest

from lambdamesh.client.reconnecting import (
    Backoff,
    Step,
    Verdict,
    Vigil,
    close_error,
    verdict_of_close,
    verdict_of_status,
)
from lambdamesh.errors import CLOSE_CODES

FINAL = {1002, 1003, 1007, 1008, 1010, 4400, 4403, 4404, 4409, 4410}


@pytest.mark.parametrize("code", [*CLOSE_CODES, 1005, 1006, 1012, 4501])
def test_closes(code: int) -> None:
    expected = Verdict.NEW_TICKET if code == 4401 else Verdict.FINAL if code in FINAL else Verdict.RETRY
    assert verdict_of_close(code) is expected


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (400, Verdict.FINAL),
        (401, Verdict.NEW_TICKET),
        (403, Verdict.FINAL),
        (404, Verdict.FINAL),
        (410, Verdict.FINAL),
        (426, Verdict.FINAL),
        (429, Verdict.RETRY),
        (500, Verdict.RETRY),
        (502, Verdict.RETRY),
        (503, Verdict.RETRY),
    ],
)
def test_statuses(status: int, verdict: Verdict) -> None:
    assert verdict_of_status(status) is verdict


def test_a_final_close_says_why() -> None:
    error = close_error(4403, "")
    assert (error.code, error.delivered) == ("forbidden", "no")
    assert "4403: forbidden" in error.message
    assert "who knows" in close_error(4444, "who knows").message


@pytest.mark.parametrize(
    ("code", "word"),
    [(4409, "lambda_gone"), (1008, "forbidden"), (1002, "bad_request"), (4400, "bad_request"), (4444, "bad_request")],
)
def test_a_final_close_is_nothing_to_try_again(code: int, word: str) -> None:
    error = close_error(code, "")
    assert (error.code, error.retryable) == (word, False)


def test_a_close_that_passes_may_be_tried_again() -> None:
    assert close_error(1006, "").retryable


def test_pauses_double_and_have_a_bound() -> None:
    backoff = Backoff()
    assert [round(backoff.pause_s(1.0), 1) for _ in range(10)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30, 30]
    assert backoff.pause_s(0.0) == 0.0
    assert backoff.pause_s(0.5) == 15.0


def test_a_connection_that_lasted_makes_the_next_pause_short() -> None:
    backoff = Backoff()
    for _ in range(6):
        backoff.pause_s(1.0)
    backoff.lasted(0.5)
    backoff.lasted(-inf)
    assert backoff.pause_s(1.0) > 5.0
    backoff.lasted(1.0)
    assert backoff.pause_s(1.0) == 0.2


def test_a_link_that_flaps_is_made_again_within_the_grace() -> None:
    backoff = Backoff()
    for _ in range(8):
        assert backoff.pause_s(1.0, 15.0) <= 0.2
        backoff.lasted(9.0)


def test_who_is_waited_for_does_not_wait_longer_than_half_of_that() -> None:
    backoff = Backoff()
    pauses = [backoff.pause_s(1.0, 15.0) for _ in range(10)]
    assert max(pauses) == 7.5
    assert backoff.pause_s(1.0, 0.5) == 1.0
    assert backoff.pause_s(1.0) == 30.0


def test_a_silence_is_followed_by_a_ping_and_a_longer_one_by_the_end() -> None:
    vigil = Vigil(15.0, 8.0)
    assert vigil.look(100.0, 100.0) == (Step.WAIT, 15.0)
    assert vigil.look(104.0, 115.0) == (Step.WAIT, 4.0)
    assert vigil.look(104.0, 119.0) == (Step.PING, 8.0)
    assert vigil.look(104.0, 120.0) == (Step.WAIT, 7.0)
    assert vigil.look(104.0, 127.0) == (Step.CUT, 0.0)


def test_any_frame_is_a_sign_of_life() -> None:
    vigil = Vigil(15.0, 8.0)
    assert vigil.look(100.0, 115.0)[0] is Step.PING
    assert vigil.look(115.5, 123.0) == (Step.WAIT, 7.5)
    assert vigil.look(115.5, 130.5)[0] is Step.PING


def test_a_machine_that_slept_asks_first() -> None:
    vigil = Vigil(15.0, 8.0)
    assert vigil.look(100.0, 5000.0) == (Step.PING, 8.0)
