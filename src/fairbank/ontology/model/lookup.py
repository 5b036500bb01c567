"""Finding what a name, word, code or IRI means in the ontology."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from fairbank.ontology import conditions, terms, vocabulary
from fairbank.ontology.errors import NoSuchTerm
from fairbank.ontology.model.entries import Concept, Scheme, TermEntry, short
from fairbank.ontology.model.listing import CONCEPTS, SCHEMES, TERMS
from fairbank.ontology.model.schemes import local_name
from fairbank.ontology.record import UNKNOWN

Entry = TermEntry | Scheme | Concept
# What turns a value of a header or a free name into the word that is counted by, and the scheme of the word.
_READERS: Final = (
    ("modality", vocabulary.modality),
    ("bodyPart", vocabulary.body_part),
    ("bodyPart", vocabulary.body_part_of_code),
    ("condition", conditions.condition),
)


@dataclass(frozen=True, slots=True)
class Found:
    """An entry, and the name by which it was found."""

    entry: Entry
    by: str


def named(name: str) -> Entry:
    """Return the entry of a local name, with or without its prefix or namespace.

    Raises:
        NoSuchTerm: if nothing has this name.

    >>> named("fb:modality").name, named("https://w3id.org/fairbank/terms#condition-lung-cancer").name
    ('modality', 'condition-lung-cancer')
    """
    local = name.removeprefix(terms.FB).removeprefix("fb:")
    for entries in (TERMS, SCHEMES, CONCEPTS):
        if local in entries:
            return entries[local]
    raise NoSuchTerm(
        f"Nothing in the ontology is called {local[:80]!r}.",
        why="Classes, properties, lists of words and their words have names of their own.",
        todo="List them with 'fairbank ontology show', or look a word up with 'fairbank ontology lookup'.",
    )


def lookup(text: str) -> tuple[Found, ...]:
    """Return what a text means: a name in any language, a word, a spelling, a code or an IRI.

    Raises:
        NoSuchTerm: if it means nothing here.

    >>> [each.entry.name for each in lookup("Lungenkrebs")], [each.entry.name for each in lookup("PET")]
    (['condition-lung-cancer'], ['modality-PT'])
    """
    found = {each.name: Found(each, by) for each, by in reversed([*_found(text.strip())])}
    if not found:
        raise NoSuchTerm(
            f"{text[:80]!r} is the name, word, code or spelling of nothing in the ontology.",
            why="Only what is in its lists is known; nothing is guessed.",
            todo="Try another spelling, or see the lists with 'fairbank ontology show'.",
        )
    return tuple(sorted(found.values(), key=lambda each: each.entry.name))


def _found(text: str) -> Iterator[tuple[Entry, str]]:
    yield from _index().get(text.casefold(), ())
    for kind, read in _READERS:
        word = read(text)
        if word != UNKNOWN:
            yield CONCEPTS[local_name(kind, word)], "spelling"
    maker = vocabulary.normalise_manufacturer(text)
    if maker not in (UNKNOWN, vocabulary.OTHER_MANUFACTURER):
        yield CONCEPTS[local_name("manufacturer", maker)], "spelling"


@cache
def _index() -> dict[str, list[tuple[Entry, str]]]:
    index: dict[str, list[tuple[Entry, str]]] = {}
    for entries in (TERMS, SCHEMES, CONCEPTS):
        for entry in entries.values():
            for key, by in _keys(entry):
                index.setdefault(key.casefold(), []).append((entry, by))
    return index


def _keys(entry: Entry) -> Iterator[tuple[str, str]]:
    yield entry.name, "name"
    yield f"fb:{entry.name}", "name"
    yield entry.iri, "IRI"
    for language, label in entry.labels.items():
        yield label, f"label ({language})"
    if isinstance(entry, Concept):
        if entry.notation is not None:
            yield entry.notation, "word"
        for name in entry.other_names:
            yield name, "spelling"
    exact = entry.exact if isinstance(entry, Concept) else ()
    for iri in (*exact, *entry.close):
        yield iri, "match"
        yield short(iri), "match"
        # Codes of the OBO library are written MONDO:0005233.
        yield iri.rpartition("/")[2].replace("_", ":"), "match"
