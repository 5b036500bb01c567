"""The compute plans: who trains when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fairbank.federated_jobs.axes.elements import Choice, Options
from fairbank.federated_jobs.axes.plan_options import (
    AggregationOptions,
    BufferedOptions,
    CyclicIncrementalOptions,
    CyclicTransferOptions,
    IncrementalOptions,
    PeerOptions,
    SingleTransferOptions,
    StalenessOptions,
)
from fairbank.ontology.signed_objects import PlanName

# How many rounds a plan has at most, from its options and the number of sites.
Rounds = Callable[[Options, int], int]


@dataclass(frozen=True, slots=True)
class PlanChoice(Choice):
    """One compute plan.

    Attributes:
        aggregates: whether updates of several sites are merged by an aggregator; else a model is handed on or kept.
        asynchronous: whether an update may start from an older model than the newest.
        hands_on: whether one site at a time trains and its model becomes the next.
        once: whether a site that has been trained at is never come back to.
        sealed: whether sites send their models to each other, sealed, and the hub cannot open them.
        minimum_sites: how many sites it needs.
        rounds: how many rounds it has at most; None where the manifest says it freely.
    """

    aggregates: bool = True
    asynchronous: bool = False
    hands_on: bool = False
    once: bool = False
    sealed: bool = False
    minimum_sites: int = 1
    rounds: Rounds | None = None


def _single_transfer(options: Options, sites: int) -> int:
    assert isinstance(options, SingleTransferOptions)
    return sites * options.max_passes


def _cyclic_transfer(options: Options, sites: int) -> int:
    assert isinstance(options, CyclicTransferOptions)
    if not options.size_adjusted:
        return sites * options.cycles
    # Sizes are known after the first cycle, in which each site has one pass.
    return sites * (1 + (options.cycles - 1) * options.most_passes)


def _incremental(options: Options, sites: int) -> int:
    assert isinstance(options, IncrementalOptions)
    return sites * options.passes


def _cyclic_incremental(options: Options, sites: int) -> int:
    assert isinstance(options, CyclicIncrementalOptions)
    return sites * options.cycles * options.passes


def _one(options: Options, sites: int) -> int:
    return 1


_CHANG = "Chang et al. 2018, Distributed deep learning networks among institutions for medical imaging"

PLANS: dict[str, PlanChoice] = {
    plan.name: plan
    for plan in (
        PlanChoice(
            name=PlanName.AGGREGATION.value,
            title="All sites train at the same time from one model; the hub merges what they send, round by round",
            source="McMahan et al. 2017, Communication-Efficient Learning of Deep Networks, algorithm 1",
            options=AggregationOptions,
        ),
        PlanChoice(
            name=PlanName.BOUNDED_STALENESS.value,
            title="Each update makes a new version at once; it may start from a model that is a few versions old",
            source="Xie et al. 2019, Asynchronous Federated Optimization, algorithm 1",
            options=StalenessOptions,
            asynchronous=True,
            minimum_sites=2,
        ),
        PlanChoice(
            name=PlanName.BUFFERED.value,
            title="Some updates together make a new version, whoever is first; the slow ones are merged later",
            source="Nguyen et al. 2022, Federated Learning with Buffered Asynchronous Aggregation, algorithm 1",
            options=BufferedOptions,
            asynchronous=True,
            minimum_sites=2,
        ),
        PlanChoice(
            name=PlanName.SINGLE_WEIGHT_TRANSFER.value,
            title="The model visits each site once, and stays until that site's held-out metric stalls",
            source=_CHANG,
            options=SingleTransferOptions,
            aggregates=False,
            hands_on=True,
            once=True,
            rounds=_single_transfer,
        ),
        PlanChoice(
            name=PlanName.CYCLIC_WEIGHT_TRANSFER.value,
            title="The model goes round the sites several times, one round at each",
            source=f"{_CHANG}; sizes after Balachandar et al. 2020, Accounting for data variability in "
            "multi-institutional distributed deep learning for medical imaging",
            options=CyclicTransferOptions,
            aggregates=False,
            hands_on=True,
            rounds=_cyclic_transfer,
        ),
        PlanChoice(
            name=PlanName.INSTITUTIONAL_INCREMENTAL.value,
            title="Each site trains the model to its end, once, and hands on its last",
            source="Sheller et al. 2019, Multi-Institutional Deep Learning Modeling Without Sharing Patient Data",
            options=IncrementalOptions,
            aggregates=False,
            hands_on=True,
            once=True,
            rounds=_incremental,
        ),
        PlanChoice(
            name=PlanName.CYCLIC_INSTITUTIONAL_INCREMENTAL.value,
            title="The model goes round several times, with several rounds at each site",
            source="Sheller et al. 2020, Federated learning in medicine: facilitating multi-institutional "
            "collaborations without sharing patient data",
            options=CyclicIncrementalOptions,
            aggregates=False,
            hands_on=True,
            rounds=_cyclic_incremental,
        ),
        PlanChoice(
            name=PlanName.ENSEMBLE.value,
            title="Each site trains a model of its own, once; all are kept, and their predictions are put together",
            source=f"{_CHANG}, ensembling of models of single institutions",
            aggregates=False,
            once=True,
            rounds=_one,
        ),
        PlanChoice(
            name=PlanName.PEER_TO_PEER.value,
            title="Sites send their models to each other, sealed; the hub only keeps them, and gets the last one",
            source="Roy et al. 2019, BrainTorrent: A Peer-to-Peer Environment for Decentralized Federated Learning",
            options=PeerOptions,
            aggregates=False,
            sealed=True,
            minimum_sites=2,
        ),
    )
}
