"""Proofs of holding: each for one lambda, one machine, one epoch and one home."""

from __future__ import annotations

import pytest

from lambdamesh.access.holding_proofs import HoldingProofs

KEY = bytes(range(32))
TEXT = b"rhowRuuCUoE5vlcA"


def test_a_proof_is_known_again_after_a_restart() -> None:
    proof = HoldingProofs(KEY).mint(TEXT, 7, 1_700_000_000_000)
    assert HoldingProofs(KEY).is_right(proof, TEXT, 7, 1_700_000_000_000)
    assert len(proof) == 22


@pytest.mark.parametrize(
    ("text", "machine", "epoch", "key"),
    [
        (b"rhowRuuCUoE5vlcB", 7, 5, KEY),
        (TEXT, 8, 5, KEY),
        (TEXT, 7, 6, KEY),
        (TEXT, 7, 5, bytes(32)),
    ],
)
def test_it_is_for_nothing_else(text: bytes, machine: int, epoch: int, key: bytes) -> None:
    proof = HoldingProofs(KEY).mint(TEXT, 7, 5)
    assert not HoldingProofs(key).is_right(proof, text, machine, epoch)


@pytest.mark.parametrize("proof", ["", "A" * 22, "\u00e4", "x" * 1000])
def test_what_is_no_proof_is_wrong(proof: str) -> None:
    assert not HoldingProofs(KEY).is_right(proof, TEXT, 7, 5)
