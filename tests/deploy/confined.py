"""Runs a command as the systemd unit would have it run, without systemd: ``python confined.py UNIT COMMAND...`` (root).

What is in force is read from the unit: ``ProtectSystem=strict`` with a state and a runtime directory of its own, the
capabilities, no new privileges, the system calls by name, the address families, ``MemoryDenyWriteExecute``, the umask,
the limit of open files. The user is nobody, the network is a loopback of its own. All of it ends with the command.
"""

from __future__ import annotations

import configparser
import ctypes
import os
import platform
import resource
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

NOBODY = 65534
STATE = Path("/var/lib/lambdamesh")
RUNTIME = Path("/run/lambdamesh")

ROOT = Path(__file__).resolve().parents[2]

_ALLOW, _DENY = 0x7FFF0000, 0x00050000 | 1  # EPERM
_EQUAL, _MASKED_EQUAL = 4, 7
_WRITE_EXEC, _EXEC, _SHM_EXEC = 0b110, 0b100, 0o100000
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
_MOUNT_SETATTR, _HERE, _RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1


class Rules(configparser.RawConfigParser):
    """A unit file whose names keep their capitals; a name that is there twice has its last value."""

    def __init__(self, unit: Path) -> None:
        super().__init__(strict=False, delimiters=("=",), comment_prefixes=("#",), interpolation=None)
        self.read(unit, "utf-8")

    def optionxform(self, optionstr: str) -> str:
        return optionstr

    def service(self, name: str) -> str:
        """What the service's section says of ``name``."""
        return self["Service"].get(name, "")


class Compared(ctypes.Structure):
    """``struct scmp_arg_cmp`` of libseccomp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


def why_not() -> str | None:
    """Why this machine cannot do it; ``None`` where it can."""
    if os.geteuid():
        return "only root can confine a service"
    if platform.machine() != "x86_64" or sys.platform != "linux":
        return "the number of mount_setattr is known for Linux on x86-64 only"
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        return "libseccomp is not installed"
    missing = [name for name in ("unshare", "setpriv", "ip", "systemd-analyze") if _which(name) is None]
    if missing:
        return f"{missing[0]} is not installed"
    probe = ["unshare", "--mount", "--net", "ip", "link", "set", "lo", "up"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return done.stderr.strip() or "no namespaces here" if done.returncode else None


def _which(name: str) -> str | None:
    return next((f"{folder}/{name}" for folder in os.get_exec_path() if os.access(f"{folder}/{name}", os.X_OK)), None)


def command(unit: Path, words: list[str], needs: Iterable[Path] = ()) -> list[str]:
    """What runs ``words`` as ``unit`` says; ``needs`` are folders that it must be able to enter."""
    folders = ":".join(str(folder) for folder in needs)
    return [
        "env",
        f"CONFINED_NEEDS={folders}",
        "unshare",
        "--mount",
        "--net",
        sys.executable,
        str(Path(__file__)),
        "enter",
        str(unit),
        *words,
    ]


# -- as root ------------------------------------------------------------------------------------------------------


def enter(unit: Path, words: list[str]) -> None:
    rules = Rules(unit)
    assert rules.service("ProtectSystem") == "strict"
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for folder in (STATE, RUNTIME):
        # Empty, and as private as the namespace; what is not the service's own becomes read-only below.
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder.parent)], check=True)
        folder.mkdir(0o700)
        os.chown(folder, NOBODY, NOBODY)
        subprocess.run(["mount", "--bind", str(folder), str(folder)], check=True)
    _open_ways()
    _make_read_only(Path("/"), is_read_only=True)
    for folder in (STATE, RUNTIME, Path("/dev"), Path("/proc")):
        _make_read_only(folder, is_read_only=False)
    files = min(int(rules.service("LimitNOFILE")), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    os.umask(int(rules.service("UMask"), 8))
    assert rules.service("AmbientCapabilities") == rules.service("CapabilityBoundingSet")
    capabilities = [word.lower().removeprefix("cap_") for word in rules.service("AmbientCapabilities").split()]
    capability_set = ",".join(["-all", *(f"+{name}" for name in capabilities)])
    sets = [f"--{which}={capability_set}" for which in ("bounding-set", "inh-caps", "ambient-caps")]
    who = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    privileges = ["--no-new-privs"] if rules.service("NoNewPrivileges") == "yes" else []
    calls = " ".join(_calls(rules.service("SystemCallFilter").split()))
    environ = os.environ | {"CONFINED_CALLS": calls, "STATE_DIRECTORY": str(STATE)}
    inner = [sys.executable, __file__, "filter", str(unit), *words]
    os.execvpe("setpriv", ["setpriv", *who, *sets, *privileges, "--", *inner], environ)


def _open_ways() -> None:
    """Put what nobody must read where nobody may go: a home that only its owner enters may hold Python itself."""
    wanted: tuple[str | Path, ...] = (
        sys.base_prefix,
        sys.prefix,
        ROOT,
        *os.environ.get("CONFINED_NEEDS", "").split(":"),
    )
    needed = {Path(path).resolve() for path in wanted if path}
    while closed := next((part for path in needed for part in reversed(path.parents) if _is_closed(part)), None):
        inside = [path for path in needed if path.is_relative_to(closed)]
        stages = [RUNTIME.parent / f"stage{number}" for number, _ in enumerate(inside)]
        for path, stage in zip(inside, stages, strict=True):
            stage.mkdir(exist_ok=True)
            subprocess.run(["mount", "--bind", str(path), str(stage)], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(closed)], check=True)
        for path, stage in zip(inside, stages, strict=True):
            path.mkdir(0o755, parents=True, exist_ok=True)
            subprocess.run(["mount", "--move", str(stage), str(path)], check=True)


def _is_closed(folder: Path) -> bool:
    return not folder.stat().st_mode & stat.S_IXOTH


def _make_read_only(folder: Path, *, is_read_only: bool) -> None:
    attributes = (ctypes.c_uint64 * 4)(_READ_ONLY, 0) if is_read_only else (ctypes.c_uint64 * 4)(0, _READ_ONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(_MOUNT_SETATTR, _HERE, str(folder).encode(), _RECURSIVE, attributes, ctypes.sizeof(attributes)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(folder))


def _calls(names: list[str]) -> Iterator[str]:
    """System calls by name, sets of systemd's taken apart."""
    for name in names:
        if name.startswith("@"):
            done = subprocess.run(
                ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
            )
            members = [line.strip() for line in done.stdout.splitlines() if line.startswith(" ")]
            yield from _calls([member for member in members if not member.startswith("#")])
        else:
            yield name


# -- as nobody ----------------------------------------------------------------------------------------------------


def load_filter(unit: Path, words: list[str]) -> None:
    rules = Rules(unit)
    calls = set(os.environ.pop("CONFINED_CALLS").split())
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    seccomp.seccomp_init.argtypes = [ctypes.c_uint32]
    context = ctypes.c_void_p(seccomp.seccomp_init(_DENY))

    def allow(name: str, *compared: Compared) -> None:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            array = (Compared * len(compared))(*compared)
            failure = seccomp.seccomp_rule_add_array(
                context, ctypes.c_uint32(_ALLOW), ctypes.c_int(number), ctypes.c_uint(len(compared)), array
            )
            assert failure == 0, (name, failure)

    judged = {
        "socket": [Compared(0, _EQUAL, _FAMILIES[name]) for name in rules.service("RestrictAddressFamilies").split()]
    }
    if rules.service("MemoryDenyWriteExecute") == "yes":
        judged["mmap"] = [Compared(2, _MASKED_EQUAL, _WRITE_EXEC, part) for part in (0, 0b010, 0b100)]
        judged["mprotect"] = judged["pkey_mprotect"] = [Compared(2, _MASKED_EQUAL, _EXEC, 0)]
        judged["shmat"] = [Compared(2, _MASKED_EQUAL, _SHM_EXEC, 0)]
    for name in calls:
        for compared in judged.get(name, []):
            allow(name, compared)
        if name not in judged:
            allow(name)
    assert seccomp.seccomp_load(context) == 0
    os.execvp(words[0], words)


if __name__ == "__main__":
    {"enter": enter, "filter": load_filter}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
