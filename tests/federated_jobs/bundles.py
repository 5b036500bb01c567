"""Bundles that tests train: tiny networks in MONAI's form, with or without weights."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

from fairbank.signing import file_digest


def network(outputs: int = 2) -> dict[str, Any]:
    return {
        "_target_": "UNet",
        "spatial_dims": 2,
        "in_channels": 1,
        "out_channels": outputs,
        "channels": [4, 8],
        "strides": [2],
        "num_res_units": 0,
        "norm": "instance",
    }


def segmenter(**other: Any) -> dict[str, Any]:
    """Return a configuration that trains a U-Net to draw one structure on slices."""
    return {
        "side": 8,
        "rate": 0.01,
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": network(),
        "network": "$@network_def.to(@device)",
        "loss": {"_target_": "DiceCELoss", "to_onehot_y": True, "softmax": True, "lambda_dice": "$1 / 2"},
        "optimizer": {"_target_": "torch.optim.Adam", "params": "$@network.parameters()", "lr": "$@rate * 2"},
        "train": {
            "deterministic_transforms": [
                {"_target_": "LoadImaged", "keys": ["image", "label"]},
                {
                    "_target_": "ScaleIntensityRanged", "keys": "image",
                    "a_min": -100, "a_max": 300, "b_min": 0, "b_max": 1, "clip": True,
                },
                {
                    "_target_": "RandCropByPosNegLabeld", "keys": ["image", "label"], "label_key": "label",
                    "spatial_size": ["@side", "@side"], "num_samples": 2,
                },
            ],
            "random_transforms": [
                {"_target_": "RandFlipd", "keys": ["image", "label"], "prob": 0.5, "spatial_axis": 0},
                {"_target_": "RandScaleIntensityd", "keys": "image", "factors": 0.1, "prob": 0.5},
            ],
            "preprocessing": {
                "_target_": "Compose",
                "transforms": "$@train#deterministic_transforms + @train#random_transforms",
            },
            "inferer": {"_target_": "SlidingWindowInferer", "roi_size": ["@side", "@side"], "overlap": 0.25},
        },
        **other,
    }  # fmt: skip


def classifier(**other: Any) -> dict[str, Any]:
    """Return a configuration that trains a small network to tell two classes of squares of 16 pixels."""
    return {
        "network_def": {
            "_target_": "monai.networks.nets.Classifier",
            "in_shape": [1, 16, 16],
            "classes": 2,
            "channels": [4, 8],
            "strides": [2, 2],
            "num_res_units": 0,
        },
        "loss": {"_target_": "torch.nn.CrossEntropyLoss", "label_smoothing": 0.05},
        "optimizer": {"_target_": "Adam", "params": "$@network_def.parameters()", "lr": 0.01},
        **other,
    }


def written(file: Path, config: dict[str, Any], *, weights: bytes | None = None, **members: bytes) -> str:
    """Write a bundle and return its digest."""
    with zipfile.ZipFile(file, "w") as archive:
        # A fixed time: the same bundle is the same file.
        archive.writestr(zipfile.ZipInfo("made/configs/train.json"), json.dumps(config))
        if weights is not None:
            archive.writestr(zipfile.ZipInfo("made/models/model.safetensors"), weights)
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(f"made/{name}"), content)
    return file_digest(file)
