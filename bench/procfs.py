"""What the kernel tells of processes and cores: CPU time and memory."""

import contextlib
import os
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU time that the process's threads have used so far; 0 for pid 0 and for a process that has ended."""
    with contextlib.suppress(OSError):
        return sum(_thread_seconds(task) for task in Path(f"/proc/{pid}/task").iterdir()) if pid else 0.0
    return 0.0


def _thread_seconds(task: Path) -> float:
    """From schedstat (nanoseconds), else from stat (clock ticks); 0 for a thread that has just ended."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    with contextlib.suppress(OSError):
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND
    return 0.0


def children_of(pid: int) -> list[int]:
    """The processes that it has started and that are still there, oldest first. Raises OSError."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def cores_of(pid: int) -> frozenset[int]:
    """The cores on which the process may run (pid 0 is this process); none where it has ended."""
    with contextlib.suppress(OSError):
        return frozenset(os.sched_getaffinity(pid))
    return frozenset()


def busy_seconds(*cores: int) -> float:
    """How long the cores have been busy, or taken away by this machine's host, all together."""
    names, busy = {f"cpu{core}" for core in cores}, 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in names:
            user, nice, system, _idle, _iowait, *rest = (int(tick) for tick in ticks[:8])
            busy += user + nice + system + sum(rest)
    return busy / TICKS_A_SECOND


def memory_kib(pid: int) -> float:
    """Proportional set size of the process where the kernel tells, else its resident set. Raises OSError."""
    with contextlib.suppress(OSError):
        return _field(Path(f"/proc/{pid}/smaps_rollup"), "Pss:")
    return _field(Path(f"/proc/{pid}/status"), "VmRSS:")


def anonymous_kib(pid: int) -> float:
    """Memory of the process that it shares with no file. Raises OSError.

    Unlike `memory_kib` it does not shrink when another process maps the same libraries.
    """
    with contextlib.suppress(OSError):
        return _field(Path(f"/proc/{pid}/smaps_rollup"), "Anonymous:")
    return _field(Path(f"/proc/{pid}/status"), "RssAnon:")


def _field(source: Path, name: str) -> float:
    for line in source.read_text().splitlines():
        if line.startswith(name):
            return float(line.split()[1])
    raise OSError(f"{source} has no {name}")
