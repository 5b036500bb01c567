"""A model fetched from the hub: card and files are checked before anything is written, all of it or nothing."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbank.errors import FairbankError
from fairbank.federated_jobs.axes.words import Chosen
from fairbank.federated_jobs.evaluating import EVALUATE
from fairbank.federated_jobs.release_check import RELEASE_CHECK, SHADOW_PASSES, SHADOWS, Wish
from fairbank.federated_jobs.reports import card as card_text
from fairbank.federated_jobs.training_errors import CardUntrusted, EvaluationRefused
from fairbank.ontology.model_cards import ModelCard
from fairbank.ontology.signed_objects import Element, Manifest, Objective, Training
from fairbank.signing import Sealed, file_digest
from fairbank.web import acts
from fairbank.web.api_client import HubApi

WEIGHTS = "model.safetensors"
# As hubs call the file that describes an ensemble.
ENSEMBLE = "ensemble"
_FEWEST_MEMBERS = 2
CARD, ENVELOPE, CARD_TEXT, CARD_PAGE = "card.json", "card.dsse.json", "card.md", "card.html"
_SUFFIXES = {"application/json": ".json", "text/csv": ".csv"}


@dataclass(frozen=True, slots=True)
class Fetched:
    """A model's files in a folder, and its card."""

    folder: Path
    card: ModelCard
    files: tuple[Path, ...]


def card_of(api: HubApi, digest: str) -> tuple[ModelCard, Sealed]:
    """Return the card of a model, verified by a root key of the hub.

    Raises:
        CardUntrusted: if no key of the hub sealed it, or it is the card of another model.
    """
    envelope = json.dumps(api.get(f"/v1/models/{digest}/card", signed_in=True)).encode()
    try:
        card, sealed = ModelCard.open(envelope, trusted=acts.root_keys(api))
    except FairbankError as err:
        raise CardUntrusted(
            "The card of this model cannot be trusted.",
            why=err.why or err.what,
            todo="Nothing was written. Ask the hub's administrator where the card comes from.",
        ) from err
    if card.model != digest:
        raise CardUntrusted(
            "The card that came is that of another model.",
            why=f"It names {card.model}.",
            todo="Nothing was written. Try again, and ask the hub's administrator if it stays so.",
        )
    return card, sealed


def fetch_model(api: HubApi, digest: str, to: Path) -> Fetched:
    """Fetch a model with its card and all files that the card names into a new or empty folder.

    Raises:
        CardUntrusted: if the card is not the hub's, or a file is not the one that it names.
        FileExistsError: if something is in the folder.
    """
    card, sealed = card_of(api, digest)
    if to.exists() and any(to.iterdir()):
        raise CardUntrusted(
            f"There is something in {to} already.",
            why="A model's files lie together and by themselves, so that no card lies beside another model.",
            todo="Name a new folder.",
        )
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as scratch:
        folder = Path(scratch) / "model"
        folder.mkdir()
        names = [_fetch(api, card, one.digest, folder / _name(card, one)) for one in card.files]
        (folder / CARD).write_bytes(sealed.payload_bytes)
        (folder / ENVELOPE).write_bytes(sealed.envelope_bytes)
        (folder / CARD_TEXT).write_text(card_text.markdown(card), encoding="utf-8")
        (folder / CARD_PAGE).write_text(card_text.page(card), encoding="utf-8")
        if to.exists():
            to.rmdir()
        shutil.move(folder, to)
    made = (*(name.name for name in names), CARD, ENVELOPE, CARD_TEXT, CARD_PAGE)
    return Fetched(to, card, tuple(to / name for name in made))


def evaluate_model(
    api: HubApi,
    digest: str,
    *,
    grant: str,
    datasets: list[str] | None = None,
    quorum: int | None = None,
    objective: Objective | None = None,
    combine: str | None = None,
    by_group: bool = False,
    release_check: Wish | None = None,
) -> tuple[Manifest, dict[str, Any]]:
    """Send a job that measures a model at the sites of a grant and trains nothing; return manifest and answer.

    Code, parameters and seed are those of the model's own training, so that the same subjects are held out as far as
    the sites are the same.

    Args:
        combine: measure the whole ensemble that the model is of, its predictions put together by `mean` or `vote`.
        by_group: also have metrics told by sex, age and maker, where a site may.
        release_check: also have sites measure how much the model remembers of what it was trained on.

    Raises:
        EvaluationRefused: if an ensemble is asked for and the model is of none.
    """
    card, _ = card_of(api, digest)
    members = _ensemble_of(api, card) if combine is not None else ()
    options: dict[str, Any] = {"members": list(members), "combine": combine} if members else {}
    if release_check is not None:
        options[RELEASE_CHECK] = True
        if release_check.shadows:
            options |= {SHADOWS: release_check.shadows, SHADOW_PASSES: release_check.passes}
    training = Training(
        local_step=Element(name=EVALUATE, options=options),
        initial_model=members[0] if members else digest,
        objective=objective or (card.training.objective if card.training is not None else Objective.MEAN),
    )
    return acts.send_job(
        api,
        acts.grant(api, grant),
        card.code.name,
        card.parameters,
        title=f"Evaluation{' of an ensemble' if members else ''}: {card.title}"[:200],
        datasets=datasets,
        rounds=1,
        quorum=quorum,
        seed=card.seed,
        training=Chosen(training=training, by_group=by_group),
    )


def retrain_model(
    api: HubApi, digest: str, *, grant: str | None
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the settings of a model's training, and what the hub answered if a job with them was sent.

    Sites choose their subjects anew, so whoever was withdrawn since is in none of them.

    Args:
        grant: under which the job is sent; None sends none.
    """
    card, _ = card_of(api, digest)
    plan = card.plan
    recipe: dict[str, Any] = {
        "tool": card.code.name,
        "datasets": [each.iri for each in card.datasets],
        "parameters": dict(card.parameters),
        "seed": card.seed,
        "plan": plan.name.value,
        "plan_options": dict(plan.options),
        "aggregator": plan.aggregator,
        "aggregator_options": dict(plan.aggregator_options),
        "rounds": plan.rounds,
        "quorum": plan.quorum,
        "training": card.training.model_dump(mode="json", exclude_none=True) if card.training else None,
        "starts_from": card.previous,
    }
    if grant is None:
        return recipe, None
    _, answer = acts.send_job(
        api,
        acts.grant(api, grant),
        card.code.name,
        card.parameters,
        title=f"Trained anew: {card.title}"[:200],
        datasets=recipe["datasets"],
        rounds=plan.rounds,
        quorum=plan.quorum,
        seed=card.seed,
        training=Chosen(
            plan=plan.name,
            plan_options=plan.options,
            aggregator=Element(name=plan.aggregator, options=plan.aggregator_options),
            training=card.training,
        ),
    )
    return recipe, answer


def _ensemble_of(api: HubApi, card: ModelCard) -> tuple[str, ...]:
    """Return the models of the ensemble that a model is of, in the order of their sites."""
    described = next((one.digest for one in card.files if one.name == ENSEMBLE), None)
    members: list[str] = []
    if described is not None:
        with tempfile.TemporaryDirectory() as scratch:
            file = _fetch(api, card, described, Path(scratch) / "ensemble.json")
            # Sites whose models are the same to the byte have one model.
            members = list(
                dict.fromkeys(str(one["model"]) for one in json.loads(file.read_bytes())["members"])
            )
    if len(members) < _FEWEST_MEMBERS:
        raise EvaluationRefused(
            "This model is of no ensemble of several.",
            why="Predictions are put together of the models that a training with the plan 'ensemble' made.",
            todo="Leave --combine out, or name one of the models of such a training.",
        )
    return tuple(members)


def _fetch(api: HubApi, card: ModelCard, digest: str, to: Path) -> Path:
    api.download(digest, to)
    named = {one.digest for one in card.files}
    if file_digest(to) not in named:
        raise CardUntrusted(
            "A file that came is none of those that the card names.",
            why="Its bytes have another digest.",
            todo="Nothing was written. Try again.",
        )
    return to


def _name(card: ModelCard, one: Any) -> str:
    if one.digest == card.model:
        return WEIGHTS
    stem = Path(str(one.name)).name
    return stem if "." in stem else stem + _SUFFIXES.get(one.media_type, "")
