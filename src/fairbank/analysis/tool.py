"""What an analysis tool is, and which ones there are.

A tool measures one item at a time, so that items can be spread over processes, one bad item stops no other, and what
was measured before an interruption need not be measured again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, ValidationError

from fairbank.analysis.code_digest import code_digest
from fairbank.analysis.contract import Contract, Row
from fairbank.analysis.errors import ToolDigestMismatch, ToolParametersRefused, ToolUnknown
from fairbank.analysis.staged import StagedSeries

# An entry-point group follows when others bring tools.
_TOOLS = {
    "image-quality": "fairbank.analysis.image_quality",
    "intensity-geometry": "fairbank.analysis.intensity_geometry",
    "lung-densitometry": "fairbank.analysis.lung_densitometry",
    "radiomics": "fairbank.analysis.radiomics",
    "segmentation-inference": "fairbank.analysis.segmentation_inference",
    "statistics": "fairbank.analysis.statistics_tool",
}
NO_MODELS = Path("/nonexistent")
_ALWAYS = ("fairbank.analysis.contract", "fairbank.analysis.staged", "fairbank.analysis.tool")


class ToolParameters(BaseModel):
    """The root of all parameter schemas: unknown names and out-of-range values are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Desk:
    """Where a tool works on one item.

    Args:
        scratch: a folder for what it needs meanwhile; emptied after the item.
        overlays: a folder for pictures (PNG) that the curator of the site may look at; nothing in it ever leaves.
        say: takes the done part of the item, from 0 to 1.
        models: a folder with the models that came with the job, each under its digest.
    """

    scratch: Path
    overlays: Path
    say: Callable[[float], None] = lambda part: None
    models: Path = NO_MODELS


class Tool(Protocol):
    """Turns one staged item into rows.

    Attributes:
        modules: what its digest covers, besides what every tool uses.
        parameters: the schema of its parameters.
        reasons: the words by which it says why an item could not be measured.
    """

    name: str
    version: str
    modules: tuple[str, ...]
    parameters: type[ToolParameters]
    reasons: tuple[str, ...]

    def contract(self, parameters: Any) -> Contract:
        """Return the columns that these parameters lead to; `row`, `status` and `reason` are always among them."""
        ...

    def measure(self, item: StagedSeries, parameters: Any, desk: Desk) -> Sequence[Row]:
        """Return the rows of one item; what is missing in a row is empty.

        Raises:
            ItemImpossible: if it cannot be measured, with one of `reasons`.
        """
        ...


@runtime_checkable
class UsesModel(Protocol):
    """A tool that applies a model which comes with the job, named by the parameter `model`."""

    def check_model(self, parameters: Any, models: Path) -> None:
        """Refuse a model that cannot be used, before any item is measured.

        Raises:
            AnalysisError: saying why.
        """
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
    return code_digest(tool_modules(name))


def tool_modules(name: str) -> tuple[str, ...]:
    """Return the modules that the digest of a tool covers."""
    return (*_ALWAYS, *tool_named(name).modules)


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
