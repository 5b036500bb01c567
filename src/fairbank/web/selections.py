"""What a researcher selects before a job is sent: a draft of the job, and the live counts that sites answer to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, JsonValue, ValidationError

from fairbank.clock import iso
from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import Tool, WorkerKind, tool_named
from fairbank.federated_jobs.count_protocol import Counts
from fairbank.federated_jobs.errors import DraftRefused
from fairbank.ontology.body_part_tree import with_narrower
from fairbank.ontology.count_questions import CountQuestion
from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.selection import default_within
from fairbank.ontology.signed_objects import Selector, VisaDataset, narrows
from fairbank.ontology.wire import Id, ShortText, Slug, Wire
from fairbank.signing import Sealed
from fairbank.web.api_client import HubApi

# What a search asks in the catalogue's words, and what a selector calls it.
_LISTS = {"modality": "modality", "body_part": "body_part", "manufacturer": "manufacturer", "kernel": "kernel",
          "contrast": "contrast", "sex": "sex", "age_band": "age_band"}  # fmt: skip
# What a search asks of the catalogue and not of the images.
OF_THE_CATALOGUE = frozenset(
    {"q", "exact", "node", "licence", "data_use", "collection_kind", "access_rights", "condition"}
    | {"min_subjects", "min_sites"}
)


class JobDraft(Wire):
    """A job as its requester prepares it, before it is sealed and sent; it stays on her machine."""

    schema_name = "job-draft/1"

    grant: Id
    tool: Slug
    title: ShortText
    parameters: dict[str, JsonValue] = {}
    datasets: Annotated[tuple[VisaDataset, ...], Field(min_length=1, max_length=200)]


def draft_job(
    visa: Sealed,
    tool: str,
    *,
    title: str,
    parameters: Mapping[str, JsonValue],
    datasets: Sequence[str] | None = None,
    changes: Mapping[str, Any] | None = None,
    known: Tool | None = None,
) -> JobDraft:
    """Return the draft of a job under a grant: by default an analysis takes one suitable series per study.

    Args:
        datasets: IRIs of the granted datasets to use; all of them by default.
        changes: what the selection says otherwise than the default, by the fields of a selector.
        known: the tool of that name, where it is not an installed one.

    Raises:
        DraftRefused: if a dataset is not granted, or the selection is wider than granted.
        MalformedObject: if a change is no word or number that a selector knows.
    """
    found = known or tool_named(tool)
    found.check_parameters(parameters)
    granted: Any = visa.payload["datasets"]
    terms = {one["iri"]: Selector.model_validate_json(json.dumps(one["selector"])) for one in granted}
    wanted = list(terms) if datasets is None else list(datasets)
    if unknown := [iri for iri in wanted if iri not in terms]:
        raise DraftRefused(
            f"The grant does not cover {unknown[0]}.",
            why=f"It covers: {', '.join(terms)}.",
            todo="Leave it out, or ask for access to it.",
        )
    chosen = []
    for iri in wanted:
        base = default_within(terms[iri]) if found.worker is not WorkerKind.TRAINING else terms[iri]
        selector = changed(base, changes or {})
        if not narrows(selector, terms[iri]):
            raise DraftRefused(
                f"The selection from {iri} is wider than granted.",
                why="A job selects no more than its grant, and what a grant picks, a job takes as it is.",
                todo="See 'fairbank grant list', and select less.",
            )
        chosen.append(VisaDataset(iri=iri, selector=selector))
    return JobDraft(
        grant=str(visa.payload["id"]),
        tool=tool,
        title=title,
        parameters=dict(parameters),
        datasets=tuple(chosen),
    )


def changed(selector: Selector, changes: Mapping[str, Any]) -> Selector:
    """Return a selector with some fields changed.

    Raises:
        MalformedObject: naming the fields at fault.
    """
    said = {name: value for name, value in changes.items() if value not in (None, (), [])}
    try:
        return Selector.model_validate_json(json.dumps({**selector.model_dump(mode="json"), **said}))
    except ValidationError as err:
        raise MalformedObject.from_validation("selection", err.errors()) from err


def write_draft(draft: JobDraft, path: Path) -> None:
    """Write a draft to a file that a person can read and change."""
    path.write_text(json.dumps(draft.payload(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_draft(path: Path) -> JobDraft:
    """Read a draft.

    Raises:
        DraftRefused: if it cannot be read, or is none.
    """
    try:
        return JobDraft.parse(path.read_bytes())
    except (OSError, FairbankError) as err:
        why = err.what if isinstance(err, FairbankError) else type(err).__name__
        raise DraftRefused(
            f"The file {path.name} is no draft of a job.", why=why, todo="Make one with 'fairbank job new'."
        ) from err


def ask_counts(api: HubApi, datasets: Sequence[VisaDataset], *, visa: Sealed | None = None) -> str:
    """Seal a question for live counts with the requester's key, ask it, and return its id.

    Args:
        visa: the grant under which it is asked; None: under none.
    """
    who, key = api.signer()
    question = CountQuestion(
        id=api.clock.new_id(),
        requester_key=key.key_id,
        requester_account=str(who["account"]),
        visa=visa.digest if visa is not None else None,
        datasets=tuple(datasets),
        created=iso(api.clock.now()),
    )
    return str(api.post("/v1/counts", question.seal(key), signed_in=True)["id"])


def counts(api: HubApi, question: str, *, wait_s: int) -> Counts:
    """Return the answers to a question, after waiting for them at most `wait_s` seconds."""
    until = api.clock.now().timestamp() + wait_s
    seen = 0
    while True:
        left_s = max(0, min(30, round(until - api.clock.now().timestamp())))
        told = api.get(f"/v1/counts/{question}", signed_in=True, wait_s=left_s, seen=seen)
        found = Counts.parse(told)
        if found.complete or left_s == 0:
            return found
        seen = found.seen


def searched(question: Mapping[str, Any]) -> tuple[Selector, list[str]]:
    """Return what of a search a selector can ask of images, and the names of what it cannot.

    >>> searched({"q": "lung", "modality": ["CT"], "slice_thickness_max": "1.5", "model": ["Aera"]})[1]
    ['model']
    """
    asked: dict[str, Any] = {}
    left_out: list[str] = []
    said = {name: value for name, value in question.items() if value and name not in OF_THE_CATALOGUE}
    for pair in said.pop("holds", []):
        attribute, _, value = str(pair).partition("=")
        name = attribute.replace("-", "_")
        said[name] = [*said.get(name, []), value]
    for name, value in said.items():
        if name == "slice_thickness_max":
            asked["slice_thickness_max_mm"] = str(value)
        elif name == "acquisition_year":
            years = sorted(int(year) for year in value if str(year).isdecimal())
            if years and years == list(range(years[0], years[-1] + 1)):
                asked |= {"acquired_from": years[0], "acquired_to": years[-1]}
            else:
                left_out.append(name)
        elif name in _LISTS:
            values = tuple(value)
            exact = bool(question.get("exact"))
            asked[_LISTS[name]] = with_narrower(values) if name == "body_part" and not exact else values
        else:
            left_out.append(name)
    return changed(Selector(), asked), left_out
