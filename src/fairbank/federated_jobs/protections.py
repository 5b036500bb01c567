"""What protects those whose images a model is trained on: what each protection stops, what it does not, what it costs.

One table for all who read about it: requesters before they send, the people of a site before they approve, readers of a
model's card. Figures are of attacks of our own on small settings; that one of them fails there is no proof of safety.

Sources: measurements on 28 x 28 chest x-rays, as `docs/explanation/threats-of-training.md` tells them; Zhu et al. 2019
(arXiv 1906.08935), Geiping et al. 2020 (2003.14053), Fowl et al. 2022 (2110.13057), Pasquini et al. 2022 (2111.07380),
Bonawitz et al. 2017 (CCS), Abadi et al. 2016 (CCS), Bagdasaryan et al. 2020 (1807.00459).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from fairbank.federated_jobs.axes.aggregators import AGGREGATORS
from fairbank.ontology.signed_objects import Manifest, Training
from fairbank.ontology.training_rules import Stance, ToldRules


class ProtectionName(StrEnum):
    """The protections that a training may have."""

    IMAGES_STAY = "images-stay"
    RELEASE_GATE = "release-gate"
    SITE_RULES = "site-rules"
    MODEL_REVIEW = "model-review"
    CLIPPING = "clip-norm"
    NOISE = "differential-privacy"
    MASKS = "secure-aggregation"
    ENCRYPTION = "encryption"
    ROBUST_MERGING = "robust-merging"


@dataclass(frozen=True, slots=True)
class Protection:
    """One protection, in words.

    Attributes:
        title: how it is called in a sentence.
        always: whether every training has it; else its requester chooses it.
        stops, leaves_open, costs: a sentence each.
    """

    name: ProtectionName
    title: str
    always: bool
    stops: str
    leaves_open: str
    costs: str


PROTECTIONS: Final[dict[ProtectionName, Protection]] = {
    one.name: one
    for one in (
        Protection(
            ProtectionName.IMAGES_STAY,
            "images stay at the sites",
            always=True,
            stops="Nobody outside a site gets its images; code runs there without a network.",
            leaves_open="An update can still tell of them: of a step on one image it was rebuilt almost exactly.",
            costs="Nothing.",
        ),
        Protection(
            ProtectionName.RELEASE_GATE,
            "the release gate",
            always=True,
            stops="Anything that is no update of the model, and any number about fewer subjects than the site's "
            "smallest count.",
            leaves_open="It judges form and counts, not what the weights of an update tell.",
            costs="Milliseconds in a round.",
        ),
        Protection(
            ProtectionName.SITE_RULES,
            "the site's rules of training",
            always=True,
            stops="Updates of few subjects or images, steps of a single image, and running statistics of a site's "
            "images.",
            leaves_open="Larger batches blunt an attack and do not end it: whether an image was in a batch of 32 was "
            "told with an AUC of 0.95.",
            costs="Small sites cannot take part; networks need group or instance normalisation.",
        ),
        Protection(
            ProtectionName.MODEL_REVIEW,
            "review of every model before it is trained on",
            always=True,
            stops="The known models that are made to have images stand in the update: imprint layers, a first "
            "layer on pixels, units that are dead for all sites but one.",
            leaves_open="A cautious attacker can make a model that none of the checks knows.",
            costs="A few milliseconds per MB and one small batch in each round.",
        ),
        Protection(
            ProtectionName.CLIPPING,
            "clipping",
            always=False,
            stops="One site moves the model only so far.",
            leaves_open="It hides nothing: the direction of an update is enough to rebuild an image.",
            costs="A bound that is too small slows training.",
        ),
        Protection(
            ProtectionName.NOISE,
            "noise (differential privacy)",
            always=False,
            stops="What any update, and the final model, can tell of one patient is bounded by epsilon. Noise of "
            "a tenth of the clipping bound ended the rebuilding of images.",
            leaves_open="The balance of classes and other properties of a whole site stay readable. Epsilon adds up "
            "over jobs on the same patients.",
            costs="In a pilot at epsilon 3, with 1,569 images a site and a network of 17,000 weights, an AUROC of "
            "0.982 in place of 0.989; more at small sites and with larger networks. About three times the computing.",
        ),
        Protection(
            ProtectionName.MASKS,
            "secure aggregation",
            always=False,
            stops="The hub sees the sum of the sites' updates and none of them, while fewer than a third of the "
            "sites help it.",
            leaves_open="The sum tells like an update of a larger batch: of three sites, membership was told with an "
            "AUC of 0.82. Nobody can judge single updates.",
            costs="At least three sites, four exchanges more in a round, and no robust merging.",
        ),
        Protection(
            ProtectionName.ENCRYPTION,
            "encryption against the hub",
            always=False,
            stops="A hub that keeps to the protocol adds updates without reading them.",
            leaves_open="All sites hold one secret key: a site that gets hold of another's update can open it.",
            costs="Updates of many times the size, and no robust merging.",
        ),
        Protection(
            ProtectionName.ROBUST_MERGING,
            "merging that a single site cannot turn",
            always=False,
            stops="One site that replaces the model with its own: a planted trigger then worked in none of the "
            "trials, and in 98 % of them under the mean.",
            leaves_open="It protects the model and not the patients: the hub reads every update. Sites that copy "
            "others go unnoticed.",
            costs="Sites that are honest and unlike the others count less. It needs updates that the hub can read.",
        ),
    )
}
# What a job may choose and lacks unless it does, in the order in which people are told.
CHOSEN: Final = tuple(one.name for one in PROTECTIONS.values() if not one.always)
_ENCRYPTING = frozenset({"ckks"})


def protections_on(
    aggregator: str, training: Training | None, *, filters: Collection[str] = ()
) -> frozenset[ProtectionName]:
    """Return which protections a training has.

    Args:
        filters: names of update filters, where `training` does not tell them.

    >>> sorted(one.value for one in protections_on("median", None) if one in CHOSEN)
    ['robust-merging']
    """
    named = {each.name for each in training.filters} if training is not None else set(filters)
    on = {one.name for one in PROTECTIONS.values() if one.always}
    for name, has in (
        (ProtectionName.CLIPPING, ProtectionName.CLIPPING.value in named),
        (ProtectionName.NOISE, training is not None and training.differential_privacy is not None),
        (ProtectionName.MASKS, training is not None and training.secure_aggregation is not None),
        (ProtectionName.ENCRYPTION, bool(named & _ENCRYPTING)),
        (ProtectionName.ROBUST_MERGING, aggregator in AGGREGATORS and AGGREGATORS[aggregator].robust),
    ):
        if has:
            on.add(name)
    return frozenset(on)


def protections_in(manifest: Manifest) -> frozenset[ProtectionName]:
    """Return which protections a job has."""
    return protections_on(manifest.plan.aggregator, manifest.training)


def refusals(rules: ToldRules, on: Collection[ProtectionName], *, quorum: int | None = None) -> list[str]:
    """Return because of which rules of a site it would refuse a training, as far as is known before it is sent.

    Args:
        on: the protections of the training.
        quorum: how many sites must deliver; None if that is not known.
    """
    found = ["halted"] if rules.halted else []
    for rule, stance, name in (
        ("differential_privacy", rules.differential_privacy, ProtectionName.NOISE),
        ("secure_aggregation", rules.secure_aggregation, ProtectionName.MASKS),
        ("encryption", rules.encryption, ProtectionName.ENCRYPTION),
    ):
        unwanted = Stance.REFUSED if name in on else Stance.REQUIRED
        if stance is unwanted:
            found.append(f"{rule} {stance.value}")
    if ProtectionName.MASKS in on and quorum is not None and quorum < rules.minimum_survivors:
        found.append(f"minimum_survivors {rules.minimum_survivors}")
    return found


def rows_of(on: Collection[ProtectionName]) -> list[dict[str, str]]:
    """Return the whole table as people read it, with what is on."""
    return [
        {
            "protection": one.name.value,
            "on": "always" if one.always else "yes" if one.name in on else "no",
            "stops": one.stops,
            "does not stop": one.leaves_open,
            "costs": one.costs,
        }
        for one in PROTECTIONS.values()
    ]


def title_of(name: ProtectionName) -> str:
    """Return how a protection is called in a sentence."""
    return PROTECTIONS[name].title
