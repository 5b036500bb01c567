"""Control messages: the only bodies that leave a node without a person's or a policy's approval.

They carry closed words, ids, digests, key ids, signatures, numbers and times, and what the node itself seals to another
node, nothing else. That is enforced when the
class is made: a field that could hold free text is a `TypeError` at import, not a leak at run time.
"""

from __future__ import annotations

import types
from enum import Enum
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import Field
from pydantic.fields import FieldInfo

from fairbank.ontology.wire import (
    BoxText,
    Country,
    Decimal,
    DigestText,
    EnvelopeSignatureText,
    Id,
    KeyText,
    Moment,
    Part,
    SealedText,
    SealingKeyText,
    ShareText,
    SignatureText,
    Wire,
)

# The code of an error (FB-ROOM-NNN): all that an error report of class `error` holds.
ErrorCode = Annotated[str, Field(pattern=r"^FB-[A-Z]{2,5}-\d{3}$")]

_TEXT_THAT_IS_NOT_FREE: Final = (
    Id,
    DigestText,
    KeyText,
    SealingKeyText,
    SealedText,
    EnvelopeSignatureText,
    Moment,
    Decimal,
    Country,
    ErrorCode,
    SignatureText,
    BoxText,
    ShareText,
)
_NUMBERS: Final = (int, bool, float, type(None))


class ControlMessage(Wire):
    """Base of the bodies that may leave at once.

    Subclasses are checked when they are defined: every field is an enum, a literal, an id, a digest, a key, a
    signature, an error code, a number, a time, or a tuple or `Part` of these.

    Raises:
        TypeError: at class creation, if a field could hold free text or unknown keys would be accepted.
    """

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a message class that could carry free text."""
        super().__pydantic_init_subclass__(**kwargs)
        _refuse_loose(cls)
        for name, declared in _fields(cls).items():
            if not _is_closed(declared):
                raise TypeError(f"{cls.__name__}.{name} could hold free text: a control message never does")


def _refuse_loose(cls: type[Wire] | type[Part]) -> None:
    if cls.model_config.get("extra") != "forbid" or not cls.model_config.get("strict"):
        raise TypeError(f"{cls.__name__} would accept unknown keys or loose types")
    if cls.model_computed_fields:
        raise TypeError(f"{cls.__name__} has computed fields, which nothing checks")


def _fields(cls: type[Wire] | type[Part]) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    return {name: hints[name] for name in cls.model_fields}


def _is_closed(declared: Any) -> bool:
    if declared in _TEXT_THAT_IS_NOT_FREE or declared in _NUMBERS:
        return True
    origin = get_origin(declared)
    if origin is Annotated:
        return _annotated_is_closed(declared)
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType):
        return all(_is_closed(each) for each in get_args(declared))
    if origin is tuple:
        return all(each is Ellipsis or _is_closed(each) for each in get_args(declared))
    if isinstance(declared, type) and issubclass(declared, Enum):
        return True
    if isinstance(declared, type) and issubclass(declared, Part):
        _refuse_loose(declared)
        return all(_is_closed(each) for each in _fields(declared).values())
    return False


def _annotated_is_closed(declared: Any) -> bool:
    inner, *extras = get_args(declared)
    if _is_closed(inner):
        return True
    # Annotated flattens: Annotated[Id, Field(...)] is Annotated[str, <Id's extras>, Field(...)].
    for closed in _TEXT_THAT_IS_NOT_FREE:
        base, *required = get_args(closed)
        if inner is base and all(any(_same(want, got) for got in extras) for want in required):
            return True
    return False


def _same(want: Any, got: Any) -> bool:
    if isinstance(want, FieldInfo) and isinstance(got, FieldInfo):
        return bool(want.metadata) and all(each in got.metadata for each in want.metadata)
    return bool(want == got)


class ErrorReport(ControlMessage):
    """The content of an output of class `error`: a code, and nothing about what it was computed on."""

    schema_name = "error/1"

    code: ErrorCode
