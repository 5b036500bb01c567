"""Trainings at the hub, for the requester: the record of one, followed round by round, and its report."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from pathlib import Path

from fairbank.errors import RemoteError
from fairbank.federated_jobs.protections import ProtectionName, refusals
from fairbank.federated_jobs.reports.page import page
from fairbank.federated_jobs.training_record import TrainingRecord
from fairbank.federated_jobs.training_settings import SettingsView
from fairbank.ontology.training_rules import ToldRules
from fairbank.web.api_client import HubApi

_NOT_FOUND = 404
_TOLD = tuple(name for name in ToldRules.model_fields if name != "halted")


def training_of(api: HubApi, job: str, *, known: TrainingRecord | None = None) -> TrainingRecord:
    """Return the record of a training.

    Args:
        known: an earlier one; its closed rounds are not asked for again.

    Raises:
        NotATraining: if the job trains no model.
    """
    first = 1
    kept = []
    if known is not None:
        kept = [one for one in known.done if one.closed is not None]
        # Of the newest, what it has cost is told only with the next claim.
        kept = kept[:-1]
        first = kept[-1].round + 1 if kept else 1
    told = TrainingRecord.parse(dict(api.get(f"/v1/jobs/{job}/training", signed_in=True, rounds_from=first)))
    return told.model_copy(update={"done": (*kept, *told.done), "rounds_from": 1})


def settings_of(api: HubApi, job: str) -> SettingsView:
    """Return what the sites of a training signed as their effective settings."""
    return SettingsView.parse(dict(api.get(f"/v1/jobs/{job}/settings", signed_in=True)))


def rules_of_sites(
    api: HubApi,
    on: Collection[ProtectionName],
    *,
    nodes: Collection[str] | None = None,
    quorum: int | None = None,
) -> list[dict[str, object]]:
    """Return what each site has told that it asks of trainings, with the rules by which it would refuse one.

    Args:
        on: the protections of the training.
        nodes: of which sites; of all by default.
        quorum: how many sites must deliver.
    """
    rows: list[dict[str, object]] = []
    for node in api.get("/v1/nodes")["nodes"]:
        if nodes is not None and node["name"] not in nodes:
            continue
        told = node.get("training")
        if told is None:
            rows.append({"site": node["name"], "refuses": "not told", **dict.fromkeys(_TOLD, "")})
            continue
        rules = ToldRules.model_validate_json(json.dumps(told))
        faults = refusals(rules, on, quorum=quorum)
        rows.append(
            {
                "site": node["name"],
                "refuses": ", ".join(faults) or "no",
                **{name: told[name] for name in _TOLD},
            }
        )
    return rows


def follow(api: HubApi, job: str) -> Iterator[TrainingRecord]:
    """Yield the record of a training, first now, then at each change, until it has ended."""
    known: TrainingRecord | None = None
    for _ in api.watch_job(job):
        known = training_of(api, job, known=known)
        yield known


def report(api: HubApi, job: str) -> str:
    """Return the report of a training as an HTML page."""
    record = training_of(api, job)
    try:
        settings: SettingsView | None = settings_of(api, job)
    except RemoteError as err:
        if err.status != _NOT_FOUND:
            raise
        settings = None
    return page(record, settings)


def write_whole(text: str, to: Path) -> Path:
    """Write a text file whole or not at all."""
    partial = to.with_name(f".{to.name}.part")
    partial.write_text(text, encoding="utf-8")
    return partial.replace(to)
