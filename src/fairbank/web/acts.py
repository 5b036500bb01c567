"""What a researcher signs: access requests and jobs, sealed with her own key before they are sent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue, ValidationError

from fairbank.clock import iso
from fairbank.errors import FairbankError, Kind
from fairbank.federated_jobs.axes.words import Chosen
from fairbank.federated_jobs.evaluating import EVALUATE
from fairbank.federated_jobs.manifest import draft
from fairbank.federated_jobs.training_errors import StartRefused
from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.key_succession import Succession, opened
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import (
    Manifest,
    Purpose,
    Request,
    Resources,
    Selector,
    VisaDataset,
)
from fairbank.signing import Sealed, open_sealed
from fairbank.web.api_client import HubApi, all_rows
from fairbank.web.publishing import usable_tool


class NoSuchGrant(FairbankError):
    """A job needs a grant that holds, and there is none of this id."""

    code = "FB-WEB-013"
    kind = Kind.NOT_FOUND


class UnknownParameterForm(FairbankError):
    """A job parameter on the command line is not NAME=VALUE."""

    code = "FB-WEB-014"
    kind = Kind.MISUSE


@dataclass(frozen=True, slots=True)
class Wish:
    """What an access request asks for."""

    title: str
    datasets: Sequence[str]
    data_use: Sequence[str]
    statement: str
    output_classes: Sequence[str]
    until: datetime


def request_access(api: HubApi, wish: Wish) -> dict[str, Any]:
    """Seal an access request with the requester's key, submit it, and return its id and state.

    Raises:
        MalformedObject: if something in it is not of the form a request has.
    """
    who, key = api.signer()
    try:
        request = Request(
            id=api.clock.new_id(),
            requester_key=key.key_id,
            requester_account=str(who["account"]),
            organisation=str(who["organisation"]),
            title=wish.title,
            datasets=tuple(wish.datasets),
            purpose=Purpose(data_use=tuple(wish.data_use), statement=wish.statement),
            output_classes=tuple(_output_class(word) for word in wish.output_classes),
            until=iso(wish.until),
            created=iso(api.clock.now()),
        )
    except ValidationError as err:
        raise MalformedObject.from_validation("access request", err.errors()) from err
    return api.post("/v1/requests", request.seal(key), signed_in=True)


def grant(api: HubApi, wanted: str) -> Sealed:
    """Return the visa of a grant, verified with the hub's root key.

    Args:
        wanted: the grant's id, or the id of the request that it answers.

    Raises:
        NoSuchGrant: if there is none, or it has ended.
    """
    hub_keys = root_keys(api)
    for each in all_rows(api, "/v1/grants", "grants"):
        if wanted in (each["id"], each["request"]) and each["state"] == "holds":
            return open_sealed(json.dumps(each["envelope"]).encode(), "visa", trusted=hub_keys)
    raise NoSuchGrant(
        f"You have no grant {wanted!r} that holds.",
        why="It was never given, it has ended, or it was revoked.",
        todo="See 'fairbank grant list'.",
    )


def root_keys(api: HubApi) -> list[str]:
    """Return the hub's root key and those before it: what it sealed with them is its word all the same."""
    about = api.get("/v1/hub")
    earlier = [Succession.parse(each) for each in about.get("successions", [])]
    return [str(about["key"]), *(opened(each, of="hub", name=about["base_iri"])[0].old for each in earlier)]


def send_job(
    api: HubApi,
    visa: Sealed,
    tool: str,
    parameters: Mapping[str, JsonValue],
    *,
    title: str,
    datasets: Sequence[str] | Sequence[VisaDataset] | None = None,
    rounds: int | None = None,
    quorum: int | None = None,
    seed: str = "0",
    resources: Resources | None = None,
    training: Chosen | None = None,
) -> tuple[Manifest, dict[str, Any]]:
    """Draft a job under a visa, seal it with the requester's key, submit it; return the manifest and id with state.

    Args:
        datasets: which of the visa's datasets to use, by IRI or with a selection from each; all of them by default.
        quorum: how many sites must deliver; all of them by default.
        training: what a training job chooses on the axes of training.
    """
    chosen, wish = None, _started(api, training or Chosen())
    if datasets is not None:
        granted: Any = visa.payload["datasets"]
        chosen = [
            VisaDataset(iri=one["iri"], selector=Selector.model_validate_json(json.dumps(one["selector"])))
            for one in granted
            if one["iri"] in datasets
        ] or [one for one in datasets if isinstance(one, VisaDataset)]
    try:
        manifest = draft(
            visa,
            usable_tool(api, tool),
            parameters,
            clock=api.clock,
            title=title,
            datasets=chosen,
            rounds=rounds,
            quorum=quorum,
            seed=seed,
            resources=resources,
            plan_name=wish.plan,
            plan_options=wish.plan_options,
            aggregator=wish.aggregator,
            training=wish.training,
            by_group=wish.by_group,
            privacy_budget=wish.privacy_budget,
        )
    except ValidationError as err:
        raise MalformedObject.from_validation("job", err.errors()) from err
    return manifest, api.post("/v1/jobs", manifest.seal(api.key()), signed_in=True)


def bring_model(api: HubApi, file: Path, *, format: str = "") -> dict[str, Any]:
    """Bring the file of a model to the hub and return what it is called there.

    Args:
        format: `onnx`, `monai-bundle` or `safetensors`; what the file's name ends with says it by default.
    """
    known = {".zip": "monai-bundle", ".safetensors": "safetensors"}
    said = format or known.get(file.suffix.lower(), "onnx")
    return api.upload("/v1/model-files", file, name=file.name, format=said)


def _started(api: HubApi, wish: Chosen) -> Chosen:
    """Return a wish that names the weights which a job starts from, where it names the bundle that holds them."""
    training = wish.training
    if training is None or training.initial_model is None or training.local_step.name == EVALUATE:
        return wish
    found = start_of(api, training.initial_model)
    return replace(wish, training=training.model_copy(update={"initial_model": found}))


def start_of(api: HubApi, digest: str) -> str:
    """Return the digest of the weights that a job starts from: those of a bundle that was brought, or the model itself.

    Raises:
        StartRefused: if the bundle brings no weights.
    """
    rows = api.get("/v1/model-files", signed_in=True)["files"]
    if not any(row["digest"] == digest and row["format"] == "monai-bundle" for row in rows):
        return digest
    weights = api.get(f"/v1/model-files/{digest}", signed_in=True)["weights"]
    if weights is None:
        raise StartRefused(
            "The bundle brings no weights that a training can start from.",
            why="It holds no file of weights, several, or numbers of a type that is not read.",
            todo="Bring one with its weights as safetensors, or start from the job's seed.",
        )
    return str(weights)


def parameters_from(pairs: Sequence[str]) -> dict[str, JsonValue]:
    """Read NAME=VALUE pairs; whole numbers, true/false and JSON in brackets become such, all else stays text.

    Raises:
        UnknownParameterForm: if one has no `=`.

    >>> parameters_from(["width=8", "noise_sd=0.05"])
    {'width': 8, 'noise_sd': '0.05'}
    """
    read: dict[str, JsonValue] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UnknownParameterForm(
                f"{pair!r} is not NAME=VALUE.", why="Parameters have names.", todo="See 'fairbank tool show'."
            )
        read[name] = _value(text)
    return read


def _value(text: str) -> JsonValue:
    if text in ("true", "false"):
        return text == "true"
    if text[:1] in ("[", "{"):
        with suppress(ValueError):
            read: JsonValue = json.loads(text)
            return read
    try:
        return int(text)
    except ValueError:
        return text


def _output_class(word: str) -> OutputClass:
    try:
        return OutputClass(word)
    except ValueError as err:
        raise MalformedObject(
            f"{word!r} is not an output class.",
            why="A request names what may come back.",
            todo=f"The classes are: {', '.join(each.value for each in OutputClass)}.",
        ) from err
