"""The demo sites set k = 2 to have something to show; with the default of ten the same biobanks show no number."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from fairbank.harvest.publishing import preview
from fairbank.ontology.counts import Count, CountKind
from fairbank.ontology.record import DatasetRecord
from fairbank.settings import Settings

DEFAULT_K = 10


def numbers(record: DatasetRecord) -> Iterator[Count]:
    """Yield every count of a record that is about subjects or what was seen of them."""
    totals = record.totals
    yield from (totals.subjects, totals.studies, totals.series, totals.instances)
    for cell in record.cube:
        yield from (cell.subjects, cell.studies, cell.series)
    yield from (row.subjects for row in record.distributions)


@pytest.fixture(params=["northfield", "harbour", "southvale"])
def published(
    request: pytest.FixtureRequest, told: Any
) -> tuple[DatasetRecord, DatasetRecord, DatasetRecord]:
    """The exact record of one biobank, what the default k leaves of it, and what the demo's k leaves."""
    site = next(one for one in told.federation.sites if one.biobank.name == request.param)
    at_default = Settings(home=site.node.settings.home)
    assert at_default.release_minimum_count == DEFAULT_K
    strict = preview(replace(site.node, settings=at_default), site.biobank.dataset)
    lax = preview(site.node, site.biobank.dataset)
    return strict.exact, strict.record, lax.record


def test_a_biobank_of_fewer_than_ten_subjects_publishes_no_number_at_all(published: Any) -> None:
    exact, record, _ = published
    assert 0 < exact.totals.subjects.value < DEFAULT_K
    assert record.minimum_count == DEFAULT_K
    assert [count for count in numbers(record) if count.kind is CountKind.EXACT] == []
    assert record.totals.subjects == Count.below(DEFAULT_K)


def test_with_the_demo_s_k_its_totals_are_shown_and_no_single_subject(published: Any) -> None:
    exact, _, record = published
    assert record.totals.subjects == exact.totals.subjects
    assert record.totals.series == exact.totals.series
    for cell in record.cube:
        assert cell.subjects.kind is not CountKind.EXACT or cell.subjects.value >= 2


def test_suppression_hides_how_many_not_that_there_are_any(published: Any) -> None:
    exact, record, _ = published
    assert [(cell.modality, cell.manufacturer) for cell in record.cube] == [
        (cell.modality, cell.manufacturer) for cell in exact.cube
    ]
