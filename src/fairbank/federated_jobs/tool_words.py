"""How a tool and its versions in the registry are put into words, field by field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fairbank.federated_jobs.code import Tool


def installed_fields(tool: Tool) -> dict[str, Any]:
    """Return title, digest, options with their ranges, and outputs of an installed tool."""
    options = {
        f"option {name}": ", ".join(f"{key} {value}" for key, value in option.items() if key != "title")
        for name, option in tool.schema().get("properties", {}).items()
    }
    returned = {f"returns {one.name}": f"{one.output_class.value}, {one.media_type}" for one in tool.outputs}
    asked = {
        f"returns {one.name}, if asked": f"{one.output_class.value}, {one.media_type}"
        for one in tool.on_request
    }
    return {"title": tool.title, "digest": tool.digest, **options, **returned, **asked}


def review_fields(versions: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the registry tells of each version: publisher, use, validation, and what reviewers answered."""
    fields: dict[str, Any] = {}
    for number, version in enumerate(versions):
        # Of one version there may be several: those that were returned come after what was submitted later.
        before = f"{version['version']}{'' if number == 0 else f' ({number + 1})'}"
        for name, value in _version_fields(version).items():
            fields[f"{before} {name}"] = value
    return fields


def _version_fields(version: Mapping[str, Any]) -> dict[str, Any]:
    manifest = version["manifest"]
    fields: dict[str, Any] = {
        "review": f"{version['state']} since {version['since'][:10]}",
        "publisher": f"{version['publisher']}, {version['publisher_key']}",
        "code": version["code"],
        "intended use": manifest["intended_use"],
        "legal status": manifest["legal_status"],
        "licence": manifest["licence"],
        "measures": _inputs(manifest["inputs"]),
    }
    if version.get("words"):
        fields["because"] = version["words"]
    for place, tested in enumerate(manifest["validation"], start=1):
        subjects = f", {tested['subjects']} subjects" if "subjects" in tested else ""
        where = f" ({tested['reference']})" if "reference" in tested else ""
        fields[f"tested {place}"] = (
            f"{tested['data']}{subjects}: {tested['measure']} {tested['value']}{where}"
        )
    if not manifest["validation"]:
        fields["tested"] = "its publisher states no results"
    for answer in version["review"]:
        fields[f"criterion {answer['criterion']}"] = f"{'yes' if answer['met'] else 'no'}: {answer['words']}"
    return fields


def _inputs(inputs: Mapping[str, Any]) -> str:
    least, most = inputs.get("minimum_thickness_mm"), inputs.get("maximum_thickness_mm")
    said = (
        ("", inputs["modality"]),
        ("of ", inputs["body_part"]),
        ("slices of at least ", [f"{least} mm"] if least else []),
        ("slices of at most ", [f"{most} mm"] if most else []),
        ("contrast agent: ", inputs["contrast"]),
        ("with annotations: ", inputs["annotations"]),
    )
    return "; ".join(f"{before}{', '.join(values)}" for before, values in said if values) or "any series"
