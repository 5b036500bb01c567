"""What a curator is asked, one field of `Stewardship` after the other, and what an answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic.fields import FieldInfo

from fairbank.ontology.profiles import curator_file
from fairbank.ontology.profiles.rows import Profile, Severity
from fairbank.ontology.stewardship import Stewardship

SEPARATOR: Final = ";"
_TRUTH: Final = {"yes": True, "no": False}
_ASKED_ANYWAY: Final = frozenset({Severity.VIOLATION, Severity.WARNING})


@dataclass(frozen=True, slots=True)
class Question:
    """One field that is asked for.

    Attributes:
        text: what it is.
        wanted: which profiles want it, and how much.
        form: how an answer is written, where that is not plain.
        parts: what is asked one by one, such as name and email of an organisation; empty for a plain field.
    """

    field: str
    text: str
    wanted: str
    form: str
    parts: tuple[str, ...]


def questions(profiles: Sequence[Profile], *, optional: bool = False) -> list[Question]:
    """Return what some profiles need or recommend, the needed first.

    Args:
        optional: ask for every field that there is.
    """
    found: list[tuple[int, Question]] = []
    order = list(Severity)
    for name, field in Stewardship.model_fields.items():
        severity = curator_file.strictest(name, profiles)
        if optional or severity in _ASKED_ANYWAY:
            part = curator_file.part_of(field)
            parts = tuple(part.model_fields) if part is not None else ()
            question = Question(name, field.description or "", curator_file.wanted(name), _form(name), parts)
            found.append((order.index(severity) if severity else len(order), question))
    return [question for _, question in sorted(found, key=lambda each: each[0])]


def understood(question: Question, answer: str | Mapping[str, str]) -> Any:
    """Return the value that an answer means, in JSON's terms.

    Raises:
        MalformedObject: if it has the wrong form.
        UnknownTerm: if it names a condition or biomarker that is not in its list.

    >>> understood(Question("languages", "", "", "", ()), "https://a.test/DEU; https://a.test/ENG")
    ['https://a.test/DEU', 'https://a.test/ENG']
    """
    value = _value(question.field, answer)
    said = curator_file.checked({question.field: value}).model_dump(mode="json")
    return said[question.field]


def as_answer(value: Any) -> str:
    """Return how a value would be answered."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return f"{SEPARATOR} ".join(map(str, value))
    return "" if value is None else str(value)


def _value(field: str, answer: str | Mapping[str, str]) -> Any:
    if not isinstance(answer, str):
        part = curator_file.part_of(Stewardship.model_fields[field])
        kinds = part.model_fields if part is not None else {}
        return {key: _typed(kinds.get(key), text.strip()) for key, text in answer.items() if text.strip()}
    return _typed(Stewardship.model_fields[field], answer.strip())


def _typed(field: FieldInfo | None, text: str) -> Any:
    if field is not None and field.default == ():
        return [part.strip() for part in text.split(SEPARATOR) if part.strip()]
    kind = str(field.annotation) if field is not None else ""
    if "bool" in kind:
        return _TRUTH.get(text.lower(), text)
    # A number that is none is refused by its form.
    return int(text) if "int" in kind and text.isascii() and text.isdigit() else text


def _form(field: str) -> str:
    if Stewardship.model_fields[field].default == ():
        return f"several with '{SEPARATOR}' between them"
    return "yes or no" if "bool" in str(Stewardship.model_fields[field].annotation) else ""
