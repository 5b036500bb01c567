"""Errors of the ontology.

FairbankError
└── OntologyError            FB-ONT-001
    ├── MalformedObject      FB-ONT-002
    ├── UnknownProfile       FB-ONT-003
    ├── UnknownOntologyVersion FB-ONT-010
    ├── NoSuchTerm           FB-ONT-011
    └── UnknownTerm          FB-ONT-020
"""

from __future__ import annotations

from typing import Any

from fairbank.errors import FairbankError, Kind


class OntologyError(FairbankError):
    """A term or value is not part of the information model."""

    code = "FB-ONT-001"
    kind = Kind.REFUSED


class MalformedObject(OntologyError):
    """A body or signed object does not have the form its schema asks for."""

    code = "FB-ONT-002"
    kind = Kind.MISUSE

    @classmethod
    def from_validation(cls, name: str, errors: list[Any]) -> MalformedObject:
        """Return the error that names the first three fields at fault, never their values."""
        places = [
            f"{'.'.join(str(part) for part in error['loc']) or 'the whole'}: {error['msg']}"
            for error in errors[:3]
        ]
        more = f" (and {len(errors) - 3} more)" if len(errors) > 3 else ""
        return cls(
            f"This {name} is malformed: {'; '.join(places)}{more}.",
            why="Unknown keys and out-of-range values are refused, so that nothing is silently ignored.",
            todo="Correct the named fields; the reference page of the object lists them all.",
        )


class UnknownProfile(OntologyError):
    """There is no export profile of this name."""

    code = "FB-ONT-003"
    kind = Kind.NOT_FOUND


class UnknownOntologyVersion(OntologyError):
    """This version of the ontology is not here."""

    code = "FB-ONT-010"
    kind = Kind.NOT_FOUND


class NoSuchTerm(OntologyError):
    """Nothing in the ontology has this name, code or spelling."""

    code = "FB-ONT-011"
    kind = Kind.NOT_FOUND


class UnknownTerm(OntologyError):
    """A word is not in the closed list that it has to be from."""

    code = "FB-ONT-020"
    kind = Kind.MISUSE
