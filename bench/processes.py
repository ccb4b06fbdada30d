"""Processes of the benchmark: started on a chosen core, read from /proc, ended by it."""

import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
PYTHON = sys.executable
POLL_S = 0.02
Core = int | frozenset[int]
"""One core, or several among which the kernel chooses."""


class StartError(Exception):
    """A process ended, or said nothing in time; the text has the end of what it wrote."""


@dataclass(frozen=True)
class Cores:
    """Which core does what; `spare`, where the bench itself waits, is the load's where there are only two.

    `further` are those that are neither the node's nor the load's, nor threads of the same cores.
    """

    node: int
    load: int
    spare: int
    further: frozenset[int] = frozenset()

    @property
    def shared(self) -> bool:
        """Whether there is one core only."""
        return self.node == self.load

    @property
    def pair(self) -> frozenset[int]:
        """Two cores for one node."""
        return frozenset((self.node, self.load))

    @property
    def beside_pair(self) -> frozenset[int]:
        """Where the load is when a node has two cores: the others, or the same two where there are no others."""
        return self.further or self.pair

    @classmethod
    def choose(cls) -> "Cores":
        """The first two cores of ours that are not two threads of one core."""
        ours = sorted(os.sched_getaffinity(0))
        twins = _siblings(ours[0])
        others = [core for core in ours if core not in twins] or ours[1:] or ours
        taken = twins | _siblings(others[0])
        further = [core for core in ours if core not in taken]
        spare = further[0] if further else others[0]
        return cls(node=ours[0], load=others[0], spare=spare, further=frozenset(further))


def _siblings(core: int) -> set[int]:
    """The hardware threads of the core, itself included."""
    with contextlib.suppress(OSError, ValueError):
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text().strip()
        first, _, last = text.partition("-")
        return set(range(int(first), int(last) + 1)) if last else {int(part) for part in text.split(",")}
    return {core}


@contextlib.contextmanager
def pinned(core: Core) -> Iterator[None]:
    """What is started inside runs on the core, or on these, from its first instruction."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} if isinstance(core, int) else core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def environment() -> Mapping[str, str]:
    """Ours, with the checkout importable and colours off."""
    paths = [str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "NO_COLOR": "1"}


class Child:
    """One long-lived process; what it writes goes to files in `folder`."""

    def __init__(self, name: str, command: list[str], core: Core, folder: Path) -> None:
        self._name = name
        self._log = folder / f"{name}.log"
        with self._log.open("wb") as log, pinned(core):
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment(), stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
            )
        self._read = 0

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def wait_for(self, key: str, timeout_s: float = 20) -> dict[str, object]:
        """The next line of its output that is a JSON object with the key. Raises StartError."""
        give_up_at = time.monotonic() + timeout_s
        while True:
            ended = self._process.poll() is not None
            lines = self._log.read_bytes().split(b"\n")[:-1]
            for number in range(self._read, len(lines)):
                with contextlib.suppress(msgspec.MsgspecError):
                    line = msgspec.json.decode(lines[number])
                    if isinstance(line, dict) and key in line:
                        self._read = number + 1
                        return line
            if ended or time.monotonic() > give_up_at:
                said = b"\n".join(lines[-15:]).decode(errors="replace")
                raise StartError(f"{self._name} {'ended' if ended else f'did not say {key!r} in time'}\n{said}")
            time.sleep(POLL_S)

    def tell(self, line: bytes) -> None:
        """Writes a line to its standard input."""
        assert self._process.stdin
        self._process.stdin.write(line + b"\n")
        self._process.stdin.flush()

    def end_input(self) -> None:
        """Ends its standard input, which a crowd of lambdas takes as the word to leave."""
        if self._process.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()

    def stop(self) -> None:
        """Ends it: politely, then at once, then by force."""
        self.end_input()
        for end, patience_s in ((self._process.terminate, 2), (self._process.terminate, 2), (self._process.kill, 5)):
            if self._process.poll() is None:
                end()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(patience_s)


def run_on(core: Core, command: list[str], first_line: bytes, timeout_s: float) -> bytes:
    """What a short-lived process printed after it was given a line to read. Raises StartError when it failed."""
    with pinned(core):
        done = subprocess.run(
            command, cwd=ROOT, env=environment(), input=first_line + b"\n", capture_output=True, timeout=timeout_s
        )
    if done.returncode:
        raise StartError(f"{' '.join(command[:4])} failed\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout


def allow_open_files(wanted: int) -> int:
    """Raises the limit on open files towards `wanted`; the limit reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
            return wanted
        wanted = hard
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted
