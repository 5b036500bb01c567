"""What the columns of a mapping mean on a FHIR server: a field of a patient, an observation, or a condition."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from fairbank.harvest.clinical.mapping import VariableRule
from fairbank.harvest.clinical.values import Fault
from fairbank.harvest.errors import BadMapping
from fairbank.harvest.sources.fhir_server import Resource, codings
from fairbank.ontology.variables import VariableKind


class ResourceKind(StrEnum):
    """The resources that are read."""

    PATIENT = "Patient"
    OBSERVATION = "Observation"
    CONDITION = "Condition"


@dataclass(frozen=True, slots=True)
class FhirColumn:
    """One column.

    Attributes:
        field: of a patient: which field.
        system: of an observation or condition: the code system.
        code: of an observation: the code; a condition has any code of the system.
        date: whether its date is meant, and not its value.
    """

    kind: ResourceKind
    field: str = ""
    system: str = ""
    code: str = ""
    date: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Said:
    """What one resource says: a text with its date, or why it cannot be used."""

    text: str
    at: str
    fault: Fault | None = None


# Of a patient nothing else is asked for: not the name, not the address.
_PATIENT_FIELDS: Final = frozenset({"gender", "birthDate", "deceasedBoolean"})
_PATIENT: Final = re.compile(r"Patient\.([A-Za-z]+)")
_OBSERVATION: Final = re.compile(r"Observation:([^|\s]+)\|([^|\s]+?)(\.date)?")
_CONDITION: Final = re.compile(r"Condition:([^|\s]+?)(\.date)?")
_NO_OBSERVATION: Final = frozenset({"entered-in-error", "cancelled"})
_NO_CONDITION: Final = frozenset({"entered-in-error", "refuted"})


def parse(column: str, name: str) -> FhirColumn:
    """Return what a column means.

    Raises:
        BadMapping: if it means nothing that is read.
    """
    if (found := _PATIENT.fullmatch(column)) and found[1] in _PATIENT_FIELDS:
        return FhirColumn(ResourceKind.PATIENT, field=found[1])
    if found := _OBSERVATION.fullmatch(column):
        return FhirColumn(ResourceKind.OBSERVATION, system=found[1], code=found[2], date=bool(found[3]))
    if found := _CONDITION.fullmatch(column):
        return FhirColumn(ResourceKind.CONDITION, system=found[1], date=bool(found[2]))
    raise BadMapping(
        f"The column of the variable {name} is nothing that is read from a FHIR server.",
        why=f"It is Patient.FIELD (of {', '.join(sorted(_PATIENT_FIELDS))}), Observation:SYSTEM|CODE or "
        "Condition:SYSTEM, the last two with .date behind for their date.",
        todo="Correct 'column' in the mapping.",
    )


def of_patient(patient: Resource, column: FhirColumn) -> Said | None:
    """Return what a patient says."""
    value = patient.get(column.field)
    if isinstance(value, bool):
        return Said(str(value).lower(), "")
    return Said(value, "") if isinstance(value, str) and value else None


def of_observation(resource: Resource, column: FhirColumn, rule: VariableRule) -> Said | None:
    """Return what an observation says; a quantity in another unit is a fault, because it is another number."""
    if resource.get("status") in _NO_OBSERVATION or not _has(
        resource.get("code"), column.system, column.code
    ):
        return None
    at = _date(resource, "effectiveDateTime", "effectiveInstant", "issued")
    if column.date:
        return Said(at, at) if at else None
    quantity = resource.get("valueQuantity")
    if isinstance(quantity, dict):
        number = quantity.get("value")
        if isinstance(number, bool) or not isinstance(number, int | float):
            return None
        unit = quantity.get("code") or quantity.get("unit")
        if rule.kind is VariableKind.QUANTITY and unit != rule.unit:
            return Said("", at, Fault.OTHER_UNIT)
        return Said(f"{quantity.get('comparator') or ''}{number!r}", at)
    for name in ("valueInteger", "valueBoolean", "valueString", "valueDateTime"):
        if (value := resource.get(name)) is not None:
            return Said(str(value).lower() if isinstance(value, bool) else str(value), at)
    coded = [code for _, code, _ in codings(resource.get("valueCodeableConcept")) if code]
    known = [code for code in coded if code in rule.values]
    return Said((known or coded)[0], at) if coded else None


def of_condition(resource: Resource, column: FhirColumn, rule: VariableRule) -> Said | None:
    """Return what a condition says: its code, if the mapping names it; of others nothing is said."""
    status = {code for _, code, _ in codings(resource.get("verificationStatus"))}
    if status & _NO_CONDITION:
        return None
    at = _date(resource, "onsetDateTime", "recordedDate")
    for system, code, _ in codings(resource.get("code")):
        # C61 stands for C61.9 as well, where the mapping does not name that itself.
        for named in (code, code.partition(".")[0]):
            if system == column.system and (column.date or named in rule.values):
                text = at if column.date else named
                return Said(text, at) if text else None
    return None


def _has(value: Any, system: str, code: str) -> bool:
    return any((of, one) == (system, code) for of, one, _ in codings(value))


def _date(resource: Resource, *names: str) -> str:
    return next((str(resource[name]) for name in names if isinstance(resource.get(name), str)), "")
