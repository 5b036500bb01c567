"""Starting a job from a permit: a tool, its parameters, what would come back; then all of it to read, and sending it.

The address is the state, so nothing is kept before it is sent. The hub runs no tool on it: trying it on synthetic data
is done on the requester's own computer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlencode

from pydantic import ValidationError
from sqlalchemy.orm import Session
from starlette.responses import Response

from fairbank.catalogue.context import Hub
from fairbank.database import reading
from fairbank.errors import FairbankError, Kind
from fairbank.federated_jobs.code import Tool, WorkerKind
from fairbank.federated_jobs.errors import VisaRefused
from fairbank.federated_jobs.hub import dispatch, startable
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.hub.grants import granted
from fairbank.federated_jobs.hub.startable import Startable, Usable
from fairbank.federated_jobs.hub.tool_registry import known_tools
from fairbank.federated_jobs.manifest import check_code, check_within_visa, draft, site_count
from fairbank.federated_jobs.option_fields import OptionField, faults_of, fields_of, typed_values
from fairbank.federated_jobs.tool_manifests import columns_of
from fairbank.ontology.selection import in_words
from fairbank.ontology.signed_objects import Manifest, Output, Visa
from fairbank.ontology.tools import OutputColumn
from fairbank.web import once, page_signing
from fairbank.web.languages import mark
from fairbank.web.once import Bound
from fairbank.web.page_signing import Signing
from fairbank.web.pages.page import Once, Page
from fairbank.web.pages.visits import Fields, Visit
from fairbank.web.selections import JobDraft, draft_job

SEND, CHECK = "send", "check"
# Before the name of each parameter in the address.
OPTION: Final = "p-"
_NOT_OF_THE_JOB: Final = ("act", "csrf", "once", "passphrase", "step", "lang", "theme", "resume")
_MOST_COLUMNS: Final = 40
_SAID: Final[dict[str, str]] = {
    "title": mark("Give it a title of at most 200 letters."),
    "c": mark("Choose at least one collection."),
    "rounds": mark("It is a whole number from 1 to 10,000."),
    "quorum": mark("It is a whole number, and not more than the biobanks that are asked."),
    "seed": mark("It is a whole number of at most 20 digits."),
}
_UNKNOWN: Final = mark("The tool has no such parameter, and unknown ones are refused.")


class JobUnfit(FairbankError):
    """A form of a job says something that cannot be; its page says what, field by field."""

    code = "FB-WEB-045"
    kind = Kind.REFUSED


class KeyOfAnother(FairbankError):
    """A permit was given to another key than the one that a job would be sealed with."""

    code = "FB-WEB-046"
    kind = Kind.REFUSED


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of the permit: whether the tool may be used on it, and what the job takes of it in words."""

    iri: str
    address: str
    title: str
    node: str
    runs_left: int
    expires: datetime
    allowed: bool = True
    chosen: bool = True
    selection: str = ""


@dataclass(frozen=True, slots=True)
class Permit:
    """A permit that jobs can be started from."""

    id: str
    title: str
    address: str
    request: str
    collections: tuple[Collection, ...]


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """A tool that the permit allows."""

    name: str
    version: str
    title: str
    digest: str
    address: str
    reviewed: bool
    trains: bool
    has_rounds: bool
    can_try: bool


@dataclass(frozen=True, slots=True)
class Typed:
    """A parameter and what was typed; `fault` is in the tool's own words, which are English."""

    option: OptionField
    value: str
    fault: str


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is missing or wrong: the field, and a sentence that is yet to be translated or is of a program."""

    field: str
    sentence: str


@dataclass(frozen=True, slots=True)
class NewJob:
    """`new_job.html`."""

    step: str
    permits: tuple[Permit, ...]
    permit: Permit | None
    tools: tuple[ToolChoice, ...]
    tool: ToolChoice | None
    fields: tuple[Typed, ...]
    typed: Mapping[str, str]
    faults: tuple[Fault, ...]
    outputs: tuple[Output, ...]
    columns: tuple[OutputColumn, ...]
    columns_left_out: int
    nodes: int
    draft: str
    submit: str
    back: str
    sent: tuple[tuple[str, str], ...]
    signing: Signing
    key_fits: bool
    once: Once


@dataclass(frozen=True, slots=True)
class _Wish:
    """A job as it was typed, and what is wrong with it; `manifest` is None where something is."""

    values: Mapping[str, str]
    fields: tuple[Typed, ...]
    faults: tuple[Fault, ...]
    chosen: tuple[str, ...]
    made: JobDraft | None
    manifest: Manifest | None


def show(hub: Hub, visit: Visit) -> NewJob:
    """Put the page together: it asks for a permit, then for a tool, then for the rest, then to read all of it."""
    said = visit.typed if visit.typed.get("act") == SEND else visit.asked
    with reading(hub.engine) as session:
        grant = _grant(hub, session, visit, said)
        permits = startable.startable(hub, session, visit.account) if grant is None else ()
        usable = startable.usable(session, visit.account, grant) if grant is not None else ()
        found = next((each for each in usable if each.tool.name == said.get("tool")), None)
        wish = _wish(hub, session, grant, found, said) if grant is not None and found is not None else None
        signing = page_signing.may_sign(hub, session, visit)
    checked = said.get("step") == CHECK or said.get("act") == SEND
    step = "permit" if grant is None else "tool" if wish is None else "edit"
    if wish is not None and checked and not wish.faults:
        step = CHECK
    columns = columns_of(found.tool) or found.tool.columns if found is not None else ()
    return NewJob(
        step=step,
        permits=tuple(_permit(hub, each) for each in permits),
        permit=_permit(hub, grant, found, wish) if grant is not None else None,
        tools=tuple(_tool(grant, each) for each in usable) if grant is not None else (),
        tool=_tool(grant, found) if grant is not None and found is not None else None,
        fields=wish.fields if wish is not None else (),
        typed=wish.values if wish is not None else {},
        faults=wish.faults if wish is not None and checked else (),
        outputs=found.tool.outputs if found is not None else (),
        columns=tuple(columns[:_MOST_COLUMNS]),
        columns_left_out=max(0, len(columns) - _MOST_COLUMNS),
        nodes=site_count(wish.made.datasets) if wish is not None and wish.made is not None else 0,
        draft=json.dumps(wish.made.payload(), indent=2, ensure_ascii=False) if wish and wish.made else "",
        submit=_command(wish.values) if wish is not None else "",
        back=f"/jobs/new?{urlencode(_of_the_job(said))}",
        sent=_of_the_job(said),
        signing=signing,
        key_fits=grant is not None and grant.requester_key == visit.account.key_id,
        once=once.token(hub, visit, _bound(said)),
    )


def send(hub: Hub, visit: Visit) -> Response:
    """Seal the job with the key that the hub keeps for its requester, and send it; the same form again is one job."""
    form = visit.form
    with reading(hub.engine) as session:
        grant = startable.startable_named(hub, session, visit.account, form.get("grant", ""))
        usable = startable.usable(session, visit.account, grant)
        found = next((each for each in usable if each.tool.name == form.get("tool")), None)
        wish = _wish(hub, session, grant, found, form) if found is not None else None
    if wish is None or wish.manifest is None:
        raise JobUnfit(
            "The job was not sent: something in it is missing or wrong.",
            why="Biobanks decide on exactly what is sent.",
            todo="Correct what is named below, and read it again.",
        )
    manifest = wish.manifest

    def do() -> str:
        key = page_signing.opened(hub, visit)
        if key.key_id != grant.requester_key:
            raise KeyOfAnother(
                "The job was not sent: its permit was given to another key of yours.",
                why="A job is sealed with the key that asked for the permit, or no biobank takes it.",
                todo="Send it from the computer that has that key, or ask for access anew with the key kept here.",
            )
        requester = dispatch.Requester(visit.account.name, key.key_id)
        with changing(hub) as session:
            job = dispatch.submit(
                hub, session, manifest.seal(key), requester=requester, grants=granted(hub)
            ).id
        hub.notifier.notify()
        return f"/jobs/{job}"

    return once.act(hub, visit, _bound(form), do)


def _grant(hub: Hub, session: Session, visit: Visit, said: Fields) -> Startable | None:
    if not said.get("grant"):
        return None
    try:
        return startable.startable_named(hub, session, visit.account, said["grant"])
    except VisaRefused:
        # Those that hold are shown in its place.
        return None


def _wish(hub: Hub, session: Session, grant: Startable, found: Usable, said: Fields) -> _Wish:
    tool, options = found.tool, fields_of(found.tool)
    typed = {name.removeprefix(OPTION): said[name] for name in said if name.startswith(OPTION)}
    given = typed_values(options, typed)
    wrong = {each.option: _UNKNOWN if each.unknown else each.sentence for each in faults_of(tool, given)}
    faults = [Fault(f"{OPTION}{name}" if name else "", sentence) for name, sentence in wrong.items()]
    values = {name: said.get(name, "").strip() for name in ("title", "rounds", "quorum")}
    values["seed"] = said.get("seed", "0").strip()
    # Who comes from the choice of a tool has chosen nothing yet.
    ticked = said.every("c") if "title" in said else found.datasets
    chosen = tuple(iri for iri in found.datasets if iri in ticked)
    rounds, quorum = _whole(values["rounds"], 10_000), _whole(values["quorum"], max(1, len(chosen)))
    bad = (
        ("title", not 0 < len(values["title"]) <= 200),
        ("c", not chosen),
        ("rounds", rounds == 0),
        ("quorum", quorum == 0),
        ("seed", not (values["seed"].isascii() and values["seed"].isdecimal() and len(values["seed"]) <= 20)),
    )
    faults += [Fault(name, _SAID[name]) for name, is_bad in bad if is_bad]
    fields = tuple(
        Typed(each, typed.get(each.name, each.default), wrong.get(each.name, "")) for each in options
    )
    made = manifest = None
    if not faults:
        try:
            made = draft_job(
                grant.sealed, tool.name, title=values["title"], parameters=given, datasets=chosen, known=tool
            )
            manifest = draft(
                grant.sealed,
                tool,
                given,
                clock=hub.clock,
                title=values["title"],
                datasets=made.datasets,
                rounds=rounds,
                quorum=quorum,
                seed=values["seed"],
            )
            check_within_visa(manifest, Visa.parse(dict(grant.sealed.payload)))
            check_code(manifest, known_tools(session, manifest.code))
        except ValidationError as err:
            faults.append(Fault("", f"{err.errors()[0]['msg']}."))
        except FairbankError as err:
            faults.append(Fault("", f"{err.what} {err.why}"))
    if faults:
        manifest = None
    return _Wish(values, fields, tuple(faults), chosen, made, manifest)


def _whole(text: str, most: int) -> int | None:
    """Return a number from 1 on; None where nothing is typed, 0 where it is no such number."""
    if not text:
        return None
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else 0
    return number if number <= most else 0


def _permit(hub: Hub, grant: Startable, found: Usable | None = None, wish: _Wish | None = None) -> Permit:
    taken = {one.iri: in_words(one.selector) for one in wish.made.datasets} if wish and wish.made else {}
    return Permit(
        id=grant.id,
        title=grant.title,
        address=f"/jobs/new?{urlencode({'grant': grant.id})}",
        request=f"/requests/{grant.request}",
        collections=tuple(
            Collection(
                iri=each.terms.iri,
                address=each.terms.iri.removeprefix(hub.base_iri).replace("/datasets/", "/collections/", 1),
                title=each.title,
                node=each.node,
                runs_left=each.runs_left,
                expires=each.expires,
                allowed=found is None or each.terms.iri in found.datasets,
                chosen=wish is None or each.terms.iri in wish.chosen,
                selection=taken.get(each.terms.iri, ""),
            )
            for each in grant.datasets
        ),
    )


def _tool(grant: Startable, found: Usable) -> ToolChoice:
    tool: Tool = found.tool
    trains = tool.worker is WorkerKind.TRAINING
    return ToolChoice(
        name=tool.name,
        version=tool.version,
        title=tool.title,
        digest=tool.digest,
        address=f"/jobs/new?{urlencode({'grant': grant.id, 'tool': tool.name})}",
        reviewed=found.reviewed,
        trains=trains,
        has_rounds=trains or tool.worker is WorkerKind.STATISTICS,
        can_try=tool.worker in (WorkerKind.ANALYSIS, WorkerKind.STATISTICS),
    )


def _command(values: Mapping[str, str]) -> str:
    more = [f"--{name} {values[name]}" for name in ("rounds", "quorum") if values[name]]
    more += [f"--seed {values['seed']}"] if values["seed"] != "0" else []
    return " ".join(("fairbank job submit --draft job.json", *more))


def _of_the_job(said: Fields) -> tuple[tuple[str, str], ...]:
    return said.pairs(without=_NOT_OF_THE_JOB)


def _bound(said: Fields) -> Bound:
    return Bound(f"job under {said.get('grant', '')}", "")


PAGE = Page(name="new_job", path="/jobs/new", context=NewJob, show=show, acts={SEND: send})
