"""References and expressions in the configuration of a bundle that trains: which are taken, and what they come to.

In MONAI a text that begins with `@` stands for another part of the configuration, and one that begins with `$` is
Python (`monai.bundle.config_item`). Here an expression is parsed, and its tree is compared with a short list of forms:
numbers, texts, lists, arithmetic, comparisons, a few functions of numbers, and the phrases with which bundles move a
network to a device. It is then worked out by this module; nothing is handed to Python's own evaluation.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

_LONGEST: Final = 500
_LARGEST: Final = 2**31
_MOST_ENTRIES: Final = 10_000
_REFERENCE: Final = re.compile(r"@([A-Za-z]\w*(?:(?:#|::)(?:[A-Za-z]\w*|\d+))*)", re.ASCII)
# A name that no bundle can have written: a reference is put in its place before an expression is parsed.
_STAND_IN: Final = "reference__"
_TOO_DEEP: Final = "it is nested too deeply"

Lookup = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class GivenHere:
    """Something that a bundle names and that is not its to choose: a device, a type of numbers, what is optimised."""

    what: str


class NotTaken(ValueError):
    """An expression has a form that is not taken; the text says which."""


def is_reference(text: str) -> bool:
    """Tell whether a text is one reference and nothing else."""
    return _REFERENCE.fullmatch(text.strip()) is not None


def references(text: str) -> tuple[str, ...]:
    """Return the parts that a reference or an expression names, as `a#b#0`.

    >>> references("$@train#a + [@b::c]")
    ('train#a', 'b#c')
    """
    return tuple(found.replace("::", "#") for found in _REFERENCE.findall(text))


def fault(text: str) -> str | None:
    """Return why an expression is not taken, None if it is.

    >>> fault("$@lr * 2"), fault("$__import__('os')")
    (None, "the call '__import__' is not taken")
    """
    try:
        tree, _ = _parsed(text)
        _check(tree)
    except NotTaken as err:
        return str(err)
    except RecursionError:
        return _TOO_DEEP
    return None


def worked_out(text: str, lookup: Lookup) -> Any:
    """Return what an expression comes to.

    Args:
        lookup: returns the value of a part that it refers to.

    Raises:
        NotTaken: if it has a form that is not taken, or cannot be worked out.
    """
    try:
        tree, names = _parsed(text)
        _check(tree)
        return _value(tree, lambda name: lookup(names[name]))
    except RecursionError as err:
        raise NotTaken(_TOO_DEEP) from err
    except (ArithmeticError, TypeError, ValueError, LookupError) as err:
        if isinstance(err, NotTaken):
            raise
        raise NotTaken("it cannot be worked out") from err


def _parsed(text: str) -> tuple[ast.expr, dict[str, str]]:
    """Return the tree of an expression, and which part each name in it stands for."""
    inner = text.strip().removeprefix("$").strip()
    if len(inner) > _LONGEST:
        raise NotTaken(f"it is longer than {_LONGEST} characters")
    if _STAND_IN in inner or "import" in inner.split():
        raise NotTaken("imports are not taken")
    names: dict[str, str] = {}

    def stand_in(found: re.Match[str]) -> str:
        name = f"{_STAND_IN}{len(names)}"
        names[name] = found[1].replace("::", "#")
        return name

    replaced = _REFERENCE.sub(stand_in, inner)
    try:
        return ast.parse(replaced, mode="eval").body, names
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        raise NotTaken("it is no expression that can be read") from err


_OPERATIONS: Final[Mapping[type[ast.operator], Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[Any, Any], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_SIGNS: Final[Mapping[type[ast.unaryop], Callable[[Any], Any]]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": abs,
    "float": float,
    "int": int,
    "len": len,
    "list": list,
    "max": max,
    "min": min,
    "round": round,
    "sum": sum,
    "tuple": tuple,
}
_TYPES: Final = frozenset({"float", "float16", "float32", "bfloat16", "half", "int64", "long", "uint8"})


def _check(tree: ast.expr) -> None:
    """Raise at the first form that is not taken."""
    match tree:
        case ast.Constant(value=bool() | int() | float() | None):
            return
        case ast.Constant(value=str() as text) if _STAND_IN not in text:
            return
        case ast.Name(id=name) if name.startswith(_STAND_IN):
            return
        case ast.Name(id=name):
            raise NotTaken(f"the name {name[:60]!r} is not taken")
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            _check_all(parts)
        case ast.Dict(keys=keys, values=values) if all(_is_name(key) for key in keys):
            _check_all(values)
        case ast.UnaryOp(op=op, operand=one) if type(op) in _SIGNS:
            _check(one)
        case ast.BinOp(left=left, op=operation, right=right) if type(operation) in _OPERATIONS:
            _check_all([left, right])
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in _COMPARISONS for op in ops
        ):
            _check_all([left, *others])
        case ast.BoolOp(values=parts):
            _check_all(parts)
        case ast.IfExp(test=test, body=body, orelse=other):
            _check_all([test, body, other])
        case ast.Subscript(value=inner, slice=place):
            _check_all([inner, place])
        case ast.Attribute(value=ast.Name(id="torch"), attr=name) if name in _TYPES:
            return
        case ast.Call(keywords=[]):
            _check_call(tree)
        case _:
            raise NotTaken(f"{type(tree).__name__} is no form that is taken")


def _check_all(trees: list[ast.expr]) -> None:
    for tree in trees:
        _check(tree)


def _is_name(key: ast.expr | None) -> bool:
    """Tell whether a key of an object is a name; those that begin with `_` are MONAI's own, and make things."""
    return isinstance(key, ast.Constant) and isinstance(key.value, str) and not key.value.startswith("_")


def _check_call(call: ast.Call) -> None:
    match call:
        case ast.Call(func=ast.Name(id=name), args=args) if name in _FUNCTIONS:
            _check_all(args)
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="parameters"), args=[]) if (
            name.startswith(_STAND_IN)
        ):
            return
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="to"), args=[ast.Name(id=device)]) if (
            name.startswith(_STAND_IN) and device.startswith(_STAND_IN)
        ):
            return
        case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="device"), args=[one]):
            _check(one)
        case ast.Call(
            func=ast.Attribute(
                value=ast.Attribute(value=ast.Name(id="torch"), attr="cuda"), attr="is_available"
            ),
            args=[],
        ):
            return
        case _:
            raise NotTaken(f"the call {ast.unparse(call.func)[:60]!r} is not taken")


def _value(tree: ast.expr, lookup: Lookup) -> Any:
    def of(inner: ast.expr) -> Any:
        return _value(inner, lookup)

    match tree:
        case ast.Constant(value=value):
            return _bounded(value)
        case ast.Name(id=name):
            return lookup(name)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            return [of(part) for part in parts]
        case ast.Dict(keys=keys, values=values):
            return {of(key): of(value) for key, value in zip(keys, values, strict=True) if key is not None}
        case ast.UnaryOp(op=op, operand=one):
            return _SIGNS[type(op)](of(one))
        case ast.BinOp(left=left, op=operation, right=right):
            return _worked(operation, of(left), of(right))
        case ast.Compare(left=left, ops=ops, comparators=others):
            sides = [of(left), *(of(other) for other in others)]
            pairs = zip(ops, pairwise(sides), strict=True)
            return all(_COMPARISONS[type(op)](one, other) for op, (one, other) in pairs)
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(of(part) for part in parts)
        case ast.BoolOp(values=parts):
            return any(of(part) for part in parts)
        case ast.IfExp(test=test, body=body, orelse=other):
            return of(body) if of(test) else of(other)
        case ast.Subscript(value=inner, slice=place):
            return of(inner)[of(place)]
        case ast.Attribute(attr=name):
            return GivenHere(name)
        case ast.Call(func=ast.Name(id=name), args=args):
            found = _bounded(_FUNCTIONS[name](*(of(one) for one in args)))
            return list(found) if isinstance(found, tuple) else found
        case ast.Call(func=ast.Attribute(value=network, attr="to")):
            return of(network)
        case ast.Call(func=ast.Attribute(attr="is_available")):
            # On which device is trained is the site's to say.
            return False
        case ast.Call(func=ast.Attribute(attr=name)):
            return GivenHere(name)
    raise NotTaken(f"{type(tree).__name__} is no form that is taken")


def _worked(operation: ast.operator, left: Any, right: Any) -> Any:
    numbers = all(isinstance(side, int | float) for side in (left, right))
    joined = isinstance(operation, ast.Add) and isinstance(left, list) and isinstance(right, list)
    if not (numbers or joined):
        raise NotTaken("arithmetic is taken of numbers, and sums of lists")
    return _bounded(_OPERATIONS[type(operation)](left, right))


def _bounded(value: Any) -> Any:
    if isinstance(value, int | float) and not abs(value) <= _LARGEST:
        raise NotTaken(f"numbers lie between -{_LARGEST} and {_LARGEST}")
    if isinstance(value, list | tuple | str) and len(value) > _MOST_ENTRIES:
        raise NotTaken(f"lists have at most {_MOST_ENTRIES} entries")
    return value
