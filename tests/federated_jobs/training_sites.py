"""Tiny sites for training: images whose label, or number, or drawn structure can be learnt in a few steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tests.analysis.annotated import LUNG, write_segmentation
from tests.analysis.made_up import write_series

from fairbank.federated_jobs.node.sandbox_policy import JobFolder
from fairbank.federated_jobs.node.sandbox_staging import AnnotationToStage, SeriesToStage, stage_series

SIZE = 16
WINDOW = {"low": "-100", "high": "300"}
# What a test of a template trains with: seconds at most.
QUICK: dict[str, Any] = {"image_size": SIZE, "batch_size": 4, "window": WINDOW, "learning_rate": "0.05"}


def images(
    folder: Path, words: Sequence[str | None], *, seed: int = 0, facts: Mapping[str, str] | None = None
) -> JobFolder:
    """Stage one slice for each word: a bright left half for `yes`, a bright right half for others, in noise.

    A subject whose word is None has no label.
    """
    chance = np.random.default_rng(seed)
    job = JobFolder(folder)
    series = []
    for place, word in enumerate(words, 1):
        frame = chance.normal(0.0, 30.0, (1, SIZE, SIZE))
        half = slice(0, SIZE // 2) if word == "yes" else slice(SIZE // 2, SIZE)
        frame[0, :, half] += 150.0
        files = write_series(folder / f"made-{place}", frame, Manufacturer="SIEMENS")
        asked = {"sex": "F" if place % 2 else "M"} | dict(facts or {})
        if word is not None:
            asked["label"] = word
        series.append(SeriesToStage(f"s{place:06d}-x", f"p{place:06d}-x", files, asked=asked))
    stage_series(series, job)
    return job


def numbered_images(folder: Path, numbers: Sequence[float], *, seed: int = 0) -> JobFolder:
    """Stage one slice for each number, as bright as it says."""
    chance = np.random.default_rng(seed)
    job = JobFolder(folder)
    series = []
    for place, number in enumerate(numbers, 1):
        frame = chance.normal(number, 5.0, (1, SIZE, SIZE))
        files = write_series(folder / f"made-{place}", frame)
        asked = {"label": "", "number": repr(float(number))}
        series.append(SeriesToStage(f"s{place:06d}-x", f"p{place:06d}-x", files, asked=asked))
    stage_series(series, job)
    return job


def volumes(folder: Path, count: int, *, seed: int = 0, without: int = 0) -> JobFolder:
    """Stage volumes of 8 x 16 x 16 with a bright block, and a segmentation that draws it as a lung.

    Args:
        without: how many of them come without a segmentation.
    """
    chance = np.random.default_rng(seed)
    job = JobFolder(folder)
    series = []
    for place in range(1, count + 1):
        voxels = chance.normal(0.0, 20.0, (8, SIZE, SIZE))
        mask = np.zeros(voxels.shape, dtype=bool)
        row, column = chance.integers(1, SIZE - 9, 2)
        mask[2:6, row : row + 8, column : column + 8] = True
        voxels[mask] += 150.0
        made = folder / f"made-{place}"
        files = write_series(made, voxels, spacing_mm=(2.0, 1.0, 1.0), FrameOfReferenceUID="1.2.3.99")
        annotations = ()
        if place > without:
            drawn = write_segmentation(
                made / "seg.dcm", {1: mask}, spacing_mm=(2.0, 1.0, 1.0), codes={1: LUNG}
            )
            annotations = (AnnotationToStage("SEG", (drawn,)),)
        asked = {"label": "yes" if place % 2 else "no"}
        names = f"s{place:06d}-x", f"p{place:06d}-x"
        series.append(SeriesToStage(*names, files, annotations=annotations, asked=asked))
    stage_series(series, job)
    return job
