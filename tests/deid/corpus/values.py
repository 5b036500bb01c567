"""Values to plant: each unique, shaped like what really stands in such an element, drawn from a public seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

_HEADS = tuple("bru kel vor tam zil hau nir gos wex jup dra fli mok rys quo sha tev lun pyr obe".split())  # noqa: SIM905
_MIDDLES = tuple("nal der mit wol rak set gun pel zor din bach mar tus vel kon".split())  # noqa: SIM905
_TAILS = tuple("vik sen mann ova ski dal berg idis ulf ette gard owitz quist ario eda".split())  # noqa: SIM905
_TEXT_VRS = frozenset({"LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE", "CS", "UR"})
_LONGEST = {"SH": 16, "CS": 16, "AE": 16, "LO": 64, "PN": 64}
_INTEGERS = {
    "US": (2, False),
    "SS": (2, True),
    "UL": (4, False),
    "SL": (4, True),
    "UV": (8, False),
    "SV": (8, True),
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value for an element, its text, and the bytes that betray it; none where chance would find them too."""

    content: object
    text: str
    encoded: tuple[bytes, ...]


@dataclass
class Values:
    """Draws values; two drawers of the same seed and name draw the same.

    Args:
        seed: of the corpus.
        name: what the values are for.
    """

    seed: int | str
    name: str
    dates: int = 0
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed}/{self.name}")

    def surname(self) -> str:
        """Return a name that nobody has and no clinical word is."""
        parts = (
            self.rng.choice(_HEADS),
            self.rng.choice(_MIDDLES),
            self.rng.choice(_MIDDLES),
            self.rng.choice(_TAILS),
        )
        return "".join(parts).capitalize()

    def digits(self, count: int) -> str:
        """Return a number that does not begin with 0."""
        return str(self.rng.randrange(10 ** (count - 1), 10**count))

    def uid(self) -> str:
        """Return a UID under some vendor's root."""
        root = self.rng.choice(
            (
                "1.2.840.113619.2",
                "1.3.12.2.1107.5",
                "1.2.392.200036.9116",
                "1.3.46.670589",
                "1.2.276.0.7230010.3",
            )
        )
        return f"{root}.{self.digits(9)}.{self.digits(11)}"

    def date(self, *, around: int | None = None) -> str:
        """Return a date (DA). Those of one file lie so far apart that moving one cannot make it another."""
        year = around or 1911 + 16 * (self.dates % 7)
        self.dates += 1
        return f"{year + self.rng.randrange(3):04d}{self.rng.randrange(1, 13):02d}{self.rng.randrange(1, 29):02d}"

    def words(self) -> tuple[str, tuple[str, ...]]:
        """Return a text as people type it, and the parts of it that identify."""
        name, number = self.surname(), self.digits(9)
        return self.rng.choice(
            (
                (f"{name} {number}", (name, number)),
                (f"Dr. {name}", (name,)),
                (f"{name}, {self.surname()[:3]}.", (name,)),
                (f"{name.lower()}@klinik-{name.lower()}.example", (name,)),
                (f"MRN {number}", (number,)),
                (f"{name}str. {self.rng.randrange(1, 90)}", (name,)),
                (f"+49 30 {number}", (number,)),
                (f"pat {name} r/o tumor", (name,)),
                (f"{name}^{self.surname()}", (name,)),
                (f"http://{name.lower()}.example/{number}", (name, number)),
            )
        )

    def of(self, vr: str) -> Value:
        """Return a value for an element of a VR."""
        if vr in _TEXT_VRS:
            return self._text(vr)
        if vr == "SQ":
            return self._items()
        if vr == "UI":
            text = self.uid()
            return Value(text, text, (text.encode(),))
        if vr in ("DA", "DT", "TM", "AS", "DS", "IS"):
            return self._formatted(vr)
        if vr in _INTEGERS:
            size, signed = _INTEGERS[vr]
            number = self.rng.randrange(20_000, 30_000) if size == 2 else self.rng.randrange(10**8, 2 * 10**9)
            raw = number.to_bytes(size, "little", signed=signed)
            return Value(number, str(number), () if size == 2 else (raw,))
        if vr in ("FL", "FD"):
            number = self.rng.randrange(10**6) / 64 + 1000
            return Value(number, str(number), ())
        if vr == "AT":
            return Value(0x00104711, "(0010,4711)", ())
        raw = f"{self.surname()}{self.digits(9)}!".encode()
        raw += b"!" * (-len(raw) % 8)
        return Value(raw, raw.decode(), (raw.rstrip(b"!"),))

    def _text(self, vr: str) -> Value:
        if vr == "CS":
            text = f"{self.surname().upper()[:10]}_{self.digits(4)}"
            return Value(text, text, (text.encode(),))
        text, telling = self.words()
        if len(text) > _LONGEST.get(vr, 1024) or vr == "UR":
            text = self.surname()[:12]
            telling = (text,)
        return Value(
            text, text, tuple(part.encode() for part in telling) + tuple(p.lower().encode() for p in telling)
        )

    def _formatted(self, vr: str) -> Value:
        if vr == "DA":
            text = self.date()
            return Value(text, text, (text.encode(),))
        if vr == "TM":
            text = f"{self._clock()}{self.rng.randrange(60):02d}.{self.digits(6)}"
            return Value(text, text, (text.encode(),))
        if vr == "DT":
            text = f"{self.date()}{self._clock()}59.{self.digits(6)}"
            return Value(text, text, (text.encode(), text[:8].encode()))
        if vr == "AS":
            text = f"{self.rng.randrange(91, 119):03d}Y"
            return Value(text, text, ())
        text = f"{self.digits(6)}.{self.digits(4)}" if vr == "DS" else self.digits(9)
        return Value(text, text, (text.encode(),))

    def _clock(self) -> str:
        return f"{self.rng.randrange(24):02d}{self.rng.randrange(60):02d}"

    def _items(self) -> Value:
        item = Dataset()
        words, telling = self.words()
        item.InstitutionName = words
        reference = self.uid()
        item.ReferencedSOPInstanceUID = reference
        encoded = tuple(part.encode() for part in telling)
        return Value(Sequence([item]), words, (*encoded, reference.encode()))
