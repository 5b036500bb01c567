"""What a profile's document is made from: a record, the few facts that only the hub knows, and the resources they name.

IRIs are derived from what they name, and there are no blank nodes: making a document again gives the same document.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fairbank.ontology import terms
from fairbank.ontology.annotation_labels import code_of_label
from fairbank.ontology.biomarkers import BIOMARKERS, Biomarker
from fairbank.ontology.conditions import CONDITIONS, Condition
from fairbank.ontology.record import UNKNOWN, DatasetRecord
from fairbank.ontology.stewardship import ADDRESS, EMAIL, Organisation, Stewardship
from fairbank.ontology.vocabulary import OTHER_MANUFACTURER
from fairbank.ontology.wire import Moment

_ADDRESS = re.compile(ADDRESS)
_MAIL = re.compile(EMAIL)
# DICOM (0010,0040) in words; what is unknown is not named.
SEXES: Final = {"F": "female", "M": "male", "O": "other"}


@dataclass(frozen=True, slots=True)
class Iri:
    """An IRI as a value."""

    value: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal as a value."""

    value: str
    datatype: str = terms.XSD + "string"


Term = Iri | Literal
Triple = tuple[str, str, Term]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a published dataset.

    Attributes:
        record: the newest record, with withheld counts.
        base_iri: base of the hub's IRIs, without a trailing slash.
        first_published: when the dataset was first published at the hub.
        profile: name of the profile that the document is for.
    """

    record: DatasetRecord
    base_iri: str
    first_published: Moment
    profile: str

    @property
    def iri(self) -> str:
        """Return the IRI of the dataset."""
        return f"{self.base_iri}/datasets/{self.record.node}/{self.record.dataset}"

    @property
    def said(self) -> Stewardship:
        """Return what the curator said for the profiles; nothing if nothing was said."""
        return self.record.stewardship or Stewardship()

    @property
    def images(self) -> str:
        """Return the IRI of the distribution that is the images themselves: open to everyone, or at the biobank."""
        return self.under("open" if self.said.open_at else "in-situ")

    def under(self, name: str) -> str:
        """Return the IRI of a resource that belongs to the dataset."""
        return f"{self.iri}#{name}"


# -- how people reach those who answer for the dataset ---------------------------------------------------------------


def contact_ways(facts: Facts) -> tuple[str | None, str | None]:
    """Return mail and page for questions; the contact of the record counts where it is an address."""
    contact = facts.record.contact or ""
    email = facts.said.contact_email or (contact if _MAIL.fullmatch(contact) else None)
    page = facts.said.contact_page or (contact if _ADDRESS.fullmatch(contact) else None)
    return email, page


def agent_contacts(facts: Facts) -> dict[str, tuple[str | None, str | None]]:
    """Return mail and page by the IRI of each agent's contact point; agents that cannot be reached have none."""
    ways = {"publisher-contact": (facts.said.publisher_email, facts.said.publisher_page)}
    for name, organisation in _organisations(facts).items():
        ways[f"{name}-contact"] = (organisation.email, organisation.page)
    return {facts.under(name): way for name, way in ways.items() if any(way)}


def _organisations(facts: Facts) -> dict[str, Organisation]:
    both = {"hdab": facts.said.hdab, "custodian": facts.said.custodian}
    return {name: organisation for name, organisation in both.items() if organisation is not None}


# -- what the images are ---------------------------------------------------------------------------------------------


def modalities(facts: Facts) -> tuple[str, ...]:
    """Return the known modalities of the cube."""
    return tuple(sorted({cell.modality for cell in facts.record.cube} - {UNKNOWN}))


def body_parts(facts: Facts) -> tuple[str, ...]:
    """Return the known body parts of the cube."""
    return tuple(sorted({cell.body_part for cell in facts.record.cube} - {UNKNOWN}))


def manufacturers(facts: Facts) -> tuple[str, ...]:
    """Return the known manufacturers of the cube."""
    return tuple(sorted({cell.manufacturer for cell in facts.record.cube} - {UNKNOWN, OTHER_MANUFACTURER}))


def sexes(facts: Facts) -> tuple[str, ...]:
    """Return the sexes with an exact count: `<k` may stand for nobody."""
    values = {
        row.value
        for row in facts.record.distributions
        if row.attribute == "sex" and row.subjects.value is not None
    }
    return tuple(sorted(values & set(SEXES)))


def annotation_labels(facts: Facts) -> tuple[str, ...]:
    """Return the SNOMED CT codes, as IRIs, of what annotations show on an exact number of subjects."""
    labels = (
        row.value
        for row in facts.record.distributions
        if row.attribute == "annotation-label" and row.subjects.value is not None
    )
    codes = (code for label in labels if (code := code_of_label(label)) is not None)
    return tuple(sorted(f"http://snomed.info/id/{code}" for scheme, code in codes if scheme == "SCT"))


def ages(facts: Facts) -> tuple[int, int] | None:
    """Return the ages in years that the bands with an exact count span; the band without an end gives its begin."""
    bands = [
        row.value
        for row in facts.record.distributions
        if row.attribute == "age-band" and row.subjects.value is not None and row.value != UNKNOWN
    ]
    ends = [
        (int(low.rstrip("+")), int(high or low.rstrip("+")))
        for low, _, high in (b.partition("-") for b in bands)
    ]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else None


def licence_address(facts: Facts) -> str | None:
    """Return the licence where it is an address."""
    licence = facts.record.licence
    return licence if licence is not None and _ADDRESS.fullmatch(licence) else None


def manufacturer_iri(facts: Facts, name: str) -> str:
    """Return the IRI of a manufacturer as the document describes it."""
    return facts.under("manufacturer-" + re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-"))


def sex_iri(facts: Facts, word: str) -> str:
    """Return the IRI of a sex as the document describes it."""
    return facts.under("sex-" + SEXES[word])


def distributions(facts: Facts) -> dict[str, str]:
    """Return the access address of each distribution by its IRI: the images, samples, analytics."""
    found = {facts.images: facts.said.open_at or facts.iri}
    for name, addresses in (("sample", facts.said.samples), ("analytics", facts.said.analytics)):
        for place, address in enumerate(dict.fromkeys(addresses), start=1):
            found[facts.under(f"{name}-{place}")] = address
    return found


def conditions(facts: Facts) -> tuple[Condition, ...]:
    """Return the conditions of the list that the dataset is about, in the curator's order."""
    return tuple(CONDITIONS[word] for word in dict.fromkeys(facts.said.conditions) if word in CONDITIONS)


def biorepositories(facts: Facts) -> dict[str, str]:
    """Return the id or address of each biorepository by the IRI that the document gives it."""
    named = dict.fromkeys(facts.said.biorepositories)
    return {facts.under(f"biorepository-{place}"): each for place, each in enumerate(named, start=1)}


def biomarkers(facts: Facts) -> dict[str, Biomarker]:
    """Return the biomarkers of the list that the dataset has, by the IRI that the document gives each."""
    return {
        facts.under(f"biomarker-{name}"): BIOMARKERS[name]
        for name in facts.said.biomarkers
        if name in BIOMARKERS
    }


def _if(name: str, condition: Callable[[Facts], object]) -> Callable[[Facts], tuple[str, ...]]:
    return lambda facts: (facts.under(name),) if condition(facts) else ()


# Which resources of each kind a record has, by the name that tables use.
SUBJECTS: Final[dict[str, Callable[[Facts], tuple[str, ...]]]] = {
    "dataset": lambda facts: (facts.iri,),
    "in-situ": lambda facts: (facts.images,),
    "distributions": lambda facts: tuple(distributions(facts)),
    "publisher": lambda facts: (facts.under("publisher"),),
    "hdab": _if("hdab", lambda facts: facts.said.hdab),
    "custodian": _if("custodian", lambda facts: facts.said.custodian),
    "contact": _if("contact", lambda facts: facts.record.contact or any(contact_ways(facts))),
    "agent-contacts": lambda facts: tuple(agent_contacts(facts)),
    "acquired": _if("acquired", lambda facts: facts.record.acquired_from or facts.record.acquired_to),
    "retention": _if("retention", lambda facts: facts.said.retained_from or facts.said.retained_until),
    "provenance": _if("provenance", lambda facts: facts.record.provenance),
    "generation": _if("generation", lambda facts: facts.said.health_activity),
    "licence": _if("licence", lambda facts: facts.record.licence and not licence_address(facts)),
    "manufacturers": lambda facts: tuple(manufacturer_iri(facts, name) for name in manufacturers(facts)),
    "guideline": _if("annotation-guideline", lambda facts: facts.said.annotation_guideline),
    "biorepositories": lambda facts: tuple(biorepositories(facts)),
    "biomarkers": lambda facts: tuple(biomarkers(facts)),
    "sexes": lambda facts: tuple(sex_iri(facts, word) for word in sexes(facts)),
}
