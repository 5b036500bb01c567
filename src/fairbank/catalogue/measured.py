"""Which biomarkers jobs have measured in a dataset: told by the room that keeps measurements, which registers here.

Never a value: a code, by which tool, and in how many jobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from fairbank.ontology import terms
from fairbank.ontology.profiles.facts import Iri, Literal, Triple


@dataclass(frozen=True, slots=True)
class MeasuredBiomarker:
    """A biomarker that jobs have measured in a dataset.

    Attributes:
        code: scheme and code, such as `DCM:112181`.
        meaning: what the tool says that it is.
        jobs: how many jobs measured it there.
    """

    code: str
    meaning: str
    tool: str
    jobs: int

    @property
    def iri(self) -> str | None:
        """Return the IRI of the code; None for a scheme without any, such as IBSI."""
        return code_iri(self.code)

    @property
    def label(self) -> str:
        """Return what readers are told."""
        return f"{self.meaning.rstrip('.')}: {self.tool}, {self.jobs} job{'s' if self.jobs != 1 else ''}"


# Of a dataset by its IRI.
ListMeasured = Callable[[Session, str], Sequence[MeasuredBiomarker]]


@dataclass(slots=True)
class Measured:
    """Whom to ask; `ask` is None where nothing keeps measurements."""

    ask: ListMeasured | None = None

    def in_dataset(self, session: Session, iri: str) -> tuple[MeasuredBiomarker, ...]:
        """Return the biomarkers that were measured in a dataset, by code."""
        return tuple(self.ask(session, iri)) if self.ask is not None else ()


def in_json(found: Iterable[MeasuredBiomarker]) -> list[dict[str, Any]]:
    """Return the biomarkers for an answer in JSON."""
    return [
        {"code": one.code, "iri": one.iri, "label": one.label, "tool": one.tool, "jobs": one.jobs}
        for one in found
    ]


def triples(iri: str, found: Iterable[MeasuredBiomarker]) -> Iterator[Triple]:
    """Yield the biomarkers as subjects of a dataset."""
    for one in found:
        yield from subject(iri, one.code, f"measured-{one.tool}", label=one.label)


def subject(iri: str, code: str, part: str, *, label: str | None = None) -> Iterator[Triple]:
    """Yield that a code is a subject of something (DCMI Metadata Terms, `dct:subject`), as a SKOS concept."""
    about = f"{iri}#{part}-{code.replace(':', '-')}"
    yield iri, terms.DCT + "subject", Iri(about)
    yield about, terms.TYPE, Iri(terms.SKOS + "Concept")
    yield about, terms.SKOS + "notation", Literal(code)
    if label is not None:
        yield about, terms.LABEL, Literal(label)
    if (known := code_iri(code)) is not None:
        yield about, terms.SKOS + "exactMatch", Iri(known)


def code_iri(code: str) -> str | None:
    """Return the IRI of a code such as `DCM:112181`; None for a scheme without any.

    >>> code_iri("IBSI:LFYI") is None
    True
    """
    scheme, _, value = code.partition(":")
    if scheme == "DCM":
        return terms.dicom_code(value)
    return terms.snomed_code(value) if scheme == "SCT" else None
