"""Whether a tool fits a dataset: what is told, what is not told, and in which words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairbank.ontology.tool_fit import Cell, Images, Verdict, fit
from fairbank.ontology.tools import AnnotationKind, ToolInputs
from fairbank.ontology.vocabulary import FORMER_THICKNESS_BANDS, THICKNESS_BANDS, thickness_band

LUNGS = ToolInputs(
    modality=("CT",), body_part=("CHEST",), maximum_thickness_mm="2.5", contrast=("no", "unknown")
)
THIN = Cell("CT", "CHEST", "1-1.5")


def images(*cells: Cell, contrast: tuple[str, ...] | None = ("no",)) -> Images:
    return Images(cells, contrast)


@pytest.mark.parametrize(
    ("found", "verdict", "says"),
    [
        (images(THIN), Verdict.YES, "It has series of CT of CHEST that it measures."),
        (images(Cell("CT", "HEART", "<1")), Verdict.YES, "HEART"),
        (images(), Verdict.UNKNOWN, "tells of no series"),
        (images(Cell("MR", "CHEST", "<1")), Verdict.NO, "no series of CT; its record lists MR"),
        (images(Cell("CT", "HEAD", "<1")), Verdict.NO, "measures CHEST, and the series are of HEAD"),
        (images(Cell("CT", "unknown", "<1")), Verdict.UNKNOWN, "body part of its series is unknown"),
        (
            images(Cell("CT", "CHEST", "3-5")),
            Verdict.NO,
            "at most 2.5 mm, and the series have slices of 3-5 mm",
        ),
        (images(Cell("CT", "CHEST", "2.5-3")), Verdict.UNKNOWN, "slices are of 2.5-3 mm"),
        (images(Cell("CT", "CHEST", "unknown")), Verdict.UNKNOWN, "unknown thickness"),
        (images(Cell("CT", "unknown", "<1"), Cell("CT", "CHEST", "unknown")), Verdict.UNKNOWN, "thickness"),
        (images(THIN, contrast=None), Verdict.UNKNOWN, "does not tell about contrast"),
        (
            images(THIN, contrast=("yes",)),
            Verdict.NO,
            "takes contrast agent no, unknown, and the series have yes",
        ),
        (images(THIN, contrast=("yes", "no")), Verdict.UNKNOWN, "which is not published"),
        # Thin slices of the head and thick ones of the chest are no thin slices of the chest.
        (images(Cell("CT", "HEAD", "<1"), Cell("CT", "CHEST", ">=5")), Verdict.NO, ">=5 mm"),
        (images(Cell("MR", "CHEST", "<1"), Cell("CT", "HEAD", "<1")), Verdict.NO, "of HEAD"),
    ],
)
def test_a_verdict_says_why(found, verdict, says):
    told = fit(LUNGS, found)
    assert told.verdict is verdict, told
    assert says in told.why
    assert told.why.endswith(".")


def test_what_needs_annotations_does_not_fit_where_there_are_none():
    inputs = ToolInputs(annotations=(AnnotationKind.SEG, AnnotationKind.RTSTRUCT))
    assert fit(inputs, images(THIN)).verdict is Verdict.NO
    assert fit(inputs, images(THIN, Cell("SEG", "CHEST", "unknown"))).verdict is Verdict.YES


def test_how_many_images_a_series_has_is_not_published():
    assert fit(ToolInputs(minimum_instances=20), images(THIN)).verdict is Verdict.UNKNOWN


@given(
    band=st.sampled_from((*THICKNESS_BANDS, *FORMER_THICKNESS_BANDS)),
    bounds=st.lists(st.decimals("0.1", "9", places=1), min_size=2, max_size=2).map(sorted),
    mm=st.decimals("0.1", "12", places=2),
)
def test_a_yes_is_true_of_every_thickness_of_a_band_and_a_no_of_every_one(band, bounds, mm):
    low, high = bounds
    inputs = ToolInputs(minimum_thickness_mm=str(low), maximum_thickness_mm=str(high))
    verdict = fit(inputs, images(Cell("CT", "CHEST", band))).verdict
    if thickness_band(float(mm)) == band:
        inside = low <= mm <= high
        assert verdict is not (Verdict.NO if inside else Verdict.YES)
