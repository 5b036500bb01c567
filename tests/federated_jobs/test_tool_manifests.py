"""What a publisher may seal of a tool, and what is checked of it against the code that is installed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fairbank.analysis.tool import tool_named as analysis_tool
from fairbank.analysis.tool import tool_parameters
from fairbank.federated_jobs.code import tool_named, tools
from fairbank.federated_jobs.errors import ToolRefused
from fairbank.federated_jobs.tool_manifests import LARGEST_BYTES, builtin_manifest, check_installed
from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.tools import ToolManifest
from fairbank.signing import BadEnvelope, NotCanonical, SigningKey, payload_type, seal

PUBLISHER = SigningKey.generate()


def manifest(name: str = "lung-densitometry") -> ToolManifest:
    return builtin_manifest(
        tool_named(name),
        publisher="Example",
        publisher_key=PUBLISHER.key_id,
        created="2026-01-05T00:00:00.000Z",
    )


def payload(**changes: Any) -> dict[str, Any]:
    return {**manifest().payload(), **changes}


@pytest.mark.parametrize("name", [tool.name for tool in tools()])
def test_each_installed_tool_can_be_sealed_and_is_what_is_installed(name):
    envelope = manifest(name).seal(PUBLISHER)
    read, sealed = ToolManifest.open_own(envelope)
    assert check_installed(read).code() == read.code == tool_named(name).code()
    assert sealed.signer == PUBLISHER.key_id
    assert json.loads(envelope)["payloadType"] == payload_type("tool-manifest")
    assert len(envelope) < LARGEST_BYTES


def test_its_columns_and_options_are_those_of_the_code():
    made = manifest()
    contract = analysis_tool("lung-densitometry").contract(tool_parameters("lung-densitometry", {}))
    assert tuple(column.name for column in made.columns) == contract.names
    thickness = made.parameters["properties"]["maximum_thickness_mm"]  # type: ignore[index,call-overload]
    assert thickness["anyOf"][0]["maximum"] == "10"


@pytest.mark.parametrize(
    "changes",
    [
        {"surprise": 1},
        {"title": "<b>Best</b> tool"},
        {"description": "Measures.<script src=x>"},
        {"intended_use": "R&#101;search"},
        {"licence": "\x1b[31mApache-2.0"},
        {"publisher": "evil\u202eelpmaxE"},
        {"parameters": {"<i>": 1}},
        {"legal_status": "approved"},
        {"legal_status": "ce-marked"},
        {"inputs": {"maximum_thickness_mm": "1", "minimum_thickness_mm": "2"}},
        {"inputs": {"maximum_thickness_mm": "0"}},
        {"inputs": {"contrast": ["maybe"]}},
        {"validation": [{"data": "d", "measure": "m", "value": "about 3"}]},
        {"entry_point": None},
        {"container": {"image": "example.org/tool@sha256:" + "1" * 64, "command": ["run"]}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_is_not_of_the_schema_is_refused(changes):
    with pytest.raises(MalformedObject):
        ToolManifest.parse({key: value for key, value in payload(**changes).items() if value is not None})


def test_no_float_is_sealed_or_read():
    validation = [{"data": "d", "measure": "m", "value": 0.9}]
    with pytest.raises(MalformedObject):
        ToolManifest.parse(payload(validation=validation))
    with pytest.raises(MalformedObject):
        ToolManifest.parse(payload(parameters={"maximum": 0.5}))
    with pytest.raises(NotCanonical):
        seal("tool-manifest", payload(validation=validation), PUBLISHER)


def test_a_manifest_counts_only_under_the_key_that_it_names():
    with pytest.raises(MalformedObject, match="another key"):
        ToolManifest.open_own(manifest().seal(SigningKey.generate()))


def test_a_changed_byte_breaks_the_seal():
    envelope = json.loads(manifest().seal(PUBLISHER))
    other = json.loads(manifest().model_copy(update={"licence": "MIT"}).seal(PUBLISHER))
    with pytest.raises(BadEnvelope):
        ToolManifest.open_own(json.dumps({**envelope, "payload": other["payload"]}).encode())


def test_a_container_whose_digest_is_not_of_what_it_says_is_refused():
    boxed = payload(container={"image": "example.org/tool@sha256:" + "1" * 64, "command": ["run"]})
    del boxed["entry_point"]
    with pytest.raises(ToolRefused, match="container"):
        check_installed(ToolManifest.parse(boxed))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("entry_point", "os:system"),
        ("parameters", {}),
        ("columns", ()),
        ("extra", "train"),
        ("outputs", tool_named("noop").outputs),
        ("code", tool_named("noop").code()),
        ("code", tool_named("lung-densitometry").code().model_copy(update={"digest": "sha256:" + "1" * 64})),
    ],
)
def test_a_manifest_that_says_something_else_than_the_code_is_refused(field, value):
    with pytest.raises(ToolRefused):
        check_installed(manifest().model_copy(update={field: value}))
