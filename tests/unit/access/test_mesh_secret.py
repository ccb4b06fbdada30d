"""The secret of a mesh: one form, and no other."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode

import pytest

from lambdamesh.access.mesh_errors import TrustError
from lambdamesh.access.mesh_secret import mint_secret, parse_secrets

WHERE = "--mesh-secret-file mesh.secret"
SECRET = "lms1_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
RAW = bytes(range(32))
SECOND = "lms1_" + "A" * 43


def test_a_secret_is_32_bytes_in_base64url() -> None:
    minted = mint_secret()
    assert re.fullmatch(r"lms1_[A-Za-z0-9_-]{43}", minted)
    assert parse_secrets(minted, WHERE) == (urlsafe_b64decode(minted[5:] + "="),)


def test_no_two_are_alike() -> None:
    assert len({mint_secret() for _ in range(100)}) == 100


def test_the_bytes_are_those_of_the_text() -> None:
    assert parse_secrets(SECRET + "\n", WHERE) == (RAW,)


@pytest.mark.parametrize(
    "text",
    [
        f"{SECRET}\n{SECOND}\n",
        f"# new\n{SECRET}\n\n# old\n{SECOND}",
        f"\r\n{SECRET}\r\n{SECOND}\r\n",
        f"  {SECRET}\t\n #{SECOND}\n{SECOND} \n",
        f"{SECRET}\n{SECOND}\n{SECRET}\n",
    ],
)
def test_lines_are_read_in_their_order(text: str) -> None:
    assert parse_secrets(text, WHERE) == (RAW, bytes(32))


@pytest.mark.parametrize(
    "line",
    [
        "correct horse battery staple",
        SECRET[5:],
        "LMS1_" + SECRET[5:],
        "lms2_" + SECRET[5:],
        SECRET[:-1],
        SECRET + "A",
        SECRET + "=",
        SECRET[:-1] + "9",
        SECRET.replace("A", "+"),
        SECRET + " # ours",
        SECRET + " " + SECOND,
        SECRET + "\x0c" + SECOND,
        SECRET + "\u2028",
        "\ufeff" + SECRET,
        "\ufffd" * 20,
        '"' + SECRET + '"',
    ],
)
def test_anything_else_is_refused_with_file_line_and_remedy_and_not_shown(line: str) -> None:
    with pytest.raises(TrustError) as raised:
        parse_secrets(f"# one\n{SECOND}\n{line}\n", WHERE)
    text = str(raised.value)
    assert text.startswith(f"{WHERE}, line 3 is no mesh secret")
    assert "lambdamesh secret" in text
    assert line not in text
    assert SECRET[5:40] not in text
    assert raised.value.__cause__ is None and raised.value.__context__ is None


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing yet\n"])
def test_a_file_without_any_is_refused(text: str) -> None:
    with pytest.raises(TrustError, match=r"mesh\.secret holds no mesh secret: make one with `lambdamesh secret`"):
        parse_secrets(text, WHERE)
