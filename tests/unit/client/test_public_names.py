"""What ``import lambdamesh`` gives, and what it costs."""

from __future__ import annotations

import subprocess
import sys

import lambdamesh
from lambdamesh.errors import MeshError

FOREIGN = ("structlog", "uvloop", "httptools", "cyclopts", "rich", "prometheus_client", "pytest", "lambdamesh.node")


def test_only_the_clients_own_dependencies_are_imported() -> None:
    check = f"import sys, lambdamesh, lambdamesh.sync; print([name for name in {FOREIGN!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_what_is_for_tests_does_without_pytest() -> None:
    check = "import sys; sys.modules['pytest'] = None; import lambdamesh.testing"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, check=False).returncode == 0


def test_every_name_is_there() -> None:
    assert sorted(lambdamesh.__all__) == sorted(set(lambdamesh.__all__))
    assert all(hasattr(lambdamesh, name) for name in lambdamesh.__all__)


def test_every_error_of_a_call_is_a_call_error() -> None:
    assert lambdamesh.CallError is MeshError
    errors = [getattr(lambdamesh, name) for name in lambdamesh.__all__]
    kinds = [kind for kind in errors if isinstance(kind, type) and issubclass(kind, MeshError)]
    assert len(kinds) > 20
    for kind in kinds:
        assert kind.code
        assert kind.delivered in ("no", "yes", "unknown")
        assert isinstance(kind.retryable, bool)
