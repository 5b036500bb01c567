"""The value functions that the rows of a profile name: from what is known of a dataset to one property's values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from fairbank.ontology import terms, vocabulary
from fairbank.ontology.conditions import broader
from fairbank.ontology.counts import Count
from fairbank.ontology.data_use_limits import stated
from fairbank.ontology.profiles import facts as known
from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.facts import SUBJECTS, Facts, Iri, Literal, Term
from fairbank.ontology.profiles.rows import Origin, Row, Table
from fairbank.ontology.record import Activity, ActivityKind
from fairbank.ontology.stewardship import Stewardship

ValueFunction = Callable[[Facts, str], tuple[Term, ...]]
_WHOLE: Final = terms.XSD + "nonNegativeInteger"
_INTEGER: Final = terms.XSD + "integer"
_DURATION: Final = terms.XSD + "duration"
_YEAR: Final = terms.XSD + "gYear"
_STEPS: Final = {
    ActivityKind.ACQUISITION: "read from",
    ActivityKind.DEIDENTIFICATION: "de-identified by",
    ActivityKind.HARVEST: "described by",
}


def withheld(value: str, facts: Facts) -> Count | None:
    """Return the count behind a value that is missing because it was withheld, None if that is not the reason."""
    totals = facts.record.totals
    count = {"individuals": totals.subjects, "studies": totals.studies}.get(value)
    return count if count is not None and count.k is not None else None


def _texts(*values: str | None) -> tuple[Term, ...]:
    return tuple(Literal(value) for value in values if value)


def _links(*values: str | None) -> tuple[Term, ...]:
    return tuple(Iri(value) for value in values if value)


def _whole(number: int | None) -> tuple[Term, ...]:
    return () if number is None else (Literal(str(number), _WHOLE),)


def _integer(number: int | None) -> tuple[Term, ...]:
    # The terms of our own have integers, also where the RDF view says them.
    return () if number is None else (Literal(str(number), _INTEGER),)


def _duration(text: str | None) -> tuple[Term, ...]:
    return (Literal(text, _DURATION),) if text else ()


def _yes_or_no(held: bool | None) -> tuple[Term, ...]:
    return () if held is None else (Literal(str(held).lower(), terms.XSD + "boolean"),)


def _years(year: int | None) -> tuple[Term, ...]:
    return () if year is None else (Literal(f"{year:04d}", _YEAR),)


def _constant(*values: Term) -> ValueFunction:
    return lambda facts, subject: values


def _to(resources: str) -> ValueFunction:
    """Return the links to the resources of a kind."""
    return lambda facts, subject: _links(*SUBJECTS[resources](facts))


def _said(field: str) -> ValueFunction:
    """Return the addresses in a field that the curator fills."""

    def values(facts: Facts, subject: str) -> tuple[Term, ...]:
        said = getattr(facts.said, field)
        return _links(*said) if isinstance(said, tuple) else _links(said)

    return values


def _distributions_named(name: str) -> ValueFunction:
    return lambda facts, subject: _links(
        *(iri for iri in known.distributions(facts) if iri.startswith(facts.under(name)))
    )


def _reached(place: int, *, mailto: bool = False) -> ValueFunction:
    """Return the mail (place 0) or page (place 1) of a contact."""

    def values(facts: Facts, subject: str) -> tuple[Term, ...]:
        ways = known.agent_contacts(facts).get(subject) or known.contact_ways(facts)
        found = ways[place]
        if found is None:
            return ()
        if place == 0 and not mailto:
            return _texts(found)
        return _links(f"mailto:{found}" if place == 0 else found)

    return values


def _agent_name(facts: Facts, subject: str) -> tuple[Term, ...]:
    if subject == facts.under("publisher"):
        return _texts(facts.record.publisher)
    organisation = facts.said.hdab if subject == facts.under("hdab") else facts.said.custodian
    return _texts(organisation.name if organisation else None)


def _agent_contact(facts: Facts, subject: str) -> tuple[Term, ...]:
    point = f"{subject}-contact"
    return _links(point) if point in known.agent_contacts(facts) else ()


def _body_parts(facts: Facts, subject: str) -> tuple[Term, ...]:
    coded = (vocabulary.coded_body_part(term) for term in known.body_parts(facts))
    return _links(*(each.iri for each in coded if each is not None))


def _age(place: int) -> ValueFunction:
    def values(facts: Facts, subject: str) -> tuple[Term, ...]:
        ages = known.ages(facts)
        return () if ages is None else _whole(ages[place])

    return values


def _of_period(place: int) -> ValueFunction:
    def values(facts: Facts, subject: str) -> tuple[Term, ...]:
        record, said = facts.record, facts.said
        ends = (record.acquired_from, record.acquired_to)
        if subject == facts.under("retention"):
            ends = (said.retained_from, said.retained_until)
        return _years(ends[place])

    return values


def _licence(facts: Facts, subject: str) -> tuple[Term, ...]:
    return _links(known.licence_address(facts), *SUBJECTS["licence"](facts))


def _provenance(facts: Facts, subject: str) -> tuple[Term, ...]:
    return _texts("; ".join(_step(each) for each in facts.record.provenance))


def _step(step: Activity) -> str:
    profile = f", {step.profile}" if step.profile else ""
    return f"{_STEPS[step.kind]} {step.tool} {step.tool_version}{profile}"


def _label(facts: Facts, subject: str) -> tuple[Term, ...]:
    named = {known.manufacturer_iri(facts, name): name for name in known.manufacturers(facts)}
    named |= {known.sex_iri(facts, word): known.SEXES[word] for word in known.sexes(facts)}
    named |= {iri: each.label for iri, each in known.biomarkers(facts).items()}
    return _texts(named.get(subject))


def _guideline_title(facts: Facts, subject: str) -> tuple[Term, ...]:
    guideline = facts.said.annotation_guideline
    return _texts(guideline.title if guideline else None)


def _guideline_page(facts: Facts, subject: str) -> tuple[Term, ...]:
    guideline = facts.said.annotation_guideline
    return _links(guideline.page if guideline else None)


def _documentation(facts: Facts, subject: str) -> tuple[Term, ...]:
    return tuple(dict.fromkeys((*_links(*facts.said.documentation), *_guideline_page(facts, subject))))


def _health_themes(facts: Facts, subject: str) -> tuple[Term, ...]:
    said = facts.said.health_themes
    cancer = any("cancer" in (each.word, *broader(each.word)) for each in known.conditions(facts))
    return _links(*dict.fromkeys((*said, ns.CANCER_THEME) if cancer else said))


def _primary_condition(facts: Facts, subject: str) -> tuple[Term, ...]:
    named = (facts.said.condition, *(each.iri for each in known.conditions(facts)))
    return _links(next((iri for iri in named if iri), None))


def _biorepository(*, as_address: bool) -> ValueFunction:
    """Return the address of a biorepository, or its id where it has no address of its own."""

    def values(facts: Facts, subject: str) -> tuple[Term, ...]:
        named = known.biorepositories(facts)[subject]
        if named.startswith("http") is not as_address:
            return ()
        return _links(named) if as_address else _texts(named)

    return values


def _distribution_title(facts: Facts, subject: str) -> tuple[Term, ...]:
    if subject == facts.images:
        return _texts("Images, open to everyone" if facts.said.open_at else "Processing at the biobank")
    return _texts("Sample" if "#sample-" in subject else "Statistics")


def _access_condition(facts: Facts, subject: str) -> tuple[Term, ...]:
    return _links(ns.ACCESS_CONDITION + ("DOWNLOAD" if facts.said.open_at else "IN_SITU_PROCESSING"))


def _distribution_text(facts: Facts, subject: str) -> tuple[Term, ...]:
    if subject != facts.images:
        return _distribution_title(facts, subject)
    if facts.said.open_at:
        return _texts("Everyone can fetch the images at this address, under their licence.")
    return _texts(
        "The images stay at the biobank. Code that the biobank has approved runs there, "
        "and results leave through its release gate."
    )


VALUES: Final[dict[str, ValueFunction]] = {
    # What the curator says when a dataset is defined.
    "title": lambda facts, subject: _texts(facts.record.title),
    "description": lambda facts, subject: _texts(facts.record.description),
    "keywords": lambda facts, subject: _texts(*dict.fromkeys(facts.record.keywords)),
    "publisher": _to("publisher"),
    "licence": _licence,
    "licence_name": lambda facts, subject: _texts(facts.record.licence),
    "access_rights": lambda facts, subject: _links(terms.access_right(facts.record.access_rights.value)),
    "data_use": lambda facts, subject: _links(*map(terms.data_use, dict.fromkeys(facts.record.data_use))),
    "contact": _to("contact"),
    "contact_name": lambda facts, subject: _texts(facts.record.contact or facts.record.publisher),
    # What is computed from the record.
    "identifier": lambda facts, subject: _texts(facts.iri),
    "version": lambda facts, subject: _texts(str(facts.record.version)),
    "issued": lambda facts, subject: (Literal(facts.first_published, terms.XSD + "dateTime"),),
    "modified": lambda facts, subject: (Literal(facts.record.created, terms.XSD + "dateTime"),),
    "metadata": lambda facts, subject: _links(facts.under("metadata")),
    "profile": lambda facts, subject: _links(f"{facts.base_iri}/profiles/{facts.profile}"),
    "page": lambda facts, subject: _links(facts.said.landing_page or facts.iri),
    "individuals": lambda facts, subject: _whole(facts.record.totals.subjects.value),
    "studies": lambda facts, subject: _whole(facts.record.totals.studies.value),
    "individuals_below": lambda facts, subject: _integer(facts.record.totals.subjects.k),
    "studies_below": lambda facts, subject: _integer(facts.record.totals.studies.k),
    "provenance": _to("provenance"),
    "provenance_text": _provenance,
    "distribution": _to("in-situ"),
    "access_condition": _access_condition,
    "access_address": lambda facts, subject: _links(known.distributions(facts)[subject]),
    "distribution_title": _distribution_title,
    "distribution_text": _distribution_text,
    # What is read from the images.
    "modalities": lambda facts, subject: _links(*map(terms.dicom_code, known.modalities(facts))),
    "body_parts": _body_parts,
    "manufacturers": _to("manufacturers"),
    "sexes": _to("sexes"),
    "label": _label,
    "least_age": _age(0),
    "greatest_age": _age(1),
    "acquired": _to("acquired"),
    "begin": _of_period(0),
    "end": _of_period(1),
    # What only the curator can say; the names are the fields of `Stewardship` that hold it.
    **{
        field: _said(field)
        for field in (
            "dataset_types", "languages", "spatial", "legal_bases", "purposes", "personal_data",
            "coding_systems", "references", "relations", "sources", "accrual_periodicity",
            "quality_annotations", "file_format", "availability", "health_activity",
            "collection_methods", "interoperability_level", "annotation_labels", "segmentation_methods",
        )
    },
    "hdab": _to("hdab"),
    "custodian": _to("custodian"),
    "agent_name": _agent_name,
    "agent_contact": _agent_contact,
    "agent_email": _reached(0),
    "agent_page": _reached(1),
    "contact_email": _reached(0, mailto=True),
    "contact_page": _reached(1),
    "retention": _to("retention"),
    "generation": _to("generation"),
    "population_coverage": lambda facts, subject: _texts(facts.said.population_coverage),
    "code_values": lambda facts, subject: _texts(
        *dict.fromkeys((*facts.said.code_values, *(each.notation for each in facts.record.variables)))
    ),
    "temporal_resolution": lambda facts, subject: _duration(facts.said.temporal_resolution),
    "documentation": _documentation,
    "health_themes": _health_themes,
    "conditions": lambda facts, subject: _links(*(each.iri for each in known.conditions(facts))),
    "primary_condition": _primary_condition,
    "annotation_guideline": _to("guideline"),
    "guideline_title": _guideline_title,
    "guideline_page": _guideline_page,
    "biorepositories": _to("biorepositories"),
    "biorepository_id": _biorepository(as_address=False),
    "biorepository_page": _biorepository(as_address=True),
    "omics_held": lambda facts, subject: _yes_or_no(facts.said.omics_held),
    "health_records_held": lambda facts, subject: _yes_or_no(facts.said.health_records_held),
    "biomarkers": _to("biomarkers"),
    "biomarker_code": lambda facts, subject: _texts(known.biomarkers(facts)[subject].notation),
    "biomarker_match": lambda facts, subject: _links(known.biomarkers(facts)[subject].iri),
    "planned_time_points": lambda facts, subject: _integer(facts.said.planned_time_points),
    "planned_follow_up": lambda facts, subject: _duration(facts.said.planned_follow_up),
    "data_use_limits": lambda facts, subject: _texts(
        *(f"{code} {value}" for code, value in stated(facts.said.data_use_limits))
    ),
    # In place of the field alone: what the images say is added to what the curator says.
    "annotation_labels": lambda facts, subject: _links(
        *dict.fromkeys((*facts.said.annotation_labels, *known.annotation_labels(facts)))
    ),
    "samples": _distributions_named("sample-"),
    "analytics": _distributions_named("analytics-"),
    # Constants of a profile.
    "theme": _constant(Iri(ns.HEALTH_THEME)),
    "legislation": _constant(Iri(ns.EHDS)),
    "health_category": _constant(Iri(ns.EINS)),
    # To say that there is would ask for each variable as a column of a table (csvw), which a record does not describe.
    "no_structured_data": _constant(Literal("false", terms.XSD + "boolean")),
    "dicom_standard": _constant(Iri(ns.DICOM_STANDARD)),
    "dicom_media_type": _constant(Literal("application/dicom")),
}  # fmt: skip

# Which fields a curator fills for a value that has another name than its field; for agents, by the agent's table.
FIELDS: Final[dict[str, str]] = {
    "page": "landing_page",
    "access_condition": "open_at",
    "licence_name": "licence",
    "retention": "retained_from, retained_until",
    "begin": "retained_from",
    "end": "retained_until",
    "generation": "health_activity",
    "primary_condition": "conditions, condition",
    "guideline_title": "annotation_guideline",
    "guideline_page": "annotation_guideline",
    "biorepository_id": "biorepositories",
    "biorepository_page": "biorepositories",
    "contact": "contact_email, contact_page",
    "contact_name": "contact",
    "": "contact_email, contact_page",
}
AGENT_FIELDS: Final[dict[str, str]] = {
    "Publisher": "publisher_email, publisher_page",
    "HealthDataAccessBody": "hdab",
    "Custodian": "custodian",
    "AgentContactPoint": "publisher_email, publisher_page, hdab, custodian",
}


def field_of(table: Table, row: Row) -> str:
    """Return what the curator would fill in for a row; empty where the curator cannot."""
    if row.origin is not Origin.CURATOR:
        return ""
    if table.name in AGENT_FIELDS:
        own = (table.name, row.value) == ("Publisher", "agent_name")
        return "publisher" if own else AGENT_FIELDS[table.name]
    return row.value if row.value in Stewardship.model_fields else FIELDS.get(row.value, row.value)
