"""Options of tools as fields of a form: what is typed comes to the tool as the value that it takes."""

from __future__ import annotations

import dataclasses

import pytest

from fairbank.federated_jobs.code import Tool, tool_named, tools
from fairbank.federated_jobs.option_fields import FieldKind, faults_of, fields_of, typed_values


@pytest.mark.parametrize("tool", tools(), ids=[tool.name for tool in tools()])
def test_every_usual_value_can_be_typed_and_is_taken(tool: Tool) -> None:
    fields = fields_of(tool)
    assert {field.name for field in fields} == set(tool.schema().get("properties", {}))
    assert typed_values(fields, {field.name: field.default for field in fields}) == {}
    # Typed where nothing is usual, each comes as the value that it stands for.
    bare = [dataclasses.replace(field, default="") for field in fields]
    given = typed_values(bare, {field.name: field.default for field in fields})
    wrong = {fault.option for fault in faults_of(tool, {**tool.example, **given})}
    assert wrong <= {field.name for field in fields if field.required}


def test_a_range_and_its_ends_are_told() -> None:
    fields = {field.name: field for field in fields_of(tool_named("classification"))}
    rate, size, epochs = (fields[name] for name in ("learning_rate", "batch_size", "local_epochs"))
    assert (rate.kind, rate.low, rate.high, rate.open_low, rate.open_high) == (
        *(FieldKind.NUMBER, "0", "10"),
        *(True, False),
    )
    assert (size.kind, size.low, size.high) == (FieldKind.WHOLE, "1", "1024")
    assert epochs.meaning == "passes over a site's samples in each round."
    assert fields["optimizer"].choices == ("sgd", "adam", "adamw")


def test_what_is_wrong_is_told_option_by_option() -> None:
    tool = tool_named("classification")
    typed = {
        "batch_size": "0",
        "stride": "2",
        "classes": "a, b, c",
        "mixed_precision": "perhaps",
        "widht": "3",
    }
    given = typed_values(fields_of(tool), typed)
    assert given["classes"] == ["a", "b", "c"] and "stride" not in given
    faults = {fault.option: fault.unknown for fault in faults_of(tool, given)}
    assert faults == {"batch_size": False, "mixed_precision": False, "widht": True}
    assert faults_of(tool, {}) == ()
