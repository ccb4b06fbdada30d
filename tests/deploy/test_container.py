"""The Containerfile and the Compose file: read by their own readers; the steps of the first done by hand.

No image is built and no container is run here: what the base image holds, layers and volumes are not tested.
"""

from __future__ import annotations

import contextlib
import fnmatch
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.settings import load
from tests.conftest import StartNode
from tests.deploy import confined
from tests.deploy.conftest import Read
from tests.meshes import secret_file
from tests.nats_servers import SERVER, NatsProcess
from tests.nodes import ROOT, START_S, Log, Node, until
from tests.wire import Headers, RawHttp, request

pytestmark = pytest.mark.timeout(600)

FOLDER = ROOT / "deploy/container"
CONTAINERFILE = FOLDER / "Containerfile"
STEP_S = 300.0

Stage = dict[str, Any]


@pytest.fixture(scope="module")
def stages(read: Read) -> list[Stage]:
    found: list[Stage] = read("containerfile", CONTAINERFILE)
    return found


def words(stage: Stage, word: str) -> list[dict[str, Any]]:
    return [instruction for instruction in stage["Instructions"] if instruction["Word"].upper() == word]


# -- what the files say -----------------------------------------------------------------------------------------


def test_it_is_built_in_two_stages_of_one_pinned_base(stages: list[Stage]) -> None:
    build, image = stages
    assert build["Name"] == "build"
    assert {stage["Base"] for stage in stages} == {"python:${PYTHON}"}
    tag = re.search(r"^ARG PYTHON=(\S+)$", CONTAINERFILE.read_text("utf-8"), re.MULTILINE)
    assert tag is not None
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["requires-python"]
    assert tag[1].startswith(wanted.removeprefix(">=") + "-")
    assert not [run for run in words(image, "RUN") if "pip" in run["Values"][0]]


def test_nothing_is_installed_but_what_is_locked(stages: list[Stage]) -> None:
    installs = [run["Values"][0] for run in words(stages[0], "RUN") if " install " in run["Values"][0]]
    assert len(installs) == 3
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)


def test_the_image_runs_as_nobody_in_particular(stages: list[Stage]) -> None:
    [user] = words(stages[1], "USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user["Values"][0])
    [stop] = words(stages[1], "STOPSIGNAL")
    assert stop["Values"] == ["SIGTERM"]
    for word in ("ENTRYPOINT", "CMD"):
        assert [found["IsExec"] for found in words(stages[1], word)] == [True]
    [health] = words(stages[1], "HEALTHCHECK")
    assert health["Values"][0] == "CMD"


def test_what_is_copied_gets_past_the_ignore_file(stages: list[Stage]) -> None:
    copied = [name for copy in words(stages[0], "COPY") for name in copy["Values"][:-1]]
    assert set(copied) == set(_let_through())
    assert all((ROOT / name).exists() for name in copied)


def _let_through() -> list[str]:
    lines = (FOLDER / "Containerfile.dockerignore").read_text("utf-8").splitlines()
    assert lines[0] == "*"
    return [line[1:] for line in lines if line.startswith("!")]


@pytest.fixture(scope="module")
def services(read: Read) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read("compose", FOLDER / "compose.yaml")["services"]
    return found


def test_three_nodes_and_a_directory(services: dict[str, dict[str, Any]]) -> None:
    assert set(services) == {"node-1", "node-2", "node-3", "nats"}
    nodes = [services[f"node-{number}"] for number in (1, 2, 3)]
    for node in nodes:
        assert node["depends_on"]["nats"]["condition"] == "service_healthy"
        assert [port["host_ip"] for port in node["ports"]] == ["127.0.0.1"]
        assert {secret["target"] for secret in node["secrets"]} == {
            "/run/secrets/door.token",
            "/run/secrets/mesh.secret",
        }
        settings = load({}, node["environment"]).settings
        assert {settings.local_token_file, settings.mesh_secret_file} == {
            secret["target"] for secret in node["secrets"]
        }
        assert node["hostname"] in settings.allow_host
    assert len({node["volumes"][0]["source"] for node in nodes}) == 3
    assert {node["volumes"][0]["target"] for node in nodes} == {"/var/lib/lambdamesh"}


def test_each_service_may_do_little(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


def test_a_drain_is_given_its_time(services: dict[str, dict[str, Any]]) -> None:
    limits = Limits()
    drain_s = limits.drain_s + limits.drain_spread_s + limits.close_timeout_s
    assert float(services["node-1"]["stop_grace_period"].removesuffix("s")) > drain_s


def test_the_directory_is_the_one_that_is_tested(services: dict[str, dict[str, Any]]) -> None:
    version = subprocess.run([str(SERVER), "--version"], capture_output=True, text=True, timeout=20, check=True)
    assert services["nats"]["image"] == f"nats:{version.stdout.split('v')[-1].strip()}-alpine"


def test_the_nodes_of_the_file_form_a_mesh(
    services: dict[str, dict[str, Any]], start_node: StartNode, tmp_path: Path
) -> None:
    """Its settings in processes of this machine: ports, the place of NATS and that of the secrets are other ones."""
    (tmp_path / "door.token").write_text("the-token-of-the-door")
    secret_file(tmp_path)
    nats = NatsProcess(tmp_path / "nats").start()
    try:
        nodes = [_outside(services[f"node-{number}"], nats, tmp_path, start_node) for number in (1, 2, 3)]
        token = (("Authorization", "Bearer the-token-of-the-door"),)
        for node in nodes:
            assert node.fetch("GET", "/ping").status == 401
            until(partial(_knows_all, node, token), "all are known", 30)
        with RawHttp(nodes[0].address) as http:
            http.send(request("GET", "/ping", headers=token, host="node-1:7630"))
            assert http.answer().json() == "node-1"
    finally:
        nats.stop()


def _knows_all(node: Node, token: Headers) -> bool:
    return len(node.fetch("GET", "/peers/alive", headers=token).json()) == 3


def _outside(service: dict[str, Any], nats: NatsProcess, folder: Path, start_node: StartNode) -> Node:
    there = {"0.0.0.0:7630": "0.0.0.0:0", "nats://nats:4222": nats.url}
    environ = {
        name.removeprefix("LAMBDAMESH_").lower(): there.get(text, text.replace("/run/secrets", str(folder)))
        for name, text in service["environment"].items()
    }
    assert there["0.0.0.0:7630"] in environ.values() and nats.url in environ.values()
    return start_node(**environ, mesh="127.0.0.1:0", host_name=service["hostname"])


# -- the steps by hand ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def image(stages: list[Stage], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build stage leaves, below a folder that stands for ``/``: its lines as they are, but for that folder."""
    root = tmp_path_factory.mktemp("image")
    root.chmod(0o755)
    (root / "src").mkdir()
    (root / "opt").mkdir()
    programs = root / "programs"
    programs.mkdir()
    (programs / "python").symlink_to(Path(sys.executable).resolve())
    environ = {
        name: text for name, text in os.environ.items() if not name.startswith(("LAMBDAMESH_", "PYTHON", "VIRTUAL_ENV"))
    }
    environ["PATH"] = f"{programs}:{environ['PATH']}"
    for instruction in stages[0]["Instructions"]:
        if instruction["Word"].upper() == "COPY":
            _copy(instruction["Values"], root / "src")
        elif instruction["Word"].upper() == "RUN":
            line = instruction["Values"][0].replace("/opt/", f"{root}/opt/")
            done = subprocess.run(
                ["sh", "-ec", line],
                cwd=root / "src",
                env=environ,
                capture_output=True,
                text=True,
                timeout=STEP_S,
                check=False,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return root


def _copy(values: list[str], into: Path) -> None:
    *sources, target = values
    for name in sources:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, into / target, ignore=lambda _, found: fnmatch.filter(found, "__pycache__"))
        else:
            shutil.copy2(ROOT / name, into / target)


def test_the_image_has_no_pip_and_no_sources(image: Path) -> None:
    programs = {path.name for path in (image / "opt/lambdamesh/bin").iterdir()}
    assert "lambdamesh" in programs
    assert not [name for name in programs if name.startswith("pip")]
    done = subprocess.run(
        [image / "opt/lambdamesh/bin/python", "-c", "import lambdamesh; print(lambdamesh.__file__)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=image,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.stdout.startswith(f"{image}/opt/lambdamesh/lib/")
    assert list((image / "opt/lambdamesh/lib").rglob("lambdamesh/cli/lambdamesh.service")), (
        "setup's unit is not shipped"
    )


@pytest.fixture
def contained(image: Path, stages: list[Stage]) -> Iterator[tuple[subprocess.Popen[str], Log]]:
    """The entry command as nobody, where all is read-only but the volume, behind the walls of the systemd unit."""
    why = confined.why_not()
    if why is not None:
        print(why)
        pytest.skip(why)
    [entry], [arguments] = words(stages[1], "ENTRYPOINT"), words(stages[1], "CMD")
    line = [word.replace("/opt/", f"{image}/opt/") for word in (*entry["Values"], *arguments["Values"])]
    settings = dict(zip(*[iter(_environment(stages[1]))] * 2, strict=True))
    assert settings["LAMBDAMESH_STATE"].startswith(f"{confined.STATE}/")
    settings["PATH"] = os.environ["PATH"]
    unit = ROOT / "deploy/systemd/lambdamesh.service"
    with subprocess.Popen(
        confined.command(unit, [*line, "--log-format", "json"], [image]),
        env=settings,
        stderr=subprocess.PIPE,
        text=True,
    ) as node:
        try:
            log = Log(node.stderr)
            log.wait("listening", within_s=START_S)
            yield node, log
        finally:
            node.kill()


def _environment(stage: Stage) -> list[str]:
    values = [value for found in words(stage, "ENV") for value in found["Values"]]
    return [value for number, value in enumerate(values) if number % 3 != 2]


def test_the_entry_command_serves_and_is_healthy(
    contained: tuple[subprocess.Popen[str], Log], stages: list[Stage], image: Path
) -> None:
    node, log = contained
    [health] = words(stages[1], "HEALTHCHECK")
    line = shlex.join([word.replace("/opt/", f"{image}/opt/") for word in health["Values"][1:]])
    inside = ["nsenter", f"--net=/proc/{node.pid}/ns/net", "sh", "-c", line]

    def is_healthy() -> bool:
        return subprocess.run(inside, capture_output=True, timeout=30, check=False).returncode == 0

    until(is_healthy, "the health check goes well", 20)
    kept = Path(f"/proc/{node.pid}/root{confined.STATE}/state")
    assert "node-key" in {path.name for path in kept.iterdir()}
    holder = subprocess.Popen(["nsenter", f"--net=/proc/{node.pid}/ns/net", "sleep", "60"])
    try:
        node.send_signal(signal.SIGTERM)
        assert node.wait(30) == 0, log.tail()
        inside[1] = f"--net=/proc/{holder.pid}/ns/net"
        assert not is_healthy()
    finally:
        with contextlib.suppress(ProcessLookupError):
            holder.kill()
        holder.wait()
