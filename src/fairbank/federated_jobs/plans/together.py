"""Plans in which all sites work at the same time: the aggregation server, and the ensemble."""

from __future__ import annotations

import math
from fractions import Fraction

from fairbank.federated_jobs.algorithms.seeds import derive_seed
from fairbank.federated_jobs.axes.plan_options import AggregationOptions
from fairbank.federated_jobs.plans.judging import BEFORE, has_stalled, looked_at, pooled
from fairbank.federated_jobs.plans.machine import Closed, Done, Ending, Merging, PlanState, Setting, Step


class AggregationServer:
    """All sites, or a share of them drawn for each round, train from one model; the hub merges what they send.

    The model of a round is judged by what the sites of the next one find before they train: it is looked at on held-out
    subjects of theirs, and never on images that it was trained on.

    Source: McMahan et al. 2017, Communication-Efficient Learning of Deep Networks, algorithm 1.
    """

    def first(self, setting: Setting) -> Step:
        """Return the first round."""
        return self._step(setting, 1, setting.initial, {})

    def next(self, setting: Setting, state: PlanState, closed: Closed) -> Step | Done:
        """Return the next round, unless all have been or the held-out metric stands still."""
        options = setting.options
        assert isinstance(options, AggregationOptions)
        value = pooled(closed.notes, BEFORE + options.metric, setting.objective)
        seen = looked_at(options, state, value, closed.base)
        if has_stalled(options, seen):
            best = seen.get("best_model")
            return Done(Ending.CONVERGED, best if isinstance(best, str) else closed.result)
        if closed.round >= setting.rounds:
            return Done(Ending.ALL_ROUNDS, closed.result)
        return self._step(setting, closed.round + 1, closed.result, seen)

    def _step(self, setting: Setting, number: int, base: str | None, state: PlanState) -> Step:
        options = setting.options
        assert isinstance(options, AggregationOptions)
        if options.measure_last and number == setting.rounds:
            # The model is made already, so the round may pass without anybody.
            return Step(setting.sites, base, Merging.AGGREGATE, at_least=0, state=state)
        return Step(
            participants=drawn(setting, Fraction(options.site_fraction), number),
            base=base,
            merging=Merging.AGGREGATE,
            at_least=setting.quorum,
            enough=setting.quorum if options.close_at_quorum else None,
            state=state,
        )


class Ensemble:
    """Each site trains a model of its own from the same start, once; none is merged.

    Source: Chang et al. 2018, Distributed deep learning networks among institutions for medical imaging, ensembling.
    """

    def first(self, setting: Setting) -> Step:
        """Return the only round."""
        return Step(setting.sites, setting.initial, Merging.KEEP_ALL, at_least=setting.quorum)

    def next(self, setting: Setting, state: PlanState, closed: Closed) -> Step | Done:
        """Return that it is done."""
        return Done(Ending.ALL_ROUNDS, None)


def drawn(setting: Setting, fraction: Fraction, number: int) -> tuple[str, ...]:
    """Return the sites that take part in a round, sorted: a share of all, never fewer than the quorum needs.

    Each site draws a number from the job's seed, the round and its own name; the lowest are taken. So it does not
    depend on any library's way of drawing samples.
    """
    count = max(share_of(len(setting.sites), fraction), min(setting.quorum, len(setting.sites)))
    ranked = sorted(
        setting.sites,
        key=lambda site: (derive_seed(setting.seed, site=site, round_number=number, purpose="sites"), site),
    )
    return tuple(sorted(ranked[:count]))


def share_of(sites: int, fraction: Fraction) -> int:
    """Return how many sites a share is, rounded up.

    >>> share_of(3, Fraction(1, 2))
    2
    """
    return math.ceil(sites * fraction)
