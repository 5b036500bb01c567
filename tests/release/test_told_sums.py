"""Statistics at the gate: by their bytes, and beside the sums and counts that left before."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.ontology.outputs import STATISTIC_TYPE, DoorClass, OutputClass
from fairbank.ontology.signed_objects import Output
from fairbank.release import ledger, told_counts
from fairbank.release.candidates import Candidate
from fairbank.release.errors import GateRefused
from fairbank.release.ledger import EntryState
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.releases import Release
from fairbank.release.told_sums import Sums
from fairbank.settings import Settings

K = 10


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", release_minimum_count=K)


SEXES = ("F", "M", "O")


def people(first: int, last: int) -> frozenset[str]:
    return frozenset(f"p{number:03d}" for number in range(first, last))


def described(women: frozenset[str], men: frozenset[str], **changes: Any) -> Sums:
    """Return the sums of one variable over women and men, who are all of the selection."""
    told = {group: members for group, members in ((("F",), women), (("M",), men)) if members}
    made = Sums(
        statistic="describe",
        fitted=2,
        axes=(SEXES,),
        shapes={"sum": (1,), "squares": (1,)},
        table={group: len(members) for group, members in told.items()},
        told=told,
        everybody=women | men,
        cohort=women | men,
        datasets=("ct",),
        asked="job-1/1",
    )
    return replace(made, **changes)


def body(sums: Sums, **changes: Any) -> dict[str, Any]:
    values = {name: [1.5] * shape[0] for name, shape in sums.shapes.items()}
    return {
        "schema": "statistic/1",
        "statistic": sums.statistic,
        "round": 1,
        "parameters": sums.fitted,
        "subjects": len(sums.everybody),
        "withheld": sum(sums.table.values()) > sum(map(len, sums.told.values())),
        "cells": [
            {"group": list(group), "subjects": len(members), "values": values}
            for group, members in sums.told.items()
        ],
        **changes,
    }


def candidate(sums: Sums, said: dict[str, Any] | None = None, *, job: int = 1, round_: int = 1) -> Candidate:
    content = json.dumps(said if said is not None else body(sums, round=round_)).encode()
    limits = Output(
        name="sums", output_class=OutputClass.AGGREGATE, media_type=STATISTIC_TYPE, maximum_bytes=1 << 20
    )
    return Candidate(
        DoorClass.COUNT,
        "sums",
        content,
        STATISTIC_TYPE,
        job=f"01900000-0000-7000-8000-{job:012d}",
        round=round_,
        limits=limits,
        subjects=len(sums.everybody),
        sums=replace(sums, asked=f"job-{job}/{round_}"),
    )


def stage(outbox: Outbox, node: Node, made: Candidate) -> Release:
    with writing(node.engine) as session:
        return outbox.stage(session, made)


def refusal(outbox: Outbox, node: Node, made: Candidate) -> str:
    with pytest.raises(GateRefused) as refused:
        stage(outbox, node, made)
    with writing(node.engine) as session:
        outbox.note_refusal(session, made, refused.value)
    return " ".join(refused.value.verdict.reasons)


WOMEN, MEN = people(0, 20), people(20, 45)
SOUND = described(WOMEN, MEN)


# -- by their bytes -----------------------------------------------------------------------------------------------


def test_a_sound_statistic_may_leave(outbox: Outbox, node: Node) -> None:
    assert stage(outbox, node, candidate(SOUND)).media_type == STATISTIC_TYPE


def test_a_statistic_of_which_nobody_knows_the_subjects_is_refused(outbox: Outbox, node: Node) -> None:
    assert "Nobody said" in refusal(outbox, node, replace(candidate(SOUND), sums=None))


def cell(**changes: Any) -> dict[str, Any]:
    return body(SOUND)["cells"][0] | changes


@pytest.mark.parametrize(
    "said",
    [
        body(SOUND, note="seen by Dr Smith"),
        body(SOUND, schema="table/1"),
        body(SOUND, statistic="anova"),
        body(SOUND, round=2),
        body(SOUND, parameters=1),
        body(SOUND, subjects=46),
        body(SOUND, subjects="45"),
        body(SOUND, withheld=True),
        body(SOUND, withheld=0),
        body(SOUND, cells=[]),
        body(SOUND, cells=body(SOUND)["cells"][:1]),
        body(SOUND, cells=[*body(SOUND)["cells"], cell(group=["O"])]),
        body(SOUND, cells=[cell(), cell()]),
        body(SOUND, cells=[cell(), cell(group=["1.2.840.113619.2.55.3.6"])]),
        body(SOUND, cells=[cell(), cell(group=["M", "2024-01-31"])]),
        body(SOUND, cells=[cell(), cell(group=["M"], subjects=24)]),
        body(SOUND, cells=[cell(), cell(group=["M"], subjects=25, values={"sum": [1.5]})]),
        body(SOUND, cells=[cell(), cell(group=["M"], subjects=25, values={"sum": [1.5], "squares": [1, 2]})]),
        body(SOUND, cells=[cell(), cell(group=["M"], subjects=25, values={"sum": ["a"], "squares": [1]})]),
        body(SOUND, cells=[cell(), cell(group=["M"], subjects=25, values={"sum": [True], "squares": [1]})]),
        body(SOUND, cells=[cell(), cell(group=["M"], subjects=25, name="x")]),
    ],
    ids=range(21),
)
def test_whatever_says_more_or_other_than_was_computed_is_refused(
    outbox: Outbox, node: Node, said: dict[str, Any]
) -> None:
    assert refusal(outbox, node, candidate(SOUND, said))
    with reading(node.engine) as session:
        assert [entry.state for entry in ledger.entries(session)] == [EntryState.REFUSED]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_a_number_that_is_none_is_refused(outbox: Outbox, node: Node, number: str) -> None:
    made = candidate(SOUND)
    assert isinstance(made.content, bytes)
    assert refusal(outbox, node, replace(made, content=made.content.replace(b"1.5", number.encode(), 1)))


def test_a_cell_of_few_is_refused_even_if_it_was_computed(outbox: Outbox, node: Node) -> None:
    assert "fewer than 10" in refusal(outbox, node, candidate(described(people(0, 9), MEN)))


@pytest.mark.parametrize(("fitted", "leaves"), [(6, True), (7, False)])
def test_a_sum_rests_on_three_subjects_for_each_parameter(
    outbox: Outbox, node: Node, fitted: int, leaves: bool
) -> None:
    made = candidate(replace(SOUND, fitted=fitted))
    if leaves:
        stage(outbox, node, made)
    else:
        assert "fewer than 21" in refusal(outbox, node, made)


def test_a_cell_beside_one_that_is_withheld_alone_is_refused(outbox: Outbox, node: Node) -> None:
    sums = described(WOMEN, MEN, table={("F",): 20, ("M",): 25, ("O",): 4}, everybody=people(0, 49))
    assert "withheld one" in refusal(outbox, node, candidate(sums))


def test_a_cell_beside_two_that_protect_each_other_may_leave(outbox: Outbox, node: Node) -> None:
    sums = described(frozenset(), MEN, table={("F",): 20, ("M",): 25, ("O",): 4}, everybody=people(0, 49))
    stage(outbox, node, candidate(sums))


def test_a_site_that_rounds_tells_counts_only_and_rounded(outbox: Outbox, node: Node) -> None:
    rounding = replace(node, settings=replace(node.settings, release_rounding_base=5))
    door = Outbox(rounding)
    assert "rounds its counts" in refusal(door, rounding, candidate(SOUND))
    women, men = people(0, 21), people(21, 45)
    sums = described(women, men, statistic="count", shapes={})
    assert "another number" in refusal(door, rounding, candidate(sums, body(sums)))
    cells = [{"group": ["F"], "subjects": 20, "values": {}}, {"group": ["M"], "subjects": 25, "values": {}}]
    stage(door, rounding, candidate(sums, body(sums, cells=cells)))


# -- beside what left before --------------------------------------------------------------------------------------


def test_two_jobs_whose_difference_would_reveal_one_subject_are_not_both_answered(
    outbox: Outbox, node: Node
) -> None:
    stage(outbox, node, candidate(SOUND, job=1))
    one_fewer = described(WOMEN, MEN - {"p044"})
    assert "about few subjects" in refusal(outbox, node, candidate(one_fewer, job=2))


def test_the_same_subjects_may_be_asked_of_again(outbox: Outbox, node: Node) -> None:
    stage(outbox, node, candidate(SOUND, job=1))
    stage(outbox, node, candidate(replace(SOUND, statistic="anova"), job=2))


def test_a_difference_of_k_subjects_may_be_told(outbox: Outbox, node: Node) -> None:
    stage(outbox, node, candidate(SOUND, job=1))
    stage(outbox, node, candidate(described(WOMEN, MEN - people(20, 30)), job=2))


def test_what_two_parts_leave_of_a_whole_counts_too(outbox: Outbox, node: Node) -> None:
    stage(outbox, node, candidate(described(people(0, 45), frozenset()), job=1))
    part = described(people(0, 20), frozenset())
    stage(outbox, node, candidate(part, job=2))
    other = described(people(20, 43), frozenset())
    assert "about few subjects" in refusal(outbox, node, candidate(other, job=3))


def test_a_selection_is_compared_with_live_counts(outbox: Outbox, node: Node) -> None:
    rules = told_counts.Rules(k=K, base=1, most=9)
    with writing(node.engine) as session:
        told = told_counts.judge(
            session, "ct", "sha256:x", people(0, 44), published=[], rules=rules, at=node.clock.now()
        )
    assert told.value == 44
    assert "count that left before" in refusal(outbox, node, candidate(SOUND))


def test_a_live_count_is_compared_with_selections(outbox: Outbox, node: Node) -> None:
    stage(outbox, node, candidate(SOUND))
    rules = told_counts.Rules(k=K, base=1, most=9)
    for subjects, value in ((people(0, 44), None), (people(0, 35), 35), (people(0, 45), 45)):
        with writing(node.engine) as session:
            told = told_counts.judge(
                session, "ct", f"sha256:{len(subjects)}", subjects, published=[], rules=rules,
                at=node.clock.now(),
            )  # fmt: skip
        assert told.value == value


def test_a_selection_is_compared_with_published_records(outbox: Outbox, node: Node) -> None:
    near = replace(SOUND, published=(people(0, 47),))
    assert "count that left before" in refusal(outbox, node, candidate(near))
    stage(outbox, node, candidate(replace(SOUND, published=(people(0, 60),)), job=2))


def test_that_few_of_a_selection_have_no_value_may_be_told(outbox: Outbox, node: Node) -> None:
    stage(outbox, node, candidate(replace(SOUND, cohort=people(0, 47))))


def test_another_dataset_is_another_matter_and_one_that_overlaps_is_not(outbox: Outbox, node: Node) -> None:
    stage(outbox, node, candidate(SOUND, job=1))
    fewer = described(WOMEN, MEN - {"p044"}, datasets=("mr",))
    stage(outbox, node, candidate(fewer, job=2))
    both = described(WOMEN, MEN - {"p043"}, datasets=("ct", "mr"))
    assert "about few subjects" in refusal(outbox, node, candidate(both, job=3))


def test_every_round_is_charged_and_a_month_later_forgotten(
    outbox: Outbox, node: Node, clock: FixedClock
) -> None:
    bounded = replace(node, settings=replace(node.settings, release_sums_a_month=3))
    door = Outbox(bounded)
    for round_ in (1, 2, 3):
        stage(door, bounded, candidate(SOUND, round_=round_))
    assert "30 days" in refusal(door, bounded, candidate(SOUND, round_=4))
    clock.advance(timedelta(days=31).total_seconds())
    stage(door, bounded, candidate(SOUND, round_=4))


def test_a_round_that_is_staged_again_is_charged_once(outbox: Outbox, node: Node) -> None:
    bounded = replace(node, settings=replace(node.settings, release_sums_a_month=1))
    door = Outbox(bounded)
    first = stage(door, bounded, candidate(SOUND))
    assert stage(door, bounded, candidate(SOUND)).id == first.id


def test_what_was_told_of_a_withdrawn_subject_still_protects_them(outbox: Outbox, node: Node) -> None:
    stage(outbox, node, candidate(SOUND, job=1))
    with writing(node.engine) as session:
        told_counts.rename(session, ["ct"], "p044", "gone-1")
    left = described(WOMEN, MEN - {"p044"})
    assert "about few subjects" in refusal(outbox, node, candidate(left, job=2))
