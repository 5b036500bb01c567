"""Proofs over the entries of a log: RFC 6962's own vectors, every size, and nothing that is not so."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank import audit_tree
from fairbank.audit_tree import Tree, extends, includes


def hashes(count: int, *, of: str = "log") -> list[str]:
    return ["sha256:" + hashlib.sha256(f"{of} {number}".encode()).hexdigest() for number in range(count)]


def grown(entries: list[str]) -> Tree:
    tree = Tree()
    tree.append(entries)
    return tree


def plain_root(entries: list[str]) -> bytes:
    """RFC 6962, section 2.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + bytes.fromhex(entries[0][7:])).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + plain_root(entries[:split]) + plain_root(entries[split:])).digest()


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    assert Tree().root().hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@settings(deadline=None)
@given(st.lists(st.integers(0, 40), max_size=6))
def test_a_tree_is_the_same_however_it_grew(pieces: list[int]) -> None:
    entries = hashes(sum(pieces))
    tree, at = Tree(), 0
    for piece in pieces:
        tree.append(entries[at : at + piece])
        at += piece
    assert tree.size == len(entries)
    assert all(tree.root(size) == plain_root(entries[:size]) for size in range(len(entries) + 1))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31, 64, 65])
def test_every_entry_is_shown_to_be_where_it_is_and_nowhere_else(size: int) -> None:
    entries = hashes(size)
    tree = grown(entries)
    for index, entry in enumerate(entries):
        path, root = tree.inclusion(index, size), tree.root()
        assert includes(entry, index=index, size=size, path=path, root=root)
        assert not includes(hashes(1, of="other")[0], index=index, size=size, path=path, root=root)
        assert not includes(entry, index=index + 1, size=size, path=path, root=root)
        assert not includes(entry, index=index, size=size, path=[*path, root], root=root)


@pytest.mark.parametrize("second", [1, 2, 3, 6, 8, 9, 33, 64])
def test_every_longer_log_is_shown_to_extend_every_shorter_one(second: int) -> None:
    tree = grown(hashes(second))
    for first in range(1, second + 1):
        proof = tree.consistency(first, second)
        assert extends(
            first=first, first_root=tree.root(first), second=second, second_root=tree.root(), proof=proof
        )


@settings(deadline=None)
@given(st.integers(2, 60), st.data())
def test_no_proof_shows_that_a_rewritten_log_extends_the_old_one(second: int, draw: st.DataObject) -> None:
    first = draw.draw(st.integers(1, second))
    changed = draw.draw(st.integers(0, first - 1))
    old, entries = hashes(second), hashes(second)
    entries[changed] = hashes(1, of="other")[0]
    true, forged = grown(old), grown(entries)
    for proof in (forged.consistency(first, second), true.consistency(first, second)):
        assert not extends(
            first=first, first_root=true.root(first), second=second, second_root=forged.root(), proof=proof
        )


@settings(deadline=None)
@given(st.integers(2, 60), st.data())
def test_a_proof_with_one_bit_changed_shows_nothing(second: int, draw: st.DataObject) -> None:
    first = draw.draw(st.integers(1, second - 1))
    tree = grown(hashes(second))
    proof = tree.consistency(first, second)
    at, bit = draw.draw(st.integers(0, len(proof) - 1)), draw.draw(st.integers(0, 255))
    proof[at] = (int.from_bytes(proof[at], "big") ^ (1 << bit)).to_bytes(32, "big")
    assert not extends(
        first=first, first_root=tree.root(first), second=second, second_root=tree.root(), proof=proof
    )


def test_a_proof_over_more_than_there_is_is_refused() -> None:
    tree = grown(hashes(3))
    for ask in (lambda: tree.inclusion(3, 3), lambda: tree.inclusion(0, 4), lambda: tree.consistency(0, 3),
                lambda: tree.consistency(2, 4), lambda: tree.root(4)):  # fmt: skip
        with pytest.raises(ValueError, match=r"lea[fv]"):
            ask()


def test_hashes_are_written_and_read_alike() -> None:
    assert audit_tree.read(audit_tree.named(Tree().root())) == Tree().root()
