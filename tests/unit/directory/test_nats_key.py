"""NATS's keys: the same text as its own tools write, and nothing else taken for one."""

from __future__ import annotations

from base64 import b64decode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from lambdamesh.directory.nats_key import NatsKey
from tests.nats_servers import ACCOUNT, OPERATOR, USER, seed_of

WRITTEN = [
    (
        "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y",
        "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK",
    ),
    (
        "SAAGKSKMPDWNJ2ON5LKL7H2RUZENHFJQ5DRDMR2X3EOJKSB5KKZ4Q2ECTM",
        "ADOITF4RS7EMSRV63EUT22BD6ZVMJUD3F6GT6PBIN6JYTJFS67Q3CKEW",
    ),
    (
        "SOABX5JHVM626EHIWE4UFASFB6EJ4FPJVDRDKUC6YVCDJZ6KTJRJOHTYEY",
        "OC72TB7ZOA5TR6BAJ76TFGSNU7EFYQTEVAFEOC2K4LZOWBYIIQFD4BUB",
    ),
]
"""Seeds and public keys as NATS's own library writes them: of a user, an account, an operator."""


@pytest.mark.parametrize(("seed", "public"), WRITTEN)
def test_the_public_key_is_as_nats_writes_it(seed: str, public: str) -> None:
    assert NatsKey(seed).public == public


@pytest.mark.parametrize(("kind", "letter"), [(USER, "U"), (ACCOUNT, "A"), (OPERATOR, "O")])
def test_a_seed_says_whose_it_is(kind: int, letter: str) -> None:
    seed = seed_of(kind, bytes(range(32)))
    assert seed.startswith("S" + letter)
    assert NatsKey(seed).kind == kind
    assert NatsKey(seed).public.startswith(letter)


def test_an_answer_proves_the_key() -> None:
    key = NatsKey(seed_of(USER, bytes(range(32))))
    verifier = Ed25519PublicKey.from_public_bytes(key._key.public_key().public_bytes_raw())
    verifier.verify(b64decode(key.answer("nonce")), b"nonce")


@pytest.mark.parametrize("spoiled", ["", "SU", WRITTEN[0][0][:-1], WRITTEN[0][0][:-2] + "AA", WRITTEN[0][1], "s" * 58])
def test_nothing_else_is_a_seed(spoiled: str) -> None:
    with pytest.raises(ValueError, match="seed") as raised:
        NatsKey(spoiled)
    assert not spoiled or spoiled not in str(raised.value)
