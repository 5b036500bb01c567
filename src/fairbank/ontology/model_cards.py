"""The card of a model: what it was made from, by whom, how, how well it does, and what protected those behind it.

The hub seals it when the model is registered, and names in it the digest of every file that belongs to the model. What
changes later (a state, a withdrawn subject) is not in the card; the registry says it beside.

Sources: Mitchell et al. 2019, Model Cards for Model Reporting; EU 2024/1689, annex XI, for what a card must tell.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue

from fairbank.ontology.signed_objects import Code, Objective, Plan, SignedObject, Training
from fairbank.ontology.wire import Decimal, DigestText, Id, Iri, Moment, Part, ShortText, Slug, Text

Whole = Annotated[int, Field(ge=0, le=2**53 - 1)]


class ModelState(StrEnum):
    """Where a model stands in the registry."""

    REGISTERED = "registered"
    QUARANTINED = "quarantined"
    RELEASED = "released"
    WITHDRAWN = "withdrawn"


# What may follow what; a model that was withdrawn stays so.
MODEL_MOVES: dict[ModelState, frozenset[ModelState]] = {
    ModelState.REGISTERED: frozenset({ModelState.QUARANTINED, ModelState.RELEASED, ModelState.WITHDRAWN}),
    ModelState.QUARANTINED: frozenset({ModelState.REGISTERED, ModelState.RELEASED, ModelState.WITHDRAWN}),
    ModelState.RELEASED: frozenset({ModelState.QUARANTINED, ModelState.WITHDRAWN}),
    ModelState.WITHDRAWN: frozenset(),
}


class CardFile(Part):
    """One file that belongs to the model, by digest."""

    name: ShortText
    media_type: ShortText
    digest: DigestText
    size_bytes: Whole


class CardDataset(Part):
    """One dataset that the model was trained on; title and version as the catalogue had them then."""

    iri: Iri
    node: Slug
    title: ShortText | None = None
    version: Whole | None = None
    origin: ShortText


class CardGroup(Part):
    """One metric of the last merged model that was measured, on one group of a site's held-out subjects.

    Attributes:
        low, high: 95 % interval, where there is one.
    """

    kind: ShortText
    group: ShortText
    n_subjects: Whole
    metric: ShortText
    value: Decimal
    low: Decimal | None = None
    high: Decimal | None = None


class CardSite(Part):
    """What one site has brought: numbers that its gate let out, and nothing more.

    Attributes:
        rounds: how many rounds have its update in them.
        counts: samples or subjects, as its last update told them.
        merged: metrics of the last merged model that it measured, by name.
        local: metrics of its own model after its last round.
        settings: digest of the statement of its effective settings.
        groups: metrics by sex, age band and maker, where the job asked for them and the site's gate let them out.
    """

    node: Slug
    rounds: Whole
    counts: dict[ShortText, Whole] = {}
    merged: dict[ShortText, Decimal] = {}
    local: dict[ShortText, Decimal] = {}
    settings: DigestText | None = None
    groups: Annotated[tuple[CardGroup, ...], Field(max_length=5000)] | None = None


class CardObjective(Part):
    """How the model is judged: fixed in the manifest before anybody approved it.

    Attributes:
        value: None if no merged model was measured.
        after_round: of which round the merged model is that has this value.
    """

    objective: Objective
    metric: ShortText | None = None
    value: Decimal | None = None
    worst_site: Slug | None = None
    after_round: Whole | None = None


class CardProtection(Part):
    """One protection, whether it was on, and what that means."""

    name: ShortText
    on: bool
    meaning: Text


class CardCompute(Part):
    """What the training has cost, as far as the sites had told when the model was registered; bytes as counted."""

    cpu_s: Whole = 0
    gpu_s: Whole = 0
    bytes_up: Whole = 0
    bytes_down: Whole = 0


class ModelCard(SignedObject):
    """The card of one model; sealed with the hub's key.

    Attributes:
        line, version: a model that starts from a registered one is the next version of its line.
        previous: the model that it started from; None if the seed made the first one.
        manifest, visa: digests of the sealed objects; `request` is the id of the access request.
        files: first the weights.
        software: the version of fairbank at the hub; what ran at the sites is in their settings.
    """

    schema_name = "model-card/1"
    kind = "model-card"

    model: DigestText
    title: ShortText
    line: Id
    version: Annotated[int, Field(ge=1)]
    previous: DigestText | None = None
    hub: Iri
    account: ShortText
    job: Id
    manifest: DigestText
    visa: DigestText
    request: Id
    code: Code
    parameters: dict[str, JsonValue]
    seed: ShortText
    plan: Plan
    training: Training | None = None
    rounds: Annotated[int, Field(ge=1)]
    datasets: Annotated[tuple[CardDataset, ...], Field(max_length=200)]
    sites: Annotated[tuple[CardSite, ...], Field(max_length=1000)]
    objective: CardObjective
    protections: Annotated[tuple[CardProtection, ...], Field(max_length=20)]
    intended_use: Text
    limits: Annotated[tuple[Text, ...], Field(max_length=20)] = ()
    compute: CardCompute = CardCompute()
    files: Annotated[tuple[CardFile, ...], Field(min_length=1)]
    software: ShortText
    started: Moment
    ended: Moment
    created: Moment
