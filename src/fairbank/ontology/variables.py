"""Clinical variables: what a biobank knows of its subjects beside their images, named by codes and units.

A record says which variables there are, which values each can have, and for how many subjects one is known. It never
says how many subjects have which value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from fairbank.ontology.counts import Count
from fairbank.ontology.wire import Part, ShortText, Slug


class CodeSystem(StrEnum):
    """The code systems that variables and their values are named by."""

    LOINC = "LOINC"
    ICD_10 = "ICD-10"
    ICD_10_CM = "ICD-10-CM"
    ICD_10_GM = "ICD-10-GM"
    SNOMED_CT = "SNOMED-CT"

    @property
    def iri(self) -> str:
        """Return the IRI by which FHIR names the system.

        Source: HL7 Terminology (THO), code systems; for ICD-10-GM the German base profiles.
        """
        return _SYSTEMS[self]


_SYSTEMS: Final = {
    CodeSystem.LOINC: "http://loinc.org",
    CodeSystem.ICD_10: "http://hl7.org/fhir/sid/icd-10",
    CodeSystem.ICD_10_CM: "http://hl7.org/fhir/sid/icd-10-cm",
    CodeSystem.ICD_10_GM: "http://fhir.de/CodeSystem/bfarm/icd-10-gm",
    CodeSystem.SNOMED_CT: "http://snomed.info/sct",
}


class VariableKind(StrEnum):
    """What the values of a variable are."""

    CODED = "coded"
    QUANTITY = "quantity"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    YEAR = "year"
    AGE_BAND = "age-band"


class VariableValue(Part):
    """A value that a variable can have: a code, or a band of numbers; with what people read, where it needs that."""

    code: ShortText
    label: ShortText | None = None


class Variable(Part):
    """One variable of a dataset.

    Attributes:
        name: what the biobank calls it.
        system: the code system of `code`, which says what the variable is.
        unit: UCUM, for what is measured.
        value_system: the code system of the values; none where they are words or bands.
        values: all values that it can have, whether they occur or not.
        subjects: of how many subjects of the dataset a value is known.
    """

    name: Slug
    label: ShortText
    system: CodeSystem
    code: ShortText
    kind: VariableKind
    unit: ShortText | None = None
    value_system: CodeSystem | None = None
    values: Annotated[tuple[VariableValue, ...], Field(max_length=500)] = ()
    subjects: Count

    @property
    def notation(self) -> str:
        """Return the code with its system: `LOINC: 718-7`."""
        return f"{self.system.value}: {self.code}"


# WHO's four places, the German ending for "not further said", the American seven places.
_ICD_10 = re.compile(r"[A-Z]\d\d(\.\d{1,2})?")
_ICD_10_GM = re.compile(r"[A-Z]\d\d(\.(\d{1,2}|-|\d-))?")
_ICD_10_CM = re.compile(r"[A-Z]\d[0-9A-Z](\.[0-9A-Z]{1,4})?")
_SNOMED = re.compile(r"[1-9]\d{5,17}")
_LOINC = re.compile(r"(\d{1,7})-(\d)")
# Words of a site's own, bands of numbers and years: no blank, no slash, nothing as long as a number of a patient.
_WORD = re.compile(r"(?!.*\d{5})[A-Za-z0-9<>=+.-]{1,40}")
_BAND = re.compile(r"(<|>=)\d{1,7}(\.\d{1,4})?|\d{1,7}(\.\d{1,4})?-\d{1,7}(\.\d{1,4})?")
_MEASURED: Final = frozenset({VariableKind.QUANTITY, VariableKind.INTEGER})
# One factor of a UCUM unit: an annotation, a power of ten, or an atom (with brackets or without) and its exponent.
_UCUM_FACTOR: Final = (
    r"(\{[a-zA-Z_]{1,20}\}|10[*^]-?\d{1,2}|\d{1,4}"
    r"|(%|[A-Za-z'\"]{1,8}|[A-Za-z]{0,8}\[[A-Za-z0-9'_-]{1,16}\])([+-]?\d)?(\{[a-zA-Z_]{1,20}\})?)"
)
_UCUM = re.compile(rf"/?{_UCUM_FACTOR}([./]{_UCUM_FACTOR}){{0,5}}")


def is_code(system: CodeSystem, code: str) -> bool:
    """Tell whether a text has the form of a code; LOINC has a check digit, the others are judged by form alone.

    Source: LOINC Users' Guide, "LOINC codes: check digit" (mod 10); ICD-10, 2.4.1; SNOMED CT, identifiers (SCTID).

    >>> is_code(CodeSystem.LOINC, "718-7"), is_code(CodeSystem.LOINC, "718-8"), is_code(CodeSystem.ICD_10, "C61")
    (True, False, True)
    """
    return _FORMS[system](code)


def is_unit(text: str) -> bool:
    """Tell whether a text has the form of a UCUM unit; whether there is such a unit is not known here.

    >>> [is_unit(text) for text in ("mg/dL", "10*3/uL", "mm[Hg]", "kg/m2", "{score}", "%", "ng per ml")]
    [True, True, True, True, True, True, False]
    """
    return len(text) <= 40 and _UCUM.fullmatch(text) is not None


def is_word(text: str) -> bool:
    """Tell whether a text may stand as a value that has no code system.

    >>> is_word("never-smoker"), is_word("<0.7"), is_word("Jane Doe"), is_word("12345")
    (True, True, False, False)
    """
    return _WORD.fullmatch(text) is not None


def faults(variable: Variable) -> list[str]:
    """Return what in a variable has not the form that it should have, without its texts."""
    found = []
    if not is_code(variable.system, variable.code):
        found.append(f"its code is none of {variable.system.value}")
    if variable.unit is not None and not is_unit(variable.unit):
        found.append("its unit is none of UCUM")
    if (variable.unit is not None) != (variable.kind is VariableKind.QUANTITY):
        found.append("a quantity has a unit, and nothing else has one")
    if any(not _is_value(variable, value.code) for value in variable.values):
        found.append("a value of it is no code")
    if len({value.code for value in variable.values}) != len(variable.values):
        found.append("a value of it is there twice")
    return found


def _is_value(variable: Variable, code: str) -> bool:
    if variable.value_system is not None:
        return is_code(variable.value_system, code)
    return _BAND.fullmatch(code) is not None if variable.kind in _MEASURED else is_word(code)


def _is_loinc(code: str) -> bool:
    parts = _LOINC.fullmatch(code)
    if parts is None:
        return False
    total = 0
    for place, digit in enumerate(reversed(parts[1])):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return (10 - total % 10) % 10 == int(parts[2])


_FORMS: Final[dict[CodeSystem, Callable[[str], bool]]] = {
    CodeSystem.LOINC: _is_loinc,
    CodeSystem.ICD_10: lambda code: _ICD_10.fullmatch(code) is not None,
    CodeSystem.ICD_10_CM: lambda code: _ICD_10_CM.fullmatch(code) is not None,
    CodeSystem.ICD_10_GM: lambda code: _ICD_10_GM.fullmatch(code) is not None,
    CodeSystem.SNOMED_CT: lambda code: _SNOMED.fullmatch(code) is not None,
}
