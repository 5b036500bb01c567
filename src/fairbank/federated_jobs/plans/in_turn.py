"""Plans in which the model goes from site to site: single and cyclic weight transfer, institutional incremental.

One round is one pass at one site. A site that is lost or late is passed over: the model goes on as it was, and the
record of the round says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pydantic import JsonValue

from fairbank.federated_jobs.axes.elements import Options
from fairbank.federated_jobs.axes.plan_options import (
    CyclicIncrementalOptions,
    CyclicTransferOptions,
    IncrementalOptions,
    Judged,
    SingleTransferOptions,
)
from fairbank.federated_jobs.plans.judging import AFTER, has_stalled, looked_at
from fairbank.federated_jobs.plans.machine import Closed, Done, Ending, Merging, PlanState, Setting, Step
from fairbank.federated_jobs.update_notes import N_TRAIN


@dataclass(frozen=True, slots=True)
class Visits:
    """How long a model stays, and how often it comes.

    Attributes:
        cycles: how often it goes round.
        passes: rounds at a site in one visit at most.
        judged: by which metric a visit may end earlier; None for never.
        keeps_best: whether the best model of a visit is handed on, and not the last.
        by_size: from the second cycle on, passes in proportion to samples, at most `passes`.
    """

    cycles: int = 1
    passes: int = 1
    judged: Judged | None = None
    keeps_best: bool = False
    by_size: bool = False


class InTurn:
    """One model goes from site to site in the order of their names."""

    def __init__(self, visits_of: Callable[[Options], Visits]) -> None:
        self._visits_of = visits_of

    def first(self, setting: Setting) -> Step:
        """Return the first pass at the first site."""
        state: PlanState = {"left": list(setting.sites), "cycle": 1, "samples": {}}
        step = self._go_on(setting, state, setting.initial)
        assert isinstance(step, Step), "a job that starts has a site"
        return step

    def next(self, setting: Setting, state: PlanState, closed: Closed) -> Step | Done:
        """Return the next pass: at the same site until its visit is over, then at the next that is still there."""
        visits = self._visits_of(setting.options)
        site = _text(state["site"])
        passes = _number(state["passes"]) + 1
        if site not in closed.arrived:
            return self._leave(setting, state, closed, model=closed.base)
        note = closed.notes.get(site, {})
        seen: PlanState = {**state, "passes": passes}
        if N_TRAIN in note:
            seen["samples"] = {**_table(state["samples"]), site: int(note[N_TRAIN])}
        if visits.judged is not None:
            value = note.get(AFTER + visits.judged.metric)
            seen = looked_at(visits.judged, seen, value, closed.result)
        over = visits.judged is not None and has_stalled(visits.judged, seen)
        stays = site in setting.sites and closed.round < setting.rounds
        if stays and not over and passes < _passes_at(site, visits, seen):
            return self._pass(seen, closed.result)
        best = seen.get("best_model")
        kept = best if visits.keeps_best and isinstance(best, str) else closed.result
        return self._leave(setting, seen, closed, model=kept)

    def _leave(self, setting: Setting, state: PlanState, closed: Closed, *, model: str | None) -> Step | Done:
        if closed.round >= setting.rounds:
            return Done(Ending.ALL_ROUNDS, model)
        return self._go_on(setting, state, model)

    def _go_on(self, setting: Setting, state: PlanState, model: str | None) -> Step | Done:
        """Go to the next site that is still there, beginning another cycle where there is one."""
        visits = self._visits_of(setting.options)
        left = [site for site in _list(state["left"]) if site in setting.sites]
        cycle = _number(state["cycle"])
        if not left:
            if cycle >= visits.cycles or not setting.sites:
                return Done(Ending.ALL_SITES, model)
            left, cycle = list(setting.sites), cycle + 1
        fresh: PlanState = {
            "left": [*left[1:]],
            "cycle": cycle,
            "samples": state["samples"],
            "site": left[0],
            "passes": 0,
        }
        return self._pass(fresh, model)

    def _pass(self, state: PlanState, model: str | None) -> Step:
        return Step((_text(state["site"]),), model, Merging.HAND_ON, at_least=0, state=state)


def _passes_at(site: str, visits: Visits, state: PlanState) -> int:
    if not visits.by_size:
        return visits.passes
    samples = _table(state["samples"])
    counts = [count for count in samples.values() if isinstance(count, int) and count > 0]
    own = samples.get(site)
    # In the first cycle nobody knows how many samples there are elsewhere.
    if _number(state["cycle"]) == 1 or not isinstance(own, int) or not counts:
        return 1
    return max(1, min(visits.passes, round(own / min(counts))))


def single_weight_transfer() -> InTurn:
    """Return the plan in which the model visits each site once and stays until that site's held-out metric stalls.

    What is handed on is the best model of the visit by that metric.

    Source: Chang et al. 2018, Distributed deep learning networks among institutions for medical imaging.
    """

    def visits(options: Options) -> Visits:
        assert isinstance(options, SingleTransferOptions)
        return Visits(passes=options.max_passes, judged=options, keeps_best=True)

    return InTurn(visits)


def cyclic_weight_transfer() -> InTurn:
    """Return the plan in which the model goes round several times, one pass at each site.

    Adjusted to sizes, a site has `round(its samples / samples of the smallest site)` passes from the second cycle on.
    The paper makes the number of iterations proportional; a pass of an algorithm that counts in epochs is that already,
    so it is of use with one that makes the same number of steps everywhere.

    Source: Chang et al. 2018; Balachandar et al. 2020, Accounting for data variability in multi-institutional
    distributed deep learning for medical imaging, proportional local training iterations.
    """

    def visits(options: Options) -> Visits:
        assert isinstance(options, CyclicTransferOptions)
        passes = options.most_passes if options.size_adjusted else 1
        return Visits(cycles=options.cycles, passes=passes, by_size=options.size_adjusted)

    return InTurn(visits)


def institutional_incremental() -> InTurn:
    """Return the plan in which each site trains the model to its end, once, and hands on its last.

    Source: Sheller et al. 2019, Multi-Institutional Deep Learning Modeling Without Sharing Patient Data, section 2.
    """

    def visits(options: Options) -> Visits:
        assert isinstance(options, IncrementalOptions)
        return Visits(passes=options.passes, judged=options)

    return InTurn(visits)


def cyclic_institutional_incremental() -> InTurn:
    """Return the plan in which the model goes round several times, with several passes at each site.

    Source: Sheller et al. 2020, Federated learning in medicine, cyclic institutional incremental learning.
    """

    def visits(options: Options) -> Visits:
        assert isinstance(options, CyclicIncrementalOptions)
        return Visits(
            cycles=options.cycles, passes=options.passes, judged=options, keeps_best=options.best_local
        )

    return InTurn(visits)


def _text(value: JsonValue) -> str:
    assert isinstance(value, str)
    return value


def _number(value: JsonValue) -> int:
    assert isinstance(value, int)
    return value


def _list(value: JsonValue) -> list[str]:
    assert isinstance(value, list)
    return [_text(each) for each in value]


def _table(value: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(value, dict)
    return value
