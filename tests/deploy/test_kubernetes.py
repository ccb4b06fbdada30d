"""The Kubernetes manifests: right by the schema of an API server, and what they say of the node holds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from lambdamesh.core.limits import Limits
from lambdamesh.settings import load
from tests.conftest import StartNode
from tests.deploy.conftest import Read
from tests.nodes import ROOT
from tests.wire import RawHttp, request

pytestmark = pytest.mark.timeout(600)

MANIFESTS = ROOT / "deploy/kubernetes"
Document = dict[str, Any]


@pytest.fixture(scope="module")
def documents(read: Read) -> list[Document]:
    """All that the kustomization names."""
    [kustomization] = read("kubernetes", MANIFESTS / "kustomization.yaml")
    return [document for name in kustomization["resources"] for document in read("kubernetes", MANIFESTS / name)]


@pytest.fixture(scope="module")
def named(documents: list[Document]) -> dict[tuple[str, str], Document]:
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


@pytest.fixture(scope="module")
def pod(named: dict[tuple[str, str], Document]) -> Document:
    spec: Document = named["StatefulSet", "lambdamesh"]["spec"]["template"]["spec"]
    return spec


def test_every_file_is_right(read: Read) -> None:
    """Those that are not in the kustomization too."""
    found = {path.name for path in MANIFESTS.glob("*.yaml") if read("kubernetes", path)}
    assert {"statefulset.yaml", "secret.example.yaml"} <= found


@pytest.mark.parametrize(
    ("right", "wrong", "complaint"),
    [
        ("podManagementPolicy:", "podManagmentPolicy:", "podManagmentPolicy"),
        ("replicas: 3", "replicas: three", "replicas"),
        ("containerPort: 7631", "containerPort: 7630", "containerPort"),
        ("kind: StatefulSet", "kind: StatefullSet", "StatefullSet"),
    ],
)
def test_what_is_wrong_is_found(read: Read, tmp_path: Path, right: str, wrong: str, complaint: str) -> None:
    """The judge of the test above is awake."""
    text = (MANIFESTS / "statefulset.yaml").read_text("utf-8")
    assert right in text
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace(right, wrong), "utf-8")
    with pytest.raises(AssertionError, match=complaint):
        read("kubernetes", broken)


def test_kustomize_puts_it_together(read: Read, documents: list[Document], tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        print("kubectl is not installed")
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", str(MANIFESTS)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    whole = tmp_path / "whole.yaml"
    whole.write_text(done.stdout, "utf-8")
    rendered = read("kubernetes", whole)
    assert sorted(document["kind"] for document in rendered) == sorted(document["kind"] for document in documents)
    assert {document["metadata"].get("namespace", "lambdamesh") for document in rendered} == {"lambdamesh"}


def test_every_selector_finds_the_pods(documents: list[Document], named: dict[tuple[str, str], Document]) -> None:
    labels = named["StatefulSet", "lambdamesh"]["spec"]["template"]["metadata"]["labels"]
    for document in documents:
        spec = document.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector")
        if selector is not None:
            assert selector.get("matchLabels", selector).items() <= labels.items(), document["kind"]


def test_every_named_port_is_one_of_the_containers(documents: list[Document], pod: Document) -> None:
    [container] = pod["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"local": 7630, "mesh": 7631}
    services = [document["spec"] for document in documents if document["kind"] == "Service"]
    assert all(ports[port["targetPort"]] == port["port"] for spec in services for port in spec["ports"])
    policies = [document["spec"] for document in documents if document["kind"] == "NetworkPolicy"]
    assert {port["port"] for spec in policies for rule in spec["ingress"] for port in rule["ports"]} == set(ports)


def test_nodes_find_each_other_before_they_are_ready(named: dict[tuple[str, str], Document], pod: Document) -> None:
    stateful = named["StatefulSet", "lambdamesh"]["spec"]
    headless = named["Service", stateful["serviceName"]]["spec"]
    assert headless["clusterIP"] == "None"
    assert headless["publishNotReadyAddresses"] is True
    assert environment_of(pod)["LAMBDAMESH_PEER"] == f"{stateful['serviceName']}:7631"
    assert stateful["replicas"] == 3


def test_the_mesh_door_is_for_nodes_alone(named: dict[tuple[str, str], Document]) -> None:
    policy = named["NetworkPolicy", "lambdamesh"]["spec"]
    mesh, local = policy["ingress"]
    assert mesh["from"] == [{"podSelector": policy["podSelector"]}]
    assert [port["port"] for port in mesh["ports"]] == ["mesh"]
    assert local["from"] == [{"podSelector": {}}]


def environment_of(pod: Document) -> dict[str, str]:
    """The variables of the container as a pod of the namespace ``lambdamesh`` would have them."""
    [container] = pod["containers"]
    fields = {"metadata.namespace": "lambdamesh", "status.podIP": "10.1.2.3"}
    environ: dict[str, str] = {}
    for variable in container["env"]:
        text = variable.get("value") or fields[variable["valueFrom"]["fieldRef"]["fieldPath"]]
        for name, value in environ.items():
            text = text.replace(f"$({name})", value)
        environ[variable["name"]] = text
    return environ


def test_the_node_takes_its_settings(pod: Document) -> None:
    settings = load({}, environment_of(pod)).settings
    assert settings.allow_host[-1] == "lambdamesh.lambdamesh.svc.cluster.local"
    assert settings.advertise == "10.1.2.3:7631"


def test_it_may_do_little(pod: Document) -> None:
    """What the level ``restricted`` wants, and a root that is read-only."""
    [container] = pod["containers"]
    own = container["securityContext"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False


def test_a_drain_is_given_its_time(pod: Document) -> None:
    [container] = pod["containers"]
    limits = Limits()
    drain_s = limits.drain_s + limits.drain_spread_s + limits.close_timeout_s
    assert pod["terminationGracePeriodSeconds"] > drain_s + container["lifecycle"]["preStop"]["sleep"]["seconds"]


def test_the_next_pod_waits_for_the_last_one(named: dict[tuple[str, str], Document]) -> None:
    assert named["StatefulSet", "lambdamesh"]["spec"]["minReadySeconds"] >= Limits().recovering_s
    assert named["PodDisruptionBudget", "lambdamesh"]["spec"]["maxUnavailable"] == 1


def test_a_node_answers_the_probes(pod: Document, start_node: StartNode, tmp_path: Path) -> None:
    """With the token, the hosts and the address of the manifest: a probe shows no token."""
    (tmp_path / "token").write_text("the-token-of-the-door")
    environ = environment_of(pod)
    node = start_node(
        local="0.0.0.0:0", local_token_file=tmp_path / "token", allow_host=environ["LAMBDAMESH_ALLOW_HOST"]
    )
    [container] = pod["containers"]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = container[probe]["httpGet"]
        headers = {field["name"]: field["value"] for field in get["httpHeaders"]}
        with RawHttp(node.address) as http:
            http.send(request("GET", get["path"], host=headers["Host"]))
            assert http.answer().status == 200
    with RawHttp(node.address) as http:
        token = (("Authorization", "Bearer the-token-of-the-door"),)
        http.send(request("GET", "/ping", headers=token, host="lambdamesh:7630"))
        assert http.answer().status == 200


def test_an_example_of_a_secret_opens_nothing(read: Read, start_node: StartNode, tmp_path: Path) -> None:
    [secret] = read("kubernetes", MANIFESTS / "secret.example.yaml")
    names = {"door.token": "local_token_file", "mesh.secret": "mesh_secret_file"}
    assert set(secret["stringData"]) == set(names)
    for name, text in secret["stringData"].items():
        (tmp_path / name).write_text(text)
        node = start_node(ready=False, **{names[name]: tmp_path / name})
        assert node.wait(20) == 78
