"""What does not go with secure aggregation is refused before anybody approves it, with what to do instead."""

from __future__ import annotations

from typing import Any

import pytest

from fairbank.federated_jobs.axes.going_together import choice_named, refused_under_masks
from fairbank.federated_jobs.axes.validator import check_mix
from fairbank.federated_jobs.axes.words import chosen_in_words
from fairbank.federated_jobs.errors import OptionRefused
from fairbank.federated_jobs.secagg.fixed_point import FRACTION_BITS, Ring
from fairbank.federated_jobs.secagg.limits import MOST_BOUND, MOST_SAMPLES, MOST_SITES, USUAL_BOUND
from fairbank.federated_jobs.training_errors import PlanRefused
from fairbank.ontology.signed_objects import Element, Plan, PlanName, SecureAggregation, Training

MASKED = SecureAggregation(bound=USUAL_BOUND)


def checked(*, sites: int = 4, quorum: int = 4, plan: dict[str, Any] | None = None, **training: Any) -> None:
    asked = {
        "name": PlanName.AGGREGATION,
        "aggregator": "fedavg",
        "rounds": 3,
        "quorum": quorum,
        "approval_deadline": "2030-01-01T00:00:00.000Z",
    }
    check_mix(
        Plan.model_validate(asked | (plan or {})),
        Training.model_validate({"secure_aggregation": MASKED} | training),
        sites=sites,
    )


def with_filter(name: str, **options: Any) -> dict[str, Any]:
    return {"filters": (Element(name=name, options=options),)}


@pytest.mark.parametrize("aggregator", ["fedavg", "fedsgd", "fedavgm", "fedadam", "fedyogi", "fedadagrad"])
@pytest.mark.parametrize("filters", [{}, with_filter("difference"), with_filter("clip-norm", bound="2")])
def test_means_with_filters_that_keep_the_form_go_with_it(aggregator: str, filters: dict[str, Any]) -> None:
    checked(plan={"aggregator": aggregator}, **filters)
    checked(plan={"aggregator": aggregator}, sites=4, quorum=3, **filters)


@pytest.mark.parametrize(
    ("job", "what"),
    [
        ({"plan": {"name": PlanName.BUFFERED}}, "adds up"),
        ({"plan": {"aggregator": "median"}}, "single updates"),
        ({"plan": {"aggregator": "norm-bounded"}}, "single updates"),
        ({"plan": {"aggregator": "fednova"}}, "single updates"),
        ({"plan": {"aggregator_options": {"refuse_beyond": "3"}}}, "single updates"),
        (with_filter("int8"), "int8"),
        (with_filter("top-k"), "top-k"),
        (with_filter("zstd"), "zstd"),
        (with_filter("share", preset="fedbn"), "share"),
        ({"local_step": Element(name="scaffold")}, "scaffold"),
        ({"plan": {"options": {"measure_last": True}}}, "measures"),
        ({"sites": 2, "quorum": 2}, "takes 3 sites"),
        ({"sites": 6, "quorum": 4}, "takes 5"),
        ({"secure_aggregation": SecureAggregation(bound="much")}, "no number"),
        ({"secure_aggregation": SecureAggregation(bound="0")}, "above 0"),
        ({"secure_aggregation": SecureAggregation(bound="NaN")}, "above 0"),
        ({"secure_aggregation": SecureAggregation(bound="1e9")}, "above 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_go_with_it_is_refused_with_a_way_out(job: dict[str, Any], what: str) -> None:
    with pytest.raises(PlanRefused) as refused:
        checked(**job)
    assert what in refused.value.what
    assert refused.value.todo and refused.value.todo.endswith(".")


def test_the_choices_tell_whether_they_go_with_it() -> None:
    for name in ("fedavg", "clip-norm", "aggregation"):
        assert refused_under_masks(choice_named(name)[1]) is None, name
    for name in ("median", "int8", "buffered-asynchronous", "scaffold"):
        assert refused_under_masks(choice_named(name)[1]), name


def test_the_largest_sum_fits_into_the_ring() -> None:
    Ring(64, float(MOST_BOUND) * MOST_SAMPLES, MOST_SITES)
    assert MOST_BOUND * MOST_SAMPLES * MOST_SITES < 2 ** (63 - FRACTION_BITS)


def test_the_options_of_a_person_say_it_with_a_usual_bound() -> None:
    chosen = chosen_in_words(secure_aggregation=True).training
    assert chosen is not None and chosen.secure_aggregation == MASKED
    wider = chosen_in_words(secure_aggregation=True, bound="20").training
    assert wider is not None and wider.secure_aggregation == SecureAggregation(bound="20")
    with pytest.raises(OptionRefused):
        chosen_in_words(bound="20")
