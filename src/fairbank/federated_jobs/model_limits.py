"""What a model card says in plain words: which protections were on, and what its numbers do not tell."""

from __future__ import annotations

from fairbank.federated_jobs.dp.accountant import VERSION
from fairbank.federated_jobs.dp.plan import ADJACENCY, UNIT
from fairbank.federated_jobs.encrypted_jobs import is_encrypted
from fairbank.federated_jobs.protections import PROTECTIONS, ProtectionName, protections_in
from fairbank.federated_jobs.training_record import Origin, TrainingRecord
from fairbank.ontology.model_cards import CardProtection
from fairbank.ontology.signed_objects import DifferentialPrivacy, Manifest, PrivacyBudget

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
            meaning=_noise(manifest.privacy_budget, manifest.training.differential_privacy)
            if private and manifest.training is not None
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


def _noise(budget: PrivacyBudget | None, noise: DifferentialPrivacy | None) -> str:
    """Return what was promised to each patient, and what was not."""
    if budget is None or noise is None:
        return "The manifest sets a privacy budget, and asks for no noise."
    return (
        f"Epsilon at most {budget.epsilon} at delta {budget.delta} for each {UNIT} of a site, over all rounds of this "
        f"job: every update that the hub got, and so the model. Neighbours: {ADJACENCY}. Each patient was drawn by "
        f"herself (Poisson sampling), her gradient shortened to {noise.clip_norm}, and Gaussian noise added; reckoned "
        f"by {VERSION} at each site, from its own number of patients. Other jobs on the same patients add to it; so "
        "does the same patient at another site. Not protected: the balance of classes of a site, how many patients "
        "it has, and metrics on patients who were held out."
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
