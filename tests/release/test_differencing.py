"""Two publications told apart by a reader: the attack is written out here, by brute force, and finds nobody alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairbank.ontology.counts import Count
from fairbank.ontology.record import (
    CollectionKind,
    DatasetRecord,
    Distribution,
    HowKnown,
    Quality,
    Stratum,
    Totals,
)
from fairbank.ontology.wire import moment
from fairbank.release.contributions import Contributions, Key
from fairbank.release.differencing import Told, differ, faults, leaks, next_due
from fairbank.release.disclosure import faults as faults_alone
from fairbank.release.next_publication import Next, Rules, first_publication, next_publication
from fairbank.release.published_counts import (
    cell_key,
    counts_of,
    exact_counts,
    quality_key,
    row_key,
    total_key,
)
from fairbank.release.rounding import round_record, smallest_count

CELLS = ("CT", "MR", "PT", "MG", "US")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Person:
    """A subject: sex, and per cell how many series, of which how many lack slices."""

    sex: str
    series: Mapping[str, int]
    affected: int


World = dict[str, Person]


def axes(cell: str) -> tuple[str, str, str, str]:
    return cell, "CHEST", "GE", "<1"


def contributions(world: World, keys: list[Key] | None = None) -> Contributions:
    made = Contributions(keys)
    for name, person in world.items():
        amounts: Counter[Key] = Counter()
        for cell, number in person.series.items():
            amounts[cell_key(axes(cell), "series")] += number
            amounts[cell_key(axes(cell), "studies")] = 1
            amounts[cell_key(axes(cell), "subjects")] = 1
        amounts[total_key("subjects")] = amounts[total_key("studies")] = 1
        amounts[total_key("series")] = sum(person.series.values())
        amounts[total_key("instances")] = 100 * sum(person.series.values())
        amounts[row_key("sex", person.sex)] = 1
        if person.affected:
            amounts[quality_key("missing-slices")] = person.affected
        made.put(name, {made.number(key): amount for key, amount in amounts.items()})
    return made


def record_of(counts: Mapping[Key, int], *, version: int = 1, at: datetime = BEGIN) -> DatasetRecord:
    exact = {key: Count.exact(value) for key, value in counts.items()}
    none = Count.exact(0)
    cells = [cell for cell in CELLS if cell_key(axes(cell), "series") in counts]
    return DatasetRecord(
        node="a", dataset="d", version=version, title="t", description="d", publisher="p",
        collection_kind=CollectionKind.TEST, minimum_count=1,
        totals=Totals(**{name: exact.get(total_key(name), none) for name in Totals.model_fields}),
        cube=tuple(
            Stratum(
                modality=cell, body_part="CHEST", manufacturer="GE", slice_thickness="<1",
                **{name: exact[cell_key(axes(cell), name)] for name in ("series", "studies", "subjects")},
            )
            for cell in cells
        ),
        distributions=tuple(
            Distribution(attribute="sex", value=sex, how_known=HowKnown.HEADER, subjects=exact[row_key("sex", sex)])
            for sex in "FMO" if row_key("sex", sex) in counts
        ),
        quality=(
            Quality(
                aspect="missing-slices", assessed=True,
                series_affected=exact.get(quality_key("missing-slices"), none),
            ),
        ),
        provenance=(), created=moment(at),
    )  # fmt: skip


@dataclass
class History:
    """A node over the years: what is true, what is published."""

    rules: Rules
    state: Contributions = field(default_factory=Contributions)
    states: list[Contributions] = field(default_factory=list)
    published: list[DatasetRecord] = field(default_factory=list)

    def publish(self, world: World) -> Next | None:
        if not self.published:
            made: Next | None = first_publication(contributions(world), rules=self.rules, exact_of=record_of)
        else:
            now = contributions(world, self.state.keys)
            made = next_publication(self.state, now, self.published, rules=self.rules, exact_of=record_of)
        if made is not None:
            self.state = made.contributions
            self.published.append(made.record)
            self.states.append(self.state)
        return made


def person(rng: random.Random) -> Person:
    cells = rng.sample(CELLS, rng.choices((1, 2, 3), (6, 3, 1))[0])
    if rng.random() < 0.7:
        cells[0] = rng.choice(CELLS[:2])
    series = {cell: rng.choice((1, 1, 2, 6)) for cell in cells}
    affected = rng.randrange(1, sum(series.values()) + 1) if rng.random() < 0.3 else 0
    return Person(rng.choices("FMO", (9, 9, 1))[0], series, affected)


def year_after(world: World, rng: random.Random) -> World:
    """Return the world after some came, some withdrew, and some were scanned again."""
    later = dict(world)
    for name in rng.sample(sorted(later), min(len(later), rng.choice((0, 0, 1, 2, 9)))):
        del later[name]
    for name in rng.sample(sorted(later), min(len(later), rng.choice((0, 1, 3, 12)))):
        later[name] = person(rng)
    for _ in range(rng.choice((0, 1, 2, 5, 14, 30))):
        later[f"p{rng.getrandbits(48)}"] = person(rng)
    return later


# -- the attack ---------------------------------------------------------------------------------------------------


def few(value: int, k: int) -> bool:
    return 0 < abs(value) < k


def derived(told: Mapping[Key, int], total: Key, parts: Sequence[Key]) -> dict[frozenset[Key], int]:
    """Return the sum of every choice of parts that follows from what is told; parts that do not occur are 0."""
    found = {}
    for number in range(1, len(parts) + 1):
        for chosen in map(frozenset, combinations(parts, number)):
            others = [key for key in parts if key not in chosen]
            if all(key in told for key in chosen):
                found[chosen] = sum(told[key] for key in chosen)
            elif total in told and all(key in told for key in others):
                found[chosen] = told[total] - sum(told[key] for key in others)
    return found


def least(choices: set[frozenset[Key]]) -> list[frozenset[Key]]:
    """Return the choices that hold no other."""
    return [one for one in choices if not any(other < one for other in choices)]


def tables(record: DatasetRecord) -> Iterator[tuple[Key, list[Key], dict[Key, int], set[Key]]]:
    """Yield total, parts, what is told, and what is there but withheld, for each table that adds up."""
    told, listed = exact_counts(record), counts_of(record)
    for total, parts in (
        (total_key("series"), [cell_key(axes(cell), "series") for cell in CELLS]),
        (total_key("subjects"), [row_key("sex", sex) for sex in "FMO"]),
    ):
        known = {key: told.get(key, 0) for key in parts if key in told or key not in listed}
        if total in told:
            known[total] = told[total]
        yield total, parts, known, {key for key in parts if key in listed and key not in told}
    affected, rest = quality_key("missing-slices"), ("quality", "missing-slices", "none")
    total = total_key("series")
    yield total, [affected, rest], {key: told[key] for key in (affected, total) if key in told}, set()


def attack(earlier: DatasetRecord, later: DatasetRecord, k: int) -> Iterator[str]:
    """Yield what two records tell together about fewer than k."""
    before, after = exact_counts(earlier), exact_counts(later)
    for key in before.keys() & after.keys():
        if few(after[key] - before[key], k):
            yield f"{key} changed by {after[key] - before[key]}"
    for one, other in zip(tables(earlier), tables(later), strict=True):
        total, parts, _, _ = one
        first, second = derived(one[2], total, parts), derived(other[2], total, parts)
        for chosen in least(first.keys() & second.keys()):
            if few(second[chosen] - first[chosen], k):
                yield f"{sorted(chosen)} together changed by {second[chosen] - first[chosen]}"
        yield from carried_over(one, other, k)
        yield from carried_over(other, one, k)


def carried_over(
    withholding: tuple[Key, list[Key], dict[Key, int], set[Key]],
    telling: tuple[Key, list[Key], dict[Key, int], set[Key]],
    k: int,
) -> Iterator[str]:
    """Yield what follows if values that one record withholds are taken to be those that the other tells."""
    total, parts, told, hidden = withholding
    candidates = [key for key in hidden if telling[2].get(key, 0) > 0]
    for number in range(1, len(candidates) + 1):
        for taken in combinations(candidates, number):
            filled = told | {key: telling[2][key] for key in taken}
            left = hidden - set(taken)
            value = derived(filled, total, parts).get(frozenset(left))
            if not left or value is None or value < len(left):
                continue
            if value < k or len(left) == 1:
                yield f"{sorted(left)} are {value} if {sorted(taken)} stayed as they are"


def changed_by(before: Contributions, after: Contributions) -> Counter[Key]:
    """Return for each count the additions of how many subjects changed."""
    numbers: Counter[Key] = Counter()
    again = Contributions(before.keys)
    for subject in after.subjects():
        again.put(subject, {again.number(after.keys[place]): n for place, n in after.of(subject).items()})
    for _, moved in before.changes(again):
        numbers.update(again.keys[place] for place in moved)
    return numbers


@given(st.integers(0, 10**9), st.integers(2, 6))
@settings(max_examples=60, deadline=None)
def test_no_two_publications_tell_about_fewer_than_k(seed: int, k: int) -> None:
    rng = random.Random(seed)
    world = {f"p{number}": person(rng) for number in range(rng.randrange(1, 60))}
    history = History(Rules(k))
    for _ in range(5):
        history.publish(world)
        world = year_after(world, rng)
    for earlier, later in combinations(history.published, 2):
        assert list(attack(earlier, later, k)) == []
    for (one, before), (other, after) in zip(
        zip(history.published, history.states, strict=True),
        list(zip(history.published, history.states, strict=True))[1:],
        strict=False,
    ):
        both = exact_counts(one).keys() & exact_counts(other).keys()
        people = changed_by(before, after)
        assert [key for key in both if few(people[key], k)] == []


@given(st.integers(0, 10**9), st.integers(2, 6), st.sampled_from((1, 1, 3, 5)))
@settings(max_examples=40, deadline=None)
def test_what_the_node_makes_passes_what_the_gate_asks(seed: int, k: int, base: int) -> None:
    rng = random.Random(seed)
    world = {f"p{number}": person(rng) for number in range(rng.randrange(1, 60))}
    history = History(Rules(k, base))
    for number in range(4):
        made = history.publish(world)
        world = year_after(world, rng)
        if made is None:
            continue
        least_count = smallest_count(k, base)
        assert faults_alone(made.record, k) == []
        assert faults(history.published[:-1], made.record, k) == [], number
        exact = exact_counts(made.record)
        assert all(value % base == 0 and value >= least_count for value in exact.values())
        assert all(
            value == before or abs(value - before) >= least_count
            for earlier in history.published
            for key, before in exact_counts(earlier).items()
            if (value := exact.get(key)) is not None
        )


def test_the_attack_finds_what_was_published_without_care() -> None:
    """The test above could not fail if its attack found nothing."""
    found: set[str] = set()
    for seed in range(40):
        rng = random.Random(seed)
        world = {f"p{number}": person(rng) for number in range(40)}
        one = Rules(5).applied(record_of(contributions(world).totals()))
        other = Rules(5).applied(record_of(contributions(year_after(world, rng)).totals()))
        texts = list(attack(one, other, 5))
        found |= {text.rpartition("changed")[1] or "stayed" for text in texts}
        found |= {"together" for text in texts if "together" in text}
        assert not texts or faults([one], other.model_copy(update={"version": 2}), 5), texts
    assert found == {"changed", "stayed", "together"}


# -- single cases -------------------------------------------------------------------------------------------------


def worlds(**cells: int) -> World:
    return {
        f"{cell}{number}": Person("FM"[number % 2], {cell: 1}, 0)
        for cell, people in cells.items()
        for number in range(people)
    }


def test_one_withdrawal_changes_no_count() -> None:
    history = History(Rules(5))
    history.publish(worlds(CT=30, MR=20))
    assert history.publish(worlds(CT=29, MR=20)) is None


def test_withdrawals_show_when_there_are_enough_of_them() -> None:
    history = History(Rules(5))
    history.publish(worlds(CT=60, MR=20))
    made = history.publish(worlds(CT=40, MR=20))
    assert made is not None
    assert made.record.totals.subjects == Count.exact(60)
    assert made.put_off == 0


def test_a_change_that_stands_alone_waits_and_the_others_show() -> None:
    history = History(Rules(5))
    history.publish(worlds(CT=60, MR=20))
    made = history.publish(worlds(CT=80, MR=22))
    assert made is not None
    assert [str(cell.subjects) for cell in made.record.cube] == ["80", "20"]
    assert made.record.totals.subjects == Count.exact(100)
    assert made.put_off == 2
    assert cell_key(axes("MR"), "subjects") in made.waiting


def test_what_waited_shows_with_what_came_later() -> None:
    history = History(Rules(5))
    history.publish(worlds(CT=60, MR=20))
    history.publish(worlds(CT=80, MR=24))
    made = history.publish(worlds(CT=80, MR=32))
    assert made is not None
    assert [str(cell.subjects) for cell in made.record.cube] == ["80", "32"]


def test_a_new_scan_of_one_subject_waits() -> None:
    history = History(Rules(5))
    world = worlds(CT=60)
    history.publish(world)
    assert history.publish({**world, "CT0": Person("F", {"CT": 9}, 0)}) is None


def test_a_cell_that_was_told_is_not_worked_out_from_its_neighbour() -> None:
    """MR falls below k, and CT would have to be withheld with it; who knows CT from before would know MR."""
    history = History(Rules(5))
    history.publish(worlds(CT=12, MR=15))
    assert history.publish(worlds(CT=12, MR=3)) is None


def test_a_neighbour_that_protects_stays_withheld() -> None:
    """US protects PT; if it were told because MG grew smaller than it, the first record would tell PT."""
    history = History(Rules(5))
    history.publish(worlds(CT=60, MG=20, US=6, PT=3))
    made = history.publish(worlds(CT=60, MG=5, US=6, PT=3) | worlds(MR=30))
    assert made is None or str(made.record.cube[-1].series) == "<5"


def test_a_changed_smallest_count_shows_nothing_that_was_withheld() -> None:
    before = History(Rules(10))
    before.publish(worlds(CT=60, MR=11, PT=6))
    history = History(Rules(5), before.state, [], before.published)
    made = history.publish(worlds(CT=80, MR=11, PT=6))
    assert made is None or str(made.record.cube[-1].series).startswith("<")


@pytest.mark.parametrize(("more", "allowed"), [(0, True), (1, False), (4, False), (10, True)])
def test_the_gate_compares_with_every_record_before(more: int, allowed: bool) -> None:
    first, between = (
        record_of(contributions(worlds(CT=60)).totals()),
        record_of(contributions(worlds(CT=90)).totals(), version=2),
    )
    third = record_of(contributions(worlds(CT=60 + more)).totals(), version=3)
    assert (faults([first, between], third, 5) == []) is allowed


def test_a_record_of_the_same_counts_is_no_news() -> None:
    one = record_of(contributions(worlds(CT=60)).totals())
    other = one.model_copy(update={"version": 2, "title": "Another"})
    assert not differ(one, other)
    assert faults([one], other, 5, days=30) == []


def test_counts_change_only_when_the_next_publication_is_due() -> None:
    def at(days: int, people: int) -> DatasetRecord:
        counts = contributions(worlds(CT=people)).totals()
        return record_of(counts, version=days + 1, at=BEGIN + timedelta(days=days))

    described = at(20, 60)
    assert next_due([at(0, 60), described], days=30) == BEGIN + timedelta(days=30)
    assert faults([at(0, 60), described], at(29, 90), 5, days=30) != []
    assert faults([at(0, 60), described], at(30, 90), 5, days=30) == []
    assert next_due([at(0, 60), at(30, 90)], days=30) == BEGIN + timedelta(days=60)
    assert next_due([], days=30) is None


def test_rounded_counts_are_judged_by_the_interval_that_they_tell() -> None:
    def told(people: int) -> Told:
        return Told.by(round_record(record_of(contributions(worlds(CT=people)).totals()), 5))

    # 60 and 65 may be 62 and 63, or 58 and 67: at most nine people, at least one.
    assert leaks(told(60), told(64), 10) != []
    assert leaks(told(60), told(62), 10) == []
    assert leaks(told(60), told(80), 10) == []


def test_two_counts_of_one_name_are_refused() -> None:
    one = record_of(contributions(worlds(CT=60)).totals())
    with pytest.raises(ValueError, match="same name"):
        counts_of(one.model_copy(update={"cube": one.cube * 2}))
