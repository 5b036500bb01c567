"""Selectors against the index: filters, the pick rule per unit, and columns that stay true."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from fairbank import migrations
from fairbank.database import reading, writing
from fairbank.harvest.aspects import Aspect, Assessment, computed
from fairbank.harvest.datasets import Description, define_dataset
from fairbank.harvest.rows import AGAINST_CONTIGUITY, blank_values, contiguous
from fairbank.harvest.selection import select
from fairbank.harvest.states import State
from fairbank.harvest.store import SeriesRow
from fairbank.ontology.attributes import ATTRIBUTES
from fairbank.ontology.record import CollectionKind
from fairbank.ontology.selection import DEFAULT_FOR_ANALYSIS, default_within
from fairbank.ontology.signed_objects import Pick, Selector, Unit, narrows
from fairbank.release.node import Node

Put = Callable[..., None]
THINNEST = Selector(unit=Unit.STUDY, pick=Pick.THINNEST_CONTIGUOUS)


@pytest.fixture
def put(node: Node) -> Put:
    """Put a series into the index of the dataset `lungs`; the number says which."""
    text = Description("Lungs", "CT of the chest.", CollectionKind.CLINICAL)
    define_dataset(node, "lungs", project="lungs", description=text)

    def one(number: int, study: str = "1", **facts: Any) -> None:
        plain = blank_values() | {
            "modality": "CT",
            "kernel": "soft",
            "contrast": "no",
            "slice_thickness_mm": 1.0,
            "contiguous": True,
            "derived": False,
            "instances": 100,
            "content_digest": f"sha256:{number:064}",
            "run": "r",
            "seen": node.clock.now(),
        }
        ids = {"project": "lungs", "series_uid": f"2.25.{number}", "study_uid": study, "subject": study}
        where = {"state": State.LIVE.value, "source": "", "held": None, "gone": None, "directory": "/x"}
        with writing(node.engine) as session:
            session.add(SeriesRow(**(plain | ids | where | facts)))

    return one


def taken(node: Node, selector: Selector) -> list[int]:
    with reading(node.engine) as session:
        found = select(session, "lungs", selector, at=node.clock.now())
    return [int(one.series_uid.removeprefix("2.25.")) for one in found]


def test_the_default_takes_one_series_per_study_thin_whole_soft_and_without_contrast(
    node: Node, put: Put
) -> None:
    put(1, slice_thickness_mm=0.5, contiguous=False)
    put(2, slice_thickness_mm=0.6, kernel="sharp")
    put(3, slice_thickness_mm=0.7, contrast="yes")
    put(4, slice_thickness_mm=1.0)
    put(5, slice_thickness_mm=5.0)
    put(6, "2", slice_thickness_mm=5.0)
    put(7, "2", slice_thickness_mm=None, instances=900)
    put(8, "3", contiguous=None)
    assert taken(node, DEFAULT_FOR_ANALYSIS) == [4, 6]


def test_a_series_known_to_be_without_contrast_is_preferred_to_an_unknown_one(node: Node, put: Put) -> None:
    put(1, contrast="unknown", slice_thickness_mm=0.5)
    put(2, contrast="no", slice_thickness_mm=2.0)
    assert taken(node, DEFAULT_FOR_ANALYSIS) == [2]


def test_reformatted_images_are_picked_only_where_there_are_no_others(node: Node, put: Put) -> None:
    put(1, derived=True, slice_thickness_mm=0.5)
    put(2, derived=None)
    put(3, "2", derived=True)
    assert taken(node, THINNEST) == [2, 3]


def test_the_kernel_is_asked_of_ct_only(node: Node, put: Put) -> None:
    put(1, modality="MR", kernel="unknown")
    put(2, "2", kernel="unknown")
    assert taken(node, Selector(kernel=("soft",))) == [1]


def test_where_the_unit_is_the_series_the_rule_still_judges_each(node: Node, put: Put) -> None:
    put(1)
    put(2, contiguous=None)
    put(3)
    assert taken(node, Selector(unit=Unit.SERIES, pick=Pick.THINNEST_CONTIGUOUS)) == [1, 3]
    assert taken(node, Selector(unit=Unit.SERIES, pick=Pick.MOST_INSTANCES)) == [1, 2, 3]


FILTERS = [
    ({"body_part": ("CHEST",)}, {"body_part": "CHEST"}, {"body_part": "HEAD"}),
    ({"slice_thickness_max_mm": "1.5"}, {"slice_thickness_mm": 1.5}, {"slice_thickness_mm": 1.6}),
    ({"slice_thickness_max_mm": "1.5"}, {"slice_thickness_mm": 1.0}, {"slice_thickness_mm": None}),
    ({"slice_thickness_min_mm": "2"}, {"slice_thickness_mm": 2.0}, {"slice_thickness_mm": 1.9}),
    ({"contrast": ("yes",)}, {"contrast": "yes"}, {"contrast": "unknown"}),
    ({"sex": ("F",)}, {"sex": "F"}, {"sex": "unknown"}),
    ({"age_band": ("60-64", "65-69")}, {"age_band": "65-69"}, {"age_band": "70-74"}),
    ({"acquired_from": 2015}, {"acquisition_year": 2015}, {"acquisition_year": 2014}),
    ({"acquired_to": 2015}, {"acquisition_year": 2015}, {"acquisition_year": None}),
]


@pytest.mark.parametrize(("asked", "fits", "does_not"), FILTERS)
def test_a_filter_takes_what_fits_and_leaves_what_is_not_known(
    node: Node, put: Put, asked: dict[str, Any], fits: dict[str, Any], does_not: dict[str, Any]
) -> None:
    put(1, **fits)
    put(2, **does_not)
    assert taken(node, Selector()) == [1, 2]
    # The statement of a selector is kept; one that differs in this filter alone must not get the other's.
    assert taken(node, Selector(**asked)) == [1]


@pytest.mark.parametrize(("asked", "fits", "does_not"), FILTERS)
def test_a_filter_narrows_and_lifting_it_does_not(
    asked: dict[str, Any], fits: dict[str, Any], does_not: dict[str, Any]
) -> None:
    assert narrows(Selector(**asked), Selector())
    assert not narrows(Selector(), Selector(**asked))


def test_bounds_narrow_by_their_numbers() -> None:
    one, two = Selector(slice_thickness_max_mm="1.50"), Selector(slice_thickness_max_mm="10")
    assert narrows(one, two)
    assert not narrows(two, one)
    assert narrows(Selector(acquired_from=2016), Selector(acquired_from=2015))
    assert not narrows(Selector(acquired_from=2014), Selector(acquired_from=2015))


@pytest.mark.parametrize(
    "granted",
    [
        Selector(),
        Selector(modality=("CT",), kernel=("sharp",)),
        Selector(unit=Unit.SUBJECT, pick=Pick.MOST_INSTANCES),
        Selector(slice_thickness_max_mm="2", contrast=("yes",)),
    ],
)
def test_the_default_lies_within_every_grant(granted: Selector) -> None:
    assert narrows(default_within(granted), granted)


def test_a_selector_that_uses_nothing_new_is_sealed_as_before() -> None:
    assert set(Selector().model_dump(mode="json")) == {
        "unit", "pick", "modality", "body_part", "manufacturer", "minimum_instances",
    }  # fmt: skip


@pytest.mark.parametrize(
    "word", [{"kernel": ("hard",)}, {"sex": ("female",)}, {"age_band": ("60+",)}, {"contrast": ("none",)}]
)
def test_a_word_that_the_index_does_not_know_is_refused(word: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(word))):
        Selector(**word)


@pytest.mark.parametrize("name", ["kernel", "contrast", "sex", "age_band"])
def test_a_selector_takes_every_word_of_the_index(name: str) -> None:
    words = ATTRIBUTES[name.replace("_", "-")].words
    assert getattr(Selector(**{name: words}), name) == words


def test_what_could_not_be_assessed_is_not_called_contiguous() -> None:
    whole = {aspect: computed(False) for aspect in AGAINST_CONTIGUITY}
    assert contiguous(whole) is True
    assert contiguous(whole | {Aspect.SLICE_GAPS: Assessment(assessed=False)}) is None
    assert contiguous(whole | {Aspect.SLICE_GAPS: computed(True)}) is False
    assert contiguous({}) is None


def test_the_step_fills_the_columns_from_what_is_known_already(node: Node, put: Put) -> None:
    good = {aspect.value: {"assessed": True, "affected": False} for aspect in AGAINST_CONTIGUITY}
    kind = {"values": {"ImageType": ["DERIVED\\SECONDARY\\MPR"]}}
    put(1, quality=good, acquisition=kind)
    put(2, quality=good | {"slice-gaps": {"assessed": True, "affected": True}}, acquisition={})
    put(3, quality={}, acquisition={})
    put(4, **blank_values())
    step = _step()
    with writing(node.engine) as session:
        session.execute(update(SeriesRow).values(contiguous=None, derived=None))
        step.fill(session.connection())
    with reading(node.engine) as session:
        rows = session.query(SeriesRow).order_by(SeriesRow.series_uid).all()
        assert [(row.contiguous, row.derived) for row in rows] == [
            (True, True), (False, None), (None, None), (None, None),
        ]  # fmt: skip


def _step() -> Any:
    name = "2026_11_30_which_series_are_contiguous_and_derived.py"
    path = Path(migrations.__file__).parent / "node" / "versions" / name
    spec = importlib.util.spec_from_file_location("step", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
