"""What a model card says in plain words: which protections were on, and what its numbers do not tell."""

from __future__ import annotations

from fairbank.federated_jobs.encrypted_jobs import is_encrypted
from fairbank.federated_jobs.protections import PROTECTIONS, ProtectionName, protections_in
from fairbank.federated_jobs.training_record import Origin, TrainingRecord
from fairbank.ontology.model_cards import CardProtection
from fairbank.ontology.signed_objects import Manifest

_ENCRYPTION = CardProtection(
    name="encryption against the hub",
    on=True,
    meaning="The hub added encrypted updates up and could not read them while it kept to the protocol. All sites held "
    "one key: each could have opened another's update.",
)


def protections_of(manifest: Manifest) -> tuple[CardProtection, ...]:
    """Return what protected those whose images a model was trained on, and what did not."""
    filters = [each.name for each in manifest.training.filters] if manifest.training is not None else []
    named, encrypted = ", ".join(filters), is_encrypted(manifest)
    private = manifest.privacy_budget is not None
    masked = ProtectionName.MASKS in protections_in(manifest)
    return (
        CardProtection(
            name="images stay at the sites",
            on=True,
            meaning="Each site trained on its own images; only updates of the model passed its release gate.",
        ),
        CardProtection(
            name="smallest count",
            on=True,
            meaning="An update, and each number that came with it, left a site only if enough subjects were behind it.",
        ),
        CardProtection(
            name="update filters",
            on=bool(filters),
            meaning=f"Each update was changed before it left: {named}."
            if filters
            else "Updates left as they were trained. Who holds single updates could learn of what a site trained on.",
        ),
        CardProtection(
            name="differential privacy",
            on=private,
            meaning="The manifest sets a privacy budget for the training. "
            + PROTECTIONS[ProtectionName.NOISE].leaves_open
            if private
            else "No noise was added: nothing bounds what the model may tell of a single subject.",
        ),
        CardProtection(
            name="secure aggregation",
            on=masked,
            meaning=PROTECTIONS[ProtectionName.MASKS].stops
            if masked
            else "The hub merged encrypted updates of single sites."
            if encrypted
            else "The hub merged the updates of single sites and could read them.",
        ),
        CardProtection(
            name="rules of the sites",
            on=True,
            meaning=PROTECTIONS[ProtectionName.SITE_RULES].stops,
        ),
        CardProtection(
            name="review of models",
            on=True,
            meaning=PROTECTIONS[ProtectionName.MODEL_REVIEW].stops,
        ),
        *((_ENCRYPTION,) if encrypted else ()),
    )


def limits_of(told: TrainingRecord) -> tuple[str, ...]:
    """Return what has to be known before anybody believes a model's numbers."""
    found = []
    match told.origin:
        case Origin.SYNTHETIC | Origin.SIMULATED:
            found.append("It was trained on synthetic images only and tells nothing about patients.")
        case Origin.UNKNOWN:
            found.append("The catalogue does not say what its datasets are.")
        case Origin.MIXED:
            found.append("It was trained on synthetic images among others.")
        case Origin.REAL_WORLD:
            pass
    if told.standing() is None:
        found.append("No site has measured the merged model; 'fairbank model evaluate' has them do so.")
    else:
        found.append(
            "The metrics of the merged model are of the model that the last round started from; those of the last "
            "model are measured by 'fairbank model evaluate'."
        )
    if not any("n_heldout" in site.notes for each in told.done for site in each.sites):
        found.append("No site told a number of held-out subjects large enough to leave.")
    missed = sorted({node for _, node in told.missing()})
    if missed:
        found.append(f"Not every round has every site in it; missing at least once: {', '.join(missed)}.")
    found.append(
        "Sites measured on subjects of their own collections; other hospitals may see other numbers."
    )
    return tuple(found)
