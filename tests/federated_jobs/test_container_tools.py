"""Tools that are containers: what their manifests must say, what their digest covers, which options they take."""

from __future__ import annotations

from typing import Any

import pytest
from tests.federated_jobs.containers import COLUMNS, OPTIONS, container_manifest

from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.container_tools import container_digest, container_tool, contract_of, finding
from fairbank.federated_jobs.errors import CodeUnknown, OptionRefused, ToolRefused
from fairbank.federated_jobs.tool_manifests import check_installed
from fairbank.ontology.tools import Container, OutputColumn

KEY = "ed25519:" + "A" * 43


def with_options(**properties: Any) -> Any:
    return container_manifest(KEY, parameters={**OPTIONS, "properties": properties})


def test_a_container_is_a_tool_with_its_own_options_and_columns() -> None:
    manifest = container_manifest(KEY)
    tool = check_installed(manifest)
    assert tool.code() == manifest.code
    assert tool.check_parameters({"level": 7}) == {"level": 7, "mode": "fast"}
    assert contract_of(tool, {}).names == ("row", "status", "reason", "files", "mean")
    assert finding(lambda: [manifest])(manifest.code).code() == tool.code()
    for options in ({"level": 10}, {"level": "7"}, {"mode": "slow"}, {"speed": 1}, {"level": True}):
        with pytest.raises(OptionRefused):
            tool.check_parameters(options)


@pytest.mark.parametrize(
    "changes",
    [
        {"container": Container(image="x@sha256:" + "c" * 64, command=("/bin/sh",))},
        {"container": Container(image="localhost/fairbank-test@sha256:" + "b" * 64, command=("/bin/other",))},
        {"columns": COLUMNS[:-1]},
        {"parameters": {**OPTIONS, "properties": {}}},
        {"outputs": (container_manifest(KEY).outputs[0].model_copy(update={"maximum_bytes": 5}),)},
    ],
)
def test_the_digest_covers_all_that_decides(changes: dict[str, Any]) -> None:
    manifest = container_manifest(KEY)
    changed = manifest.model_copy(update=changes)
    assert container_digest(changed) != manifest.code.digest
    with pytest.raises(ToolRefused):
        container_tool(changed)


def test_what_does_not_decide_is_not_in_the_digest() -> None:
    assert container_digest(container_manifest(KEY, title="Other")) == container_digest(
        container_manifest(KEY)
    )


def column(**changes: Any) -> OutputColumn:
    return COLUMNS[-1].model_copy(update=changes)


@pytest.mark.parametrize(
    "columns",
    [
        COLUMNS[1:],
        (COLUMNS[0], COLUMNS[2]),
        (COLUMNS[0], COLUMNS[1].model_copy(update={"words": ("ok", "fine")}), *COLUMNS[2:]),
        (*COLUMNS, column(name="row2", type="row-id")),
        (*COLUMNS, column(name="Bad Name")),
        (*COLUMNS, column(type="text")),
        (*COLUMNS, COLUMNS[-1]),
    ],
)
def test_columns_that_rows_cannot_be_judged_by_are_refused(columns: tuple[OutputColumn, ...]) -> None:
    with pytest.raises(ToolRefused):
        container_tool(container_manifest(KEY, columns=columns))


def test_the_name_of_an_installed_tool_is_not_free() -> None:
    taken = container_manifest(KEY).code.model_copy(update={"name": "radiomics"})
    manifest = container_manifest(KEY, code=taken)
    with pytest.raises(ToolRefused, match="part of fairbank"):
        container_tool(manifest)
    with pytest.raises(CodeUnknown):
        finding(lambda: [manifest])(manifest.code)
    assert finding(lambda: [manifest])(tool_named("noop").code()) == tool_named("noop")


@pytest.mark.parametrize(
    "one",
    [
        {"type": "number", "default": 1},
        {"type": "object", "default": {}},
        {"type": "string"},
        {"type": "string", "format": "uri", "default": ""},
        {"$ref": "#/x", "default": 1},
        {"type": "string", "pattern": "(", "default": "a"},
        {"type": "string", "pattern": "^a+$", "default": "b"},
        {"type": "integer", "minimum": 5, "default": 1},
        {"type": "array", "items": {"type": "array"}, "default": []},
        {"type": "array", "default": []},
        {"type": "string", "enum": [], "default": "a"},
        {"anyOf": [], "default": 1},
        "string",
    ],
)
def test_options_that_are_not_plainly_described_are_refused(one: Any) -> None:
    with pytest.raises(ToolRefused):
        container_tool(with_options(level=one))


def test_options_may_be_required_and_may_be_lists() -> None:
    manifest = container_manifest(
        KEY,
        parameters={
            "type": "object",
            "required": ["organs"],
            "properties": {
                "organs": {
                    "type": "array",
                    "items": {"type": "string", "enum": ["lung", "liver"]},
                    "maxItems": 2,
                },
                "spacing": {"type": "string", "pattern": "^[0-9.]+$", "default": "1.5"},
                "post": {"type": "boolean", "default": True},
            },
        },
    )
    tool = container_tool(manifest)
    assert tool.check_parameters({"organs": ["lung"]}) == {"organs": ["lung"], "spacing": "1.5", "post": True}
    for options in (
        {},
        {"organs": ["heart"]},
        {"organs": ["lung"] * 3},
        {"organs": ["lung"], "spacing": "x"},
    ):
        with pytest.raises(OptionRefused):
            tool.check_parameters(options)
