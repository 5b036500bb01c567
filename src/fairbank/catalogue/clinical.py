"""What a dataset says of its subjects beside images: its clinical variables as JSON, as triples, and as words.

They are kept as they stand in the record: which variables there are, which values each can have, and of how many
subjects one is known. How many subjects have which value is said nowhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from fairbank.ontology import terms
from fairbank.ontology.profiles.facts import Iri, Literal, Triple
from fairbank.ontology.record import DatasetRecord
from fairbank.ontology.variables import Variable


def kept(record: DatasetRecord) -> list[dict[str, Any]]:
    """Return what is kept of the variables of a record: their own form."""
    return [each.model_dump(mode="json", exclude_none=True) for each in record.variables]


def in_json(variables: list[Any]) -> list[dict[str, Any]]:
    """Return variables as readers get them, each field always there."""
    return [
        {
            "name": each.name,
            "label": each.label,
            "system": each.system.value,
            "code": each.code,
            "kind": each.kind.value,
            "unit": each.unit,
            "value_system": each.value_system.value if each.value_system else None,
            "values": [{"code": value.code, "label": value.label} for value in each.values],
            "subjects": each.subjects.model_dump(mode="json", exclude_none=True),
        }
        for each in _read(variables)
    ]


def triples(iri: str, variables: list[Any]) -> Iterator[Triple]:
    """Yield the triples of a dataset about its variables."""
    for each in _read(variables):
        about = f"{iri}#variable-{each.name}"
        yield iri, terms.HAS_VARIABLE, Iri(about)
        yield about, terms.TYPE, Iri(terms.VARIABLE)
        yield about, terms.LABEL, Literal(each.label)
        yield about, terms.SKOS + "notation", Literal(each.code)
        yield about, terms.CODE_SYSTEM, Iri(each.system.iri)
        yield about, terms.VARIABLE_KIND, Literal(each.kind.value)
        if each.unit is not None:
            yield about, terms.UNIT, Literal(each.unit)
        count = each.subjects
        for path, number in ((terms.SUBJECT_COUNT, count.value), (terms.SUBJECT_BELOW, count.k)):
            if number is not None:
                yield about, path, Literal(str(number), terms.XSD + "integer")
        for value in each.values:
            # Codes have letters that an IRI cannot have, such as those of a band.
            one = f"{about}-{hashlib.sha256(value.code.encode()).hexdigest()[:16]}"
            yield about, terms.POSSIBLE_VALUE, Iri(one)
            yield one, terms.TYPE, Iri(terms.VARIABLE_VALUE)
            yield one, terms.SKOS + "notation", Literal(value.code)
            if value.label is not None:
                yield one, terms.LABEL, Literal(value.label)
            if each.value_system is not None:
                yield one, terms.CODE_SYSTEM, Iri(each.value_system.iri)


def words(record: DatasetRecord) -> str:
    """Return the words by which a dataset is found: labels and codes of its variables.

    The parts of a code stand by themselves: PostgreSQL takes what follows a hyphen in "72166-2" for a negative number.
    """
    return " ".join(
        text
        for each in record.variables
        for text in (each.label, each.system.value, each.code.replace("-", " "))
    )


def _read(variables: list[Any]) -> list[Variable]:
    return [Variable.model_validate_json(json.dumps(each)) for each in variables]
