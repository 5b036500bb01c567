"""The options of a tool as fields of a form: what each may be, what was typed as values, and what is wrong with which.

Which options there are, and which values they take, is the tool's own schema and nothing else.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, JsonValue, ValidationError

from fairbank.federated_jobs.code import Tool

# Of an `Args:` section: one or more names, and what is said of them until the next ones.
_ARGUMENT: Final = re.compile(r"^ {4}([a-z][a-z0-9_]*(?:, [a-z][a-z0-9_]*)*): (.+)$")
_MOST_CHOICES: Final = 60


class FieldKind(StrEnum):
    """How a value is typed."""

    WHOLE = "whole"
    NUMBER = "number"
    TEXT = "text"
    YES_NO = "yes-no"
    CHOICE = "choice"
    LIST = "list"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class OptionField:
    """One option.

    Attributes:
        default: as it would be typed; empty where there is none.
        low, high: the ends of its range as text, empty where it has none; `open_low` and `open_high` tell whether the
            end itself is left out.
        choices: the only values, where there are only some.
        meaning: what the tool's description says of it.
    """

    name: str
    kind: FieldKind
    required: bool
    default: str
    low: str = ""
    high: str = ""
    open_low: bool = False
    open_high: bool = False
    choices: tuple[str, ...] = ()
    meaning: str = ""


@dataclass(frozen=True, slots=True)
class OptionFault:
    """What is wrong with one option; `option` is empty where it is several together."""

    option: str
    sentence: str
    unknown: bool = False


def fields_of(tool: Tool) -> tuple[OptionField, ...]:
    """Return the options of a tool in the order of its schema, the needed ones first."""
    schema = tool.schema()
    meanings = _meanings(tool.shelf.parameters(tool.name))
    needed = set(schema.get("required", ()))
    found = [
        _field(name, told, schema.get("$defs", {}), needed=name in needed, meaning=meanings.get(name, ""))
        for name, told in schema.get("properties", {}).items()
    ]
    return tuple(sorted(found, key=lambda field: not field.required))


def typed_values(fields: Iterable[OptionField], typed: Mapping[str, str]) -> dict[str, JsonValue]:
    """Return what was typed as values; what is empty, or as the default, is left to the tool.

    A name that no field has stays as text, so that the tool refuses it.
    """
    known = {field.name: field for field in fields}
    found: dict[str, JsonValue] = {}
    for name, text in typed.items():
        field, text = known.get(name), text.strip()
        if text and (field is None or text != field.default):
            found[name] = _value(field.kind, text) if field is not None else text
    return found


def faults_of(tool: Tool, given: Mapping[str, JsonValue]) -> tuple[OptionFault, ...]:
    """Return everything that is wrong with some options; nothing where the tool takes them."""
    schema: type[BaseModel] = tool.shelf.parameters(tool.name)
    try:
        schema.model_validate_json(json.dumps(dict(given)))
    except ValidationError as err:
        known = schema.model_fields
        found: dict[str, OptionFault] = {}
        for each in err.errors():
            name = str(each["loc"][0]) if each["loc"] else ""
            found.setdefault(name, OptionFault(name, f"{each['msg']}.", bool(name) and name not in known))
        return tuple(found.values())
    return ()


def _field(
    name: str, told: Mapping[str, Any], named: Mapping[str, Any], *, needed: bool, meaning: str
) -> OptionField:
    ways = [_resolved(each, named) for each in told.get("anyOf", [told])]
    ways = [each for each in ways if each.get("type") != "null"] or [{}]
    # A decimal is a number or its text.
    first = next((each for each in ways if each.get("type") == "number"), ways[0])
    default = told.get("default")
    choices = tuple(_text(each) for each in first.get("enum", ()))
    return OptionField(
        name=name,
        kind=_kind(first, choices),
        required=needed,
        default="" if default is None else _text(default),
        low=_text(first.get("minimum", first.get("exclusiveMinimum", ""))),
        high=_text(first.get("maximum", first.get("exclusiveMaximum", ""))),
        open_low="exclusiveMinimum" in first,
        open_high="exclusiveMaximum" in first,
        choices=choices,
        meaning=meaning,
    )


def _resolved(told: Mapping[str, Any], named: Mapping[str, Any]) -> Mapping[str, Any]:
    place = str(told.get("$ref", "")).rpartition("/")[2]
    return {**named[place], **told} if place in named else told


def _kind(told: Mapping[str, Any], choices: tuple[str, ...]) -> FieldKind:
    if choices and len(choices) <= _MOST_CHOICES:
        return FieldKind.CHOICE
    match told.get("type"):
        case "integer":
            return FieldKind.WHOLE
        case "number":
            return FieldKind.NUMBER
        case "boolean":
            return FieldKind.YES_NO
        case "string":
            return FieldKind.TEXT
        case "array" if (told.get("items") or {}).get("type") in ("string", "integer"):
            return FieldKind.LIST
    return FieldKind.JSON


def _text(value: Any) -> str:
    """Return a value as it is typed.

    >>> _text(["a", "b"]), _text(1.0), _text(False), _text({"low": "1"})
    ('a, b', '1', 'no', '{"low": "1"}')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, list) and all(isinstance(each, str) and "," not in each for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _value(kind: FieldKind, text: str) -> JsonValue:
    """Return a typed text as a value; what cannot be one stays text, so that the tool says what is wrong with it.

    >>> _value(FieldKind.LIST, "a, b"), _value(FieldKind.WHOLE, "8"), _value(FieldKind.NUMBER, "0.1")
    (['a', 'b'], 8, '0.1')
    """
    if kind is FieldKind.YES_NO:
        return {"yes": True, "no": False}.get(text, text)
    if kind is FieldKind.LIST and not text.startswith("["):
        return [_whole(each.strip()) for each in text.split(",") if each.strip()]
    if kind in (FieldKind.JSON, FieldKind.LIST):
        try:
            read: JsonValue = json.loads(text)
        except (ValueError, RecursionError):
            return text
        return read
    return _whole(text) if kind in (FieldKind.WHOLE, FieldKind.CHOICE) else text


def _whole(text: str) -> JsonValue:
    return int(text) if re.fullmatch(r"-?\d{1,15}", text) else text


def _meanings(schema: type[BaseModel]) -> dict[str, str]:
    """Return what the descriptions of a schema and of what it builds on say of each option."""
    found: dict[str, str] = {}
    for one in reversed(schema.__mro__):
        if not (issubclass(one, BaseModel) and one is not BaseModel):
            continue
        names: list[str] = []
        _, _, arguments = (inspect.cleandoc(one.__doc__ or "")).partition("Args:\n")
        for line in arguments.split("\n"):
            begins = _ARGUMENT.match(line)
            if begins is not None:
                names = begins[1].split(", ")
                found |= dict.fromkeys(names, begins[2])
            elif line.startswith("     "):
                found |= {name: f"{found[name]} {line.strip()}" for name in names}
            else:
                names = []
    # Of what is written for readers of the code.
    return {name: text.replace("`", "") for name, text in found.items()}
