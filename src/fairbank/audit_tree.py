"""The Merkle tree over the entries of an audit log: short proofs that a longer log begins with a shorter one.

A leaf is the hash of an entry, which already names the one before it. A proof holds hashes only, so whoever asks for
one learns nothing of what the entries say.

Source: RFC 6962, section 2.1 (hashes, audit paths, consistency proofs); the checks are those of RFC 9162, section
2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256(b"").digest()


class Tree:
    """A tree that grows at its end.

    The hashes of all complete subtrees are kept: 64 bytes an entry, and a proof costs log2(n) look-ups.
    """

    def __init__(self) -> None:
        # _levels[k][i]: hash of the leaves from i * 2**k to (i + 1) * 2**k.
        self._levels: list[list[bytes]] = [[]]

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return len(self._levels[0])

    def leaf(self, index: int) -> bytes:
        """Return the hash of a leaf."""
        return self._levels[0][index]

    def append(self, entry_hashes: Sequence[str]) -> None:
        """Add entries by their hashes, `sha256:…`."""
        # The hexadecimal digits of very many are read in one go.
        whole = bytes.fromhex("".join([each[7:] for each in entry_hashes]))
        if len(whole) != 32 * len(entry_hashes):
            raise ValueError("a hash is not of 64 hexadecimal digits")
        self.append_digests([whole[at : at + 32] for at in range(0, len(whole), 32)])

    def append_digests(self, digests: Iterable[bytes]) -> None:
        """Add entries by their hashes, 32 bytes each; a thousand at a time cost a third less than one by one."""
        # As `leaf_hash` and `_node`, without a call for each of very many.
        sha256, levels = hashlib.sha256, self._levels
        fresh = [sha256(b"\x00" + digest).digest() for digest in digests]
        level = 0
        while fresh:
            if level == len(levels):
                levels.append([])
            known = levels[level]
            known.extend(fresh)
            done = len(levels[level + 1]) if level + 1 < len(levels) else 0
            # Two by two; the one that is left over waits for its neighbour.
            unpaired = iter(known[2 * done :])
            fresh = [
                sha256(b"\x01" + left + right).digest()
                for left, right in zip(unpaired, unpaired, strict=False)
            ]
            level += 1

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves, all by default (MTH of RFC 6962)."""
        size = self.size if size is None else self._checked(size)
        return self._hash(0, size) if size else EMPTY

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Return the audit path of a leaf in the tree of the first `size` leaves (PATH of RFC 6962)."""
        self._checked(size)
        if not 0 <= index < size:
            raise ValueError(f"there is no leaf {index} among {size}")
        return self._path(index, 0, size)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Return the proof that the tree of `second` leaves begins with that of `first` (PROOF of RFC 6962)."""
        self._checked(second)
        if not 0 < first <= second:
            raise ValueError(f"no tree of {second} leaves can be shown to extend one of {first}")
        return [] if first == second else self._subproof(first, 0, second, whole=True)

    def _checked(self, size: int) -> int:
        if not 0 <= size <= self.size:
            raise ValueError(f"there are {self.size} leaves, not {size}")
        return size

    def _hash(self, start: int, end: int) -> bytes:
        width = end - start
        level = width.bit_length() - 1
        if width == 1 << level and start % width == 0:
            return self._levels[level][start >> level]
        split = start + _half(width)
        return _node(self._hash(start, split), self._hash(split, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        split = start + _half(end - start)
        if index < split:
            return [*self._path(index, start, split), self._hash(split, end)]
        return [*self._path(index, split, end), self._hash(start, split)]

    def _subproof(self, first: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if first == end - start:
            return [] if whole else [self._hash(start, end)]
        half = _half(end - start)
        if first <= half:
            return [*self._subproof(first, start, start + half, whole=whole), self._hash(start + half, end)]
        rest = self._subproof(first - half, start + half, end, whole=False)
        return [*rest, self._hash(start, start + half)]


def leaf_hash(entry_hash: str) -> bytes:
    """Return the hash of a leaf: of the 32 bytes that an entry's `sha256:…` names."""
    return hashlib.sha256(b"\x00" + bytes.fromhex(entry_hash[7:])).digest()


def includes(entry_hash: str, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Tell whether a path shows that an entry is the leaf `index` of the tree of `size` leaves with this root."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf_hash(entry_hash)
    for beside in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = _node(beside, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = _node(found, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def extends(
    *, first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Tell whether a proof shows that the tree of `second` leaves begins with that of `first` leaves."""
    if first == second:
        return first_root == second_root and not proof
    if not 0 < first < second or not proof:
        return False
    path = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    shorter = longer = path[0]
    for beside in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            shorter, longer = _node(beside, shorter), _node(beside, longer)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            longer = _node(longer, beside)
        at, last = at >> 1, last >> 1
    return last == 0 and shorter == first_root and longer == second_root


def named(digest: bytes) -> str:
    """Return a hash as it is written: `sha256:` and hexadecimal digits."""
    return "sha256:" + digest.hex()


def read(digest: str) -> bytes:
    """Return the bytes of a hash that is written `sha256:…`."""
    return bytes.fromhex(digest.removeprefix("sha256:"))


def _half(width: int) -> int:
    """Return the largest power of two below a width of at least 2."""
    return 1 << ((width - 1).bit_length() - 1)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
