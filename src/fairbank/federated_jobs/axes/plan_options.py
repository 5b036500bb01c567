"""The options of the compute plans; fractions and thresholds are decimals as text."""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from fairbank.federated_jobs.axes.elements import Options
from fairbank.ontology.wire import Decimal


def _share(text: str) -> str:
    if not 0 < Fraction(text) <= 1:
        raise ValueError("it is above 0 and at most 1")
    return text


def _not_below_zero(text: str) -> str:
    if Fraction(text) < 0:
        raise ValueError("it is not below 0")
    return text


def _as_text(given: object) -> object:
    """Take a whole number as the decimal that it is."""
    return str(given) if type(given) is int else given


def _at_least_one(text: str) -> str:
    if Fraction(text) < 1:
        raise ValueError("it is at least 1")
    return text


Share = Annotated[Decimal, BeforeValidator(_as_text), AfterValidator(_share)]
Threshold = Annotated[Decimal, BeforeValidator(_as_text), AfterValidator(_not_below_zero)]
MetricName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Patience = Annotated[int, Field(ge=0, le=1000)]
Few = Annotated[int, Field(ge=1, le=1000)]


class Judged(Options):
    """Options of a plan that looks at a held-out metric.

    Attributes:
        metric: name of the metric, such as `loss` or `dice`; of those that are called loss or error less is better.
        patience: how many looks without an improvement are borne; 0 never ends anything early.
        min_delta: an improvement is larger than this, in the metric's own unit.
    """

    metric: MetricName = "loss"
    patience: Patience = 0
    min_delta: Threshold = "0"


class AggregationOptions(Judged):
    """Options of the aggregation server.

    Attributes:
        site_fraction: share of the active sites that train in a round, drawn anew for each from the job's seed.
        close_at_quorum: close a round as soon as the quorum has delivered, without waiting for the others.
        measure_last: in the last round nothing is trained: all sites measure the model that the round before has made,
            so that its card tells how it does.
        release_check: in that last round the sites also measure how much the model remembers of what it was trained on;
            beyond a threshold it stays in quarantine until a committee decides.
    """

    site_fraction: Share = "1"
    close_at_quorum: bool = False
    measure_last: bool = False
    release_check: bool = False

    @model_validator(mode="after")
    def _is_measured(self) -> Self:
        if self.release_check and not self.measure_last:
            raise ValueError("a release check needs measure_last: it looks at the model that was made")
        return self


class SingleTransferOptions(Judged):
    """Options of the single weight transfer.

    Attributes:
        max_passes: rounds that the model stays at a site at most.
    """

    patience: Patience = 1
    max_passes: Few = 1


class CyclicTransferOptions(Options):
    """Options of the cyclic weight transfer.

    Attributes:
        cycles: how often the model goes round.
        size_adjusted: from the second cycle on a site has as many passes as it has times the samples of the smallest.
        most_passes: passes of one site in one cycle at most, where they are adjusted.
    """

    cycles: Few = 2
    size_adjusted: bool = False
    most_passes: Annotated[int, Field(ge=1, le=100)] = 5


class IncrementalOptions(Judged):
    """Options of institutional incremental learning.

    Attributes:
        passes: rounds that a site trains, unless its metric stalls earlier.
    """

    passes: Few = 1


class CyclicIncrementalOptions(Judged):
    """Options of cyclic institutional incremental learning.

    Attributes:
        cycles: how often the model goes round.
        passes: rounds that a site trains in each cycle.
        best_local: hand on the model that was best on the site's own held-out subjects, not the last.
    """

    cycles: Few = 2
    passes: Few = 1
    best_local: bool = False


class StalenessOptions(Options):
    """Options of bounded staleness.

    Attributes:
        staleness: how many versions an update's base may be behind the newest model.
    """

    staleness: Annotated[int, Field(ge=0, le=1000)] = 3


class BufferedOptions(StalenessOptions):
    """Options of the buffered plan.

    Attributes:
        buffer: how many updates make a new version.
    """

    staleness: Annotated[int, Field(ge=0, le=1000)] = 10
    buffer: Annotated[int, Field(ge=1, le=1000)] = 2


class Topology(StrEnum):
    """Who gets whose model, among peers."""

    BRAIN_TORRENT = "brain-torrent"
    RANDOM_ORDER = "random-order"
    ALL_TO_ALL = "all-to-all"
    RING = "ring"


class PeerOptions(Options):
    """Options of the peer-to-peer plan.

    Attributes:
        topology: `brain-torrent`, `random-order`, `all-to-all` or `ring`.
        most_times_norm: a peer's model whose norm is more than so many times that of the site's own is left out.
    """

    topology: Literal["brain-torrent", "random-order", "all-to-all", "ring"] = "brain-torrent"
    most_times_norm: Annotated[Decimal, BeforeValidator(_as_text), AfterValidator(_at_least_one)] = "10"

    @property
    def who(self) -> Topology:
        """Return the topology as a word of the closed list."""
        return Topology(self.topology)
