"""Conditions of a collection: one word for what its people have, and which conditions are kinds of which.

What is not understood becomes `unknown`, never a guess and never the raw text. The words, their MONDO ids and their
hierarchy are in `_conditions.py`, their names in `_condition_labels.py`. SNOMED CT's hierarchy is licensed and is not
here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

from fairbank.ontology._condition_labels import CONDITION_LABELS
from fairbank.ontology._conditions import (
    CANCER_AT,
    CLOSE_ONLY,
    CONDITION_ROWS,
    CONDITION_SPELLINGS,
    TISSUE_AT,
)
from fairbank.ontology.record import UNKNOWN

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "nl")
MONDO: Final = "http://purl.obolibrary.org/obo/MONDO_"
# British and American spellings of one word are the same key.
_BRITISH: Final = (
    ("tumour", "tumor"), ("oesophag", "esophag"), ("leukaem", "leukem"), ("haem", "hem"), ("phaeo", "pheo"),
)  # fmt: skip
# Words that say nothing of which condition it is.
_QUALIFIERS: Final = re.compile(r"\b(not otherwise specified|nos)\b|\bnon cancer$")
_TISSUES: Final = frozenset({"cancer", "carcinoma", "adenocarcinoma", "squamous-cell-carcinoma"})


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that a catalogue knows.

    Attributes:
        word: what a record says, such as `lung-cancer`.
        labels: its name by language; all have the same languages.
        mondo: digits of its MONDO id.
        exact: whether MONDO's class means the same; otherwise it is close.
        icd10: ICD-10 code or range of codes that it is coded under; several conditions may share one.
        broader: words of what it is a kind of, directly.
    """

    word: str
    labels: dict[str, str]
    mondo: str
    exact: bool
    icd10: str | None
    broader: tuple[str, ...]

    @property
    def label(self) -> str:
        """Return its English name."""
        return self.labels["en"]

    @property
    def iri(self) -> str:
        """Return the IRI of its MONDO class."""
        return MONDO + self.mondo

    @property
    def curie(self) -> str:
        """Return its MONDO id as it is written in texts."""
        return f"MONDO:{self.mondo}"


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


_LABELS: Final = {word: dict(zip(LANGUAGES, names, strict=True)) for word, *names in _rows(CONDITION_LABELS)}


def _read(word: str, mondo: str, icd10: str, parents: str) -> Condition:
    return Condition(
        word=word,
        labels=_LABELS[word],
        mondo=mondo,
        exact=word not in CLOSE_ONLY,
        icd10=None if icd10 == "-" else icd10,
        broader=() if parents == "-" else tuple(parents.split()),
    )


CONDITIONS: Final[dict[str, Condition]] = {row[0]: _read(*row) for row in _rows(CONDITION_ROWS)}
_OF_MONDO: Final = {each.mondo: word for word, each in CONDITIONS.items()}


def key(text: str) -> str:
    """Return a name in lower case, without accents, letters and digits only, in one spelling.

    >>> key("Oesophageal  Tumour, NOS"), key("Vestibular Schwannoma (non-cancer)")
    ('esophageal tumor', 'vestibular schwannoma')
    """
    words = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe"))
    words = "".join(letter for letter in words if not unicodedata.combining(letter))
    for british, american in _BRITISH:
        words = words.replace(british, american)
    words = " ".join(re.sub(r"[^a-z0-9]+", " ", words).split())
    return " ".join(_QUALIFIERS.sub(" ", words).split())


_OF_NAME: Final[dict[str, str]] = {
    **{key(name): word for word, each in CONDITIONS.items() for name in each.labels.values()},
    **{key(word): word for word in CONDITIONS},
    **CONDITION_SPELLINGS,
}


def condition(text: str | None, *, location: str | None = None) -> str:
    """Return the word for a condition, or `unknown`.

    Args:
        text: a word of ours, a name in one of `LANGUAGES`, a MONDO id or IRI, or an ICD-10 code.
        location: where the tumour is; it decides if the text names a tissue only.

    >>> condition("Non-small Cell Lung Cancer"), condition("MONDO:0008903"), condition("C34.1")
    ('non-small-cell-lung-cancer', 'lung-cancer', 'lung-cancer')
    >>> condition("Adenocarcinoma", location="Lung"), condition("Phantom")
    ('lung-adenocarcinoma', 'unknown')
    """
    stripped = (text or "").strip()
    found = _of_code(stripped) or _OF_NAME.get(key(stripped), UNKNOWN)
    if found in _TISSUES and location is not None:
        return _at(found, CANCER_AT.get(key(location)))
    return found


def conditions(text: str | None, *, location: str | None = None) -> tuple[str, ...]:
    """Return the words for a list of conditions with commas or semicolons between; those not understood are left out.

    >>> conditions("Lung Cancer, Non-Cancer, Metastatic disease")
    ('lung-cancer', 'metastatic-cancer')
    """
    found = (condition(part, location=location) for part in re.split(r"[,;]", text or ""))
    return tuple(dict.fromkeys(word for word in found if word != UNKNOWN))


@cache
def broader(word: str) -> tuple[str, ...]:
    """Return what a condition is a kind of, the nearest first, each once; nothing for a word that is not known.

    >>> broader("small-cell-lung-cancer")
    ('lung-cancer', 'carcinoma', 'cancer', 'lung-disease', 'respiratory-disease')
    """
    found: dict[str, None] = {}
    level: tuple[str, ...] = (word,)
    while level:
        above = [wider for each in level if each in CONDITIONS for wider in CONDITIONS[each].broader]
        level = tuple(dict.fromkeys(wider for wider in above if wider not in found))
        found.update(dict.fromkeys(level))
    return tuple(found)


def with_narrower(words: Iterable[str]) -> tuple[str, ...]:
    """Return words and all that are kinds of them, each once.

    >>> with_narrower(["melanoma"]), with_narrower(["unknown"])
    (('melanoma', 'cutaneous-melanoma', 'uveal-melanoma'), ('unknown',))
    """
    chosen = tuple(dict.fromkeys(words))
    kinds = sorted(word for word in CONDITIONS if any(wider in chosen for wider in broader(word)))
    return tuple(dict.fromkeys((*chosen, *kinds)))


def names(word: str) -> tuple[str, ...]:
    """Return the names of a condition in all languages and its other spellings, each once; the word itself if unknown.

    >>> "Lungenkrebs" in names("lung-cancer"), names("house-fire")
    (True, ('house-fire',))
    """
    known = CONDITIONS.get(word)
    if known is None:
        return (word,)
    spelled = (text for text, meant in CONDITION_SPELLINGS.items() if meant == word)
    return tuple(dict.fromkeys((*known.labels.values(), *spelled)))


def _at(tissue: str, place: str | None) -> str:
    if place is None:
        return tissue
    return TISSUE_AT.get((tissue, place), place)


def _of_code(text: str) -> str | None:
    if found := re.fullmatch(rf"(?:MONDO[:_]|{re.escape(MONDO)})(\d{{7}})", text, re.IGNORECASE):
        return _OF_MONDO.get(found[1], UNKNOWN)
    if re.fullmatch(r"[A-Z]\d\d(\.\d{1,2})?", text):
        return _of_icd10(text)
    return None


@cache
def _of_icd10(code: str) -> str:
    # The narrowest range that holds the code; of several, the first of the table, which is the widest condition.
    fitting = [each for each in CONDITIONS.values() if each.icd10 is not None and _covers(each.icd10, code)]
    return min(fitting, key=lambda each: _width(each.icd10 or "")).word if fitting else UNKNOWN


def _covers(block: str, code: str) -> bool:
    first, _, last = block.partition("-")
    if "." in first:
        return code.startswith(first)
    return first <= code[:3] <= (last or first)


def _width(block: str) -> int:
    first, _, last = block.partition("-")
    return -1 if "." in first else int((last or first)[1:]) - int(first[1:3])
