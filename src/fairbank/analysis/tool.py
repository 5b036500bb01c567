"""What an analysis tool is, and which ones there are."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from fairbank.analysis.code_digest import code_digest
from fairbank.analysis.contract import Contract, Row
from fairbank.analysis.errors import ToolDigestMismatch, ToolParametersRefused, ToolUnknown
from fairbank.analysis.staged import StagedSeries

# A second tool adds a line here; an entry-point group follows when others bring tools.
_TOOLS = {"intensity-geometry": "fairbank.analysis.intensity_geometry"}
_ALWAYS = ("fairbank.analysis.contract", "fairbank.analysis.staged", "fairbank.analysis.tool")


class ToolParameters(BaseModel):
    """The root of all parameter schemas: unknown names and out-of-range values are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Tool(Protocol):
    """Turns staged series into rows."""

    name: str
    version: str
    modules: tuple[str, ...]
    parameters: type[ToolParameters]

    def contract(self, parameters: Any) -> Contract:
        """Return the columns that these parameters lead to."""
        ...

    def measure(self, series: Sequence[StagedSeries], parameters: Any) -> Iterator[Row]:
        """Yield one row per series; a series that cannot be measured yields its status."""
        ...


def tool_names() -> tuple[str, ...]:
    """Return the names of all tools."""
    return tuple(sorted(_TOOLS))


def tool_named(name: str) -> Tool:
    """Return a tool.

    Raises:
        ToolUnknown: if there is none of that name.
    """
    if name not in _TOOLS:
        raise ToolUnknown(
            f"There is no analysis tool {name!r}.",
            why=f"This version has: {', '.join(tool_names())}.",
            todo="Choose one of these, or update the node.",
        )
    tool: Tool = import_module(_TOOLS[name]).TOOL
    return tool


@cache
def tool_digest(name: str) -> str:
    """Return the digest of a tool's code at this installation."""
    return code_digest((*_ALWAYS, *tool_named(name).modules))


def require_tool(name: str, digest: str) -> Tool:
    """Return a tool whose code is the code that was approved.

    Raises:
        ToolDigestMismatch: if it is not.
    """
    found = tool_digest(name)
    if found != digest:
        raise ToolDigestMismatch(
            f"The code of {name!r} at this site has the digest {found}, approved was {digest}.",
            why="A site runs only the code that was approved, byte for byte.",
            todo="Use one version of fairbank at the requester and the site, and have it approved again.",
        )
    return tool_named(name)


def tool_parameters(name: str, values: Mapping[str, object]) -> ToolParameters:
    """Return checked parameters of a tool.

    Raises:
        ToolParametersRefused: naming each parameter that is unknown or out of range.
    """
    try:
        return tool_named(name).parameters.model_validate_json(json.dumps(dict(values)))
    except ValidationError as err:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in err.errors())
        raise ToolParametersRefused(
            f"The parameters of {name!r} are refused.",
            why=faults + ".",
            todo="Correct them; `fairbank tool show` prints the schema.",
        ) from err
