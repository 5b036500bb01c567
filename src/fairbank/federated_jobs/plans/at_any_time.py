"""Plans in which nobody waits for the slowest: bounded staleness, and buffered.

A round is a version of the model. A site that has delivered waits until its update is in a version, and then starts
from the newest one; a site that is still at work goes on, and its update is merged into the version that is being made
when it comes. Each site has at most one update in a version, and one for each version that it started from.
"""

from __future__ import annotations

from fairbank.federated_jobs.axes.plan_options import BufferedOptions, StalenessOptions
from fairbank.federated_jobs.plans.machine import Closed, Done, Ending, Merging, PlanState, Setting, Step


class AtAnyTime:
    """Some updates make a new version, whoever sent them, as long as their base is not too old.

    Source: Xie et al. 2019, Asynchronous Federated Optimization, algorithm 1 (one update makes a version); Nguyen et
    al. 2022, Federated Learning with Buffered Asynchronous Aggregation, algorithm 1 (K updates do).
    """

    def first(self, setting: Setting) -> Step:
        """Return the making of the first version."""
        return self._step(setting, setting.initial)

    def next(self, setting: Setting, state: PlanState, closed: Closed) -> Step | Done:
        """Return the making of the next version."""
        if closed.round >= setting.rounds:
            return Done(Ending.ALL_ROUNDS, closed.result)
        return self._step(setting, closed.result)

    def _step(self, setting: Setting, base: str | None) -> Step:
        options = setting.options
        assert isinstance(options, StalenessOptions)
        buffer = options.buffer if isinstance(options, BufferedOptions) else 1
        return Step(
            participants=setting.sites,
            base=base,
            merging=Merging.AGGREGATE,
            at_least=1,
            enough=min(buffer, len(setting.sites)),
            staleness=options.staleness,
        )
