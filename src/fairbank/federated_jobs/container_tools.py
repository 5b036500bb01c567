"""Tools that are containers: what their publisher sealed is all that there is to know of them.

The digest of such a tool covers the image, the command, the options, the outputs and the columns, so that a job, a visa
and a site's approval that name the digest name all of them. The contract of a container: it finds the staged series and
`job.json` under `/inputs`, writes `/outputs/rows.json`, and ends with 0. Its rows are judged by the columns here before
the release gate sees them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, create_model

from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import MEASUREMENTS, Tool, WorkerKind, tool_of, tools
from fairbank.federated_jobs.errors import CodeUnknown, ToolRefused
from fairbank.federated_jobs.reasons import Reason
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Code
from fairbank.ontology.tools import OutputColumn, ToolManifest
from fairbank.signing import Digest, canonical, sha256_digest

if TYPE_CHECKING:
    from fairbank.analysis.contract import Contract

Find = Callable[[Code], Tool]
_DECIDES: Final = ("container", "parameters", "outputs", "columns")
_MEDIA_TYPE: Final = "application/json"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,59}")
_MOST_OPTIONS: Final = 100
_LONGEST_TEXT: Final = 1000
# Columns that tell rows of one series apart, where there are such.
_PARTS: Final = ("roi", "label")
_COLUMN_TYPES: Final = {"number": "number", "integer": "integer", "word": "word", "row-id": "row_id"}
_ABOUT: Final = frozenset({"title", "description", "default"})
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = {
    "string": frozenset({"enum", "pattern", "minLength", "maxLength"}),
    "integer": frozenset({"minimum", "maximum", "enum"}),
    "boolean": frozenset(),
    "array": frozenset({"items", "minItems", "maxItems"}),
}


def container_digest(manifest: ToolManifest) -> Digest:
    """Return the digest that names a container with all that decides what it does and what leaves."""
    payload = manifest.payload()
    return sha256_digest(canonical({name: payload[name] for name in _DECIDES}))


def container_tool(manifest: ToolManifest) -> Tool:
    """Return the tool that a sealed manifest of a container describes.

    Raises:
        ToolRefused: if it does not describe one that can be run.
    """
    assert manifest.container is not None
    _check(manifest)
    return Tool(
        name=manifest.code.name,
        family=manifest.code.family,
        version=manifest.code.version,
        title=manifest.title,
        worker=WorkerKind.CONTAINER,
        shelf=_ContainerShelf(manifest.code.digest, _model_of(manifest)),
        outputs=manifest.outputs,
        annotations=tuple(kind.value for kind in manifest.inputs.annotations),
        container=manifest.container,
        columns=manifest.columns,
    )


def finding(manifests: Callable[[], Iterable[ToolManifest]]) -> Find:
    """Return how a tool is found by its code: installed code first, then the containers of some sealed manifests.

    Args:
        manifests: returns them, verified; asked only where no installed tool has the name.
    """

    def find(code: Code) -> Tool:
        try:
            return tool_of(code)
        except CodeUnknown:
            for one in () if any(code.name == tool.name for tool in tools()) else manifests():
                if one.code == code and one.container is not None:
                    return _or_unknown(one)
            raise

    return find


def contract_of(tool: Tool, parameters: Mapping[str, JsonValue]) -> Contract:
    """Return the columns of the rows that a tool returns with some options."""
    if tool.container is not None:
        return contract_of_columns(tool.columns)
    from fairbank.analysis.tool import tool_named, tool_parameters

    return tool_named(tool.name).contract(tool_parameters(tool.name, parameters))


def contract_of_columns(columns: Iterable[OutputColumn]) -> Contract:
    """Return sealed columns as a contract that rows can be checked by."""
    from fairbank.analysis.contract import Column, ColumnType, Contract

    found = tuple(
        Column(one.name, ColumnType(_COLUMN_TYPES[one.type]), one.unit, one.meaning, one.words, one.biomarker)
        for one in columns
    )
    names = {one.name for one in found}
    return Contract(found, key=("row", *(part for part in _PARTS if part in names)))


@dataclass(frozen=True, slots=True)
class _ContainerShelf:
    """Where a container's tool is described: its manifest."""

    code: str
    options: type[BaseModel]

    def digest(self, name: str) -> str:
        return self.code

    def parameters(self, name: str) -> type[BaseModel]:
        return self.options

    def entry_point(self, name: str) -> str:
        return ""

    def modules(self, name: str) -> tuple[str, ...]:
        return ()


def _or_unknown(manifest: ToolManifest) -> Tool:
    try:
        return container_tool(manifest)
    except FairbankError as err:
        unknown = CodeUnknown(err.what, why=err.why, todo=err.todo)
        raise unknown.because(Reason.CODE_UNKNOWN) from err


def _check(manifest: ToolManifest) -> None:
    if manifest.code.digest != container_digest(manifest):
        raise _refused(
            "The digest of the code is not that of image, command, options, outputs and columns.",
            "Leave the digest out of the draft; it is worked out when it is sealed.",
        )
    if any(tool.name == manifest.code.name for tool in tools()):
        raise _refused(
            f"{manifest.code.name!r} is the name of a tool that is part of fairbank.", "Choose another name."
        )
    (output, *more) = manifest.outputs
    fits = (output.name, output.output_class, output.media_type)
    if more or fits != (MEASUREMENTS, OutputClass.MEASUREMENTS, _MEDIA_TYPE):
        raise _refused(
            "A container returns one table of measurements.",
            f"Name one output {MEASUREMENTS!r} of class 'measurements' and type {_MEDIA_TYPE}.",
        )
    _check_columns(manifest.columns)


def _check_columns(columns: tuple[OutputColumn, ...]) -> None:
    from fairbank.analysis.contract import RowStatus

    named = {one.name: one for one in columns}
    statuses = {status.value for status in RowStatus}
    types = {name: named[name].type for name in ("row", "status", "reason") if name in named}
    if types != {"row": "row-id", "status": "word", "reason": "word"}:
        raise _refused(
            "The columns 'row' (row-id), 'status' and 'reason' (words) are not all there.",
            "Every row names its series and says how its measuring ended.",
        )
    if set(named["status"].words) != statuses:
        raise _refused(
            f"The words of 'status' are not {', '.join(sorted(statuses))}.", "Use these, and no others."
        )
    for one in columns:
        if one.type not in _COLUMN_TYPES or not _NAME.fullmatch(one.name):
            raise _refused(
                f"The column {one.name[:60]!r} has an unusable name or type.",
                f"Types are {', '.join(_COLUMN_TYPES)}; names are small letters, digits and '_'.",
            )
        if one.type == "row-id" and one.name != "row":
            raise _refused("Only 'row' holds names of series.", "Leave other columns of names out.")
    if len(named) != len(columns):
        raise _refused("Two columns have the same name.", "Name each once.")


def _model_of(manifest: ToolManifest) -> type[BaseModel]:
    """Return the schema of a container's options, from the sealed one; only a plain part of JSON Schema is read."""
    schema = manifest.parameters
    if not set(schema) <= {"type", "properties", "required", "additionalProperties", "title", "description"}:
        raise _no_schema("it has keywords that are not read")
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if schema.get("type") != "object" or schema.get("additionalProperties", False) is not False:
        raise _no_schema("it does not describe an object without additional properties")
    if not isinstance(properties, dict) or len(properties) > _MOST_OPTIONS or not isinstance(required, list):
        raise _no_schema("its properties or its required ones cannot be read")
    fields: dict[str, Any] = {}
    for name, one in properties.items():
        if not _NAME.fullmatch(name) or name.startswith("model_") or not isinstance(one, dict):
            raise _no_schema("an option has an unusable name or description")
        if name not in required and "default" not in one:
            raise _no_schema(f"the option {name!r} is neither required nor has a default")
        fields[name] = (_type_of(name, one), ... if name in required else one["default"])
    try:
        made: type[BaseModel] = create_model(
            "Options", __config__=ConfigDict(strict=True, extra="forbid", validate_default=True), **fields
        )
        made.model_json_schema()
        if not required:
            made.model_validate({})
    except Exception as err:
        # Patterns and defaults are a stranger's; pydantic has errors of many kinds for them.
        raise _no_schema("a pattern, a range or a default in it does not go with the rest") from err
    return made


def _type_of(name: str, schema: dict[str, Any], *, inner: bool = False) -> Any:
    kind = schema.get("type")
    if not isinstance(kind, str) or kind not in _KEYWORDS or (inner and kind == "array"):
        raise _no_schema(f"the option {name!r} is of a type that is not read")
    if not set(schema) <= {"type", *_ABOUT, *_KEYWORDS[kind]}:
        raise _no_schema(f"the option {name!r} has keywords that are not read")
    about: dict[str, Any] = {"title": schema.get("title"), "description": schema.get("description")}
    if "enum" in schema:
        words = schema["enum"]
        if not isinstance(words, list) or not words or any(type(one) not in (str, int) for one in words):
            raise _no_schema(f"the words of the option {name!r} cannot be read")
        return Annotated[Literal[tuple(words)], Field(**about)]
    match kind:
        case "string":
            limits: dict[str, Any] = {"pattern": schema.get("pattern"), "min_length": schema.get("minLength")}
            longest = min(int(schema.get("maxLength", _LONGEST_TEXT)), _LONGEST_TEXT)
            return Annotated[str, Field(max_length=longest, **limits, **about)]
        case "integer":
            return Annotated[int, Field(ge=schema.get("minimum"), le=schema.get("maximum"), **about)]
        case "boolean":
            return Annotated[bool, Field(**about)]
        case _:
            item = schema.get("items")
            if not isinstance(item, dict):
                raise _no_schema(f"what the option {name!r} lists is not said")
            most = min(int(schema.get("maxItems", _MOST_OPTIONS)), _MOST_OPTIONS)
            limit = Field(min_length=schema.get("minItems"), max_length=most, **about)
            # A list, not a tuple: defaults are JSON.
            return Annotated[list[_type_of(name, item, inner=True)], limit]  # type: ignore[misc]  # made at run time


def _no_schema(why: str) -> ToolRefused:
    return ToolRefused(
        "The options of the container are not described as they have to be.",
        why=f"Of the JSON schema {why}.",
        todo="Describe an object of strings, integers, booleans and lists of these, each required or with a default; "
        "decimals are text.",
    )


def _refused(what: str, todo: str) -> ToolRefused:
    return ToolRefused(what, why="A container is judged by its manifest alone.", todo=todo)
