"""What each subject adds to each count of a record: every published count is a sum of these over the subjects.

A subject is named by its pseudonym, and its additions are kept packed, because a dataset may have hundreds of
thousands of series. Nothing of this leaves the node.
"""

from __future__ import annotations

import json
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping
from typing import Final

# What a count is of: see `published_counts`. Keys that start with an underscore are for the node's own use.
Key = tuple[str, ...]
# Pairs of numbers, one after the other: number of the key, amount.
_PAIR: Final = "I"
_LEVEL: Final = 6


class Contributions:
    """Which subjects there are, and what each adds to which count."""

    __slots__ = ("_numbers", "_of", "keys")

    def __init__(self, keys: list[Key] | None = None) -> None:
        """Start without subjects; `keys` are numbered like those of other contributions, to compare with them."""
        self.keys: list[Key] = list(keys or ())
        self._numbers: dict[Key, int] = {key: number for number, key in enumerate(self.keys)}
        self._of: dict[str, bytes] = {}

    def number(self, key: Key) -> int:
        """Return the number of a key, a new one if it has none."""
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = len(self.keys)
            self.keys.append(key)
        return found

    def put(self, subject: str, amounts: Mapping[int, int]) -> None:
        """Say what a subject adds, in the place of what was said before.

        Args:
            subject: its pseudonym.
            amounts: what it adds, > 0, by number of the key.
        """
        packed = array(_PAIR)
        for number in sorted(amounts):
            packed.append(number)
            packed.append(amounts[number])
        self._of[subject] = packed.tobytes()

    def subjects(self) -> frozenset[str]:
        """Return all subjects."""
        return frozenset(self._of)

    def of(self, subject: str) -> dict[int, int]:
        """Return what a subject adds, by number of the key; nothing if it is not there."""
        return _unpacked(self._of.get(subject, b""))

    def totals(self) -> dict[Key, int]:
        """Return the sum over all subjects of each count that is not 0."""
        sums = [0] * len(self.keys)
        for packed in self._of.values():
            pairs = iter(array(_PAIR, packed))
            for number in pairs:
                sums[number] += next(pairs)
        return {key: value for key, value in zip(self.keys, sums, strict=True) if value}

    def changes(self, later: Contributions) -> Iterator[tuple[str, dict[int, int]]]:
        """Yield each subject that adds something else in `later`, which numbers its keys alike, and the differences."""
        for subject in sorted(self._of.keys() | later._of.keys()):
            before, after = self._of.get(subject, b""), later._of.get(subject, b"")
            if before == after:
                continue
            moved = _unpacked(after)
            for number, amount in _unpacked(before).items():
                moved[number] = moved.get(number, 0) - amount
            yield subject, {number: amount for number, amount in moved.items() if amount}

    def taken_over(self, later: Contributions, subjects: frozenset[str]) -> Contributions:
        """Return these contributions with those of some subjects as they are in `later`."""
        merged = Contributions(later.keys)
        merged._of = dict(self._of)
        for subject in subjects:
            packed = later._of.get(subject)
            if packed is None:
                merged._of.pop(subject, None)
            else:
                merged._of[subject] = packed
        return merged

    def renamed(self, subject: str, name: str) -> bool:
        """Call a subject by another name, without a change to any count; return False if it is not there."""
        packed = self._of.pop(subject, None)
        if packed is None:
            return False
        self._of[name] = packed
        return True

    def to_bytes(self) -> bytes:
        """Return all of it packed, to be kept at the node."""
        subjects = sorted(self._of)
        head = json.dumps([self.keys, subjects, [len(self._of[subject]) for subject in subjects]]).encode()
        packer = zlib.compressobj(_LEVEL)
        parts = [packer.compress(len(head).to_bytes(8, "big")), packer.compress(head)]
        parts += [packer.compress(_little(self._of[subject])) for subject in subjects]
        return b"".join((*parts, packer.flush()))

    @classmethod
    def from_bytes(cls, kept: bytes) -> Contributions:
        """Return what was packed."""
        raw = memoryview(zlib.decompress(kept))
        end = 8 + int.from_bytes(raw[:8], "big")
        keys, subjects, sizes = json.loads(bytes(raw[8:end]))
        found = cls([tuple(key) for key in keys])
        for subject, size in zip(subjects, sizes, strict=True):
            found._of[subject] = _little(bytes(raw[end : end + size]))
            end += size
        return found


def _unpacked(packed: bytes) -> dict[int, int]:
    pairs = array(_PAIR, packed)
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _little(packed: bytes) -> bytes:
    """Return packed numbers in little-endian order, or back again: what one machine kept another can read."""
    if sys.byteorder == "little":
        return packed
    pairs = array(_PAIR, packed)
    pairs.byteswap()
    return pairs.tobytes()
