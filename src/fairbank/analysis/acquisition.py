"""How a CT series was made, as far as it matters to a measurement: kernel, contrast, breathing, kind of image.

What the site knows beside the files comes first: cleaning takes descriptions away, and what they said with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from fairbank.analysis.dicom_frames import Header, functional_value
from fairbank.analysis.staged import StagedSeries
from fairbank.deid.facts import (
    Contrast,
    KernelClass,
    RespiratoryPhase,
    contrast_of,
    kernel_class,
    respiratory_phase_of,
)

Word = TypeVar("Word", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Acquisition:
    """How a series was made; what nobody says is unknown."""

    kernel: KernelClass
    contrast: Contrast
    phase: RespiratoryPhase
    localizer: bool


def acquisition_of(item: StagedSeries, header: Header) -> Acquisition:
    """Return how a series was made.

    Args:
        item: the series, with what the site knows of it.
        header: one of its headers; it fills what the site does not know.

    Source: DICOM PS3.3, C.8.2.1.1.1, for the third value of Image Type.
    """
    dataset = header.dataset
    kernel = functional_value(dataset, 0, "CTReconstructionSequence", "ConvolutionKernel") or ""
    first = kernel if isinstance(kernel, str) else str(next(iter(kernel), ""))
    kinds = {str(word).upper() for word in dataset.get("ImageType") or ()}
    return Acquisition(
        kernel=_known(item, "kernel_class", KernelClass) or kernel_class(first),
        contrast=_known(item, "contrast", Contrast) or contrast_of(dataset),
        phase=_known(item, "respiratory_phase", RespiratoryPhase) or respiratory_phase_of(dataset),
        localizer="LOCALIZER" in kinds,
    )


def _known(item: StagedSeries, name: str, words: type[Word]) -> Word | None:
    said = item.facts.get(name, "unknown")
    known = {word.value: word for word in words}
    return known[said] if said != "unknown" and said in known else None
