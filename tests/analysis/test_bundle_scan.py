"""What a MONAI bundle may say, and the ways in which one tries to say more."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fairbank.analysis.bundle_scan import read_config, scan_bundle, scan_config
from fairbank.analysis.errors import BundleRefused

UNET: dict[str, Any] = {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": 2}
GOOD = {"network_def": UNET, "version": "0.1.0", "note": "costs $5, ask a@b.example, 50 % off"}


def bundle(file: Path, members: dict[str, bytes | str]) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file


def whole(**other: bytes | str) -> dict[str, bytes | str]:
    return {"configs/inference.json": json.dumps(GOOD), "models/model.safetensors": b"weights", **other}


def refused(file: Path, maximum_bytes: int = 1 << 20) -> str:
    with pytest.raises(BundleRefused) as caught:
        scan_bundle(file, maximum_bytes=maximum_bytes)
    return caught.value.why


def test_a_bundle_of_a_network_and_its_weights_is_taken(tmp_path: Path) -> None:
    found = scan_bundle(bundle(tmp_path / "b.zip", whole(LICENSE="Apache-2.0")), maximum_bytes=1 << 20)
    assert found.configs["configs/inference.json"] == GOOD
    assert found.weights == ("models/model.safetensors",)


@pytest.mark.parametrize(
    "name",
    [
        "UNet",
        "monai.networks.nets.UNet",
        "monai.networks.nets.swin_unetr.SwinUNETR",
        "monai.networks.blocks.Convolution",
        "torch.nn.Sequential",
        "torch.nn.modules.conv.Conv3d",
    ],
)
def test_networks_may_be_named(name: str) -> None:
    assert scan_config({"network_def": {"_target_": name}}) == []


@pytest.mark.parametrize(
    "name",
    [
        "subprocess.check_output",
        "os.system",
        "builtins.eval",
        "torch.load",
        "torch.hub.load",
        "torch.nn.parallel.distributed.os.system",
        "torch.nn.functional.relu",
        "torch.nn.modules.module.torch.load",
        "monai.networks.utils.convert_to_torchscript",
        "monai.networks.nets.resnet.os.Popen",
        "monai.bundle.run",
        "monai.networks.nets.UNet.__init__.__globals__",
        "eval",
        "UNet()",
        "torch.nn.Linear\n",
        "monai.networks.nets..UNet",
        ["subprocess", "check_output"],
        {"_target_": "UNet"},
        None,
        7,
    ],
)
def test_all_else_that_could_be_called_is_refused(name: object) -> None:
    (found,) = scan_config({"network_def": {"_target_": name}})
    assert found.place == "#network_def#_target_"
    assert "not on the list" in found.why


@pytest.mark.parametrize(
    "value",
    [
        "$import os",
        "$__import__('os').system('id')",
        "$monai.networks.nets.UNet(3, 1, 2)",
        "  $import os",
        "\n$1+1",
        "$",
        "@network_def",
        "%configs/other.json#net",
        "@network_def::_target_",
    ],
)
@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: [1, v], lambda v: {"a": {"b": [[{"c": v}]]}}])
def test_what_would_be_run_or_looked_up_is_refused_wherever_it_stands(value: str, wrap: Any) -> None:
    (found,) = scan_config({"network_def": {**UNET, "kernel_size": wrap(value)}})
    assert "not run" in found.why or "not taken" in found.why


@pytest.mark.parametrize(
    "config",
    [
        {"imports": ["import os"]},
        {"run": []},
        {"initialize": "x"},
        {"network_def": {**UNET, "_requires_": [1]}},
        {"network_def": {**UNET, "_mode_": "callable"}},
        {"network_def": {**UNET, "_disabled_": True}},
        {"$import os": 1},
        {"@a": 1},
        {"network_def": {**UNET, "pretrained": True}},
        {"network_def": {**UNET, "pretrained_url": "https://example.org/w.pt"}},
        {"network_def": {**UNET, "norm": {"_target_": "subprocess.check_output", "args": ["id"]}}},
    ],
)
def test_programs_and_foreign_weights_are_refused(config: dict[str, Any]) -> None:
    assert len(scan_config(config)) == 1


def test_deep_nesting_is_refused_and_does_not_exhaust_the_scan() -> None:
    deep: Any = "leaf"
    for _ in range(500):
        deep = [deep]
    assert [one.why for one in scan_config({"a": deep})] == ["it is nested too deeply"]
    with pytest.raises(BundleRefused):
        read_config(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", place="c.json")


@pytest.mark.parametrize(
    "text",
    [b'{"_target_": "UNet", "_target_": "os.system"}', b'{"a": NaN}', b"[1]", b"{", b"\xff\xfe", b'"UNet"'],
)
def test_json_that_could_be_read_in_two_ways_is_refused(text: bytes) -> None:
    with pytest.raises(BundleRefused):
        read_config(text, place="configs/inference.json")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("configs/inference.yaml", "YAML"),
        ("configs/INFERENCE.YML", "YAML"),
        ("models/model.pt", "'.pt'"),
        ("models/model.ts", "'.ts'"),
        ("scripts/__init__.py", "unusable name"),
        ("scripts/hook.py", "'.py'"),
        ("models/weights.pkl", "'.pkl'"),
        ("../escape.json", "unusable name"),
        ("/etc/passwd", "unusable name"),
        ("a\\b.json", "unusable name"),
        (".hidden.json", "unusable name"),
        ("MODELS/model.safetensors", "twice"),
    ],
)
def test_files_of_other_kinds_are_refused(tmp_path: Path, name: str, why: str) -> None:
    assert why in refused(bundle(tmp_path / "b.zip", whole(**{name: "{}"})))


def test_all_configurations_of_a_bundle_are_scanned(tmp_path: Path) -> None:
    evil = json.dumps({"evaluator": {"_target_": "subprocess.check_output"}})
    why = refused(bundle(tmp_path / "b.zip", whole(**{"docs/extra.json": evil})))
    assert "docs/extra.json#evaluator#_target_: 'subprocess.check_output'" in why


def test_links_and_what_grows_too_much_are_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("models/link.safetensors")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(bundle(tmp_path / "b.zip", whole()), "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("models/zeros.safetensors", bytes(4 << 20))
    why = refused(tmp_path / "b.zip", maximum_bytes=1 << 30)
    assert "link.safetensors: it is no plain file" in why
    assert "zeros.safetensors: it grows too much" in why


def test_a_bundle_that_is_too_large_incomplete_or_no_archive_is_refused(tmp_path: Path) -> None:
    assert "more than 10 bytes" in refused(bundle(tmp_path / "a.zip", whole()), maximum_bytes=10)
    assert "no weights" in refused(bundle(tmp_path / "b.zip", {"configs/a.json": "{}"}))
    assert "no configuration" in refused(bundle(tmp_path / "c.zip", {"m.safetensors": b"w"}))
    (tmp_path / "d.zip").write_bytes(b"PK\x03\x04 nothing")
    assert "no zip file" in refused(tmp_path / "d.zip")
