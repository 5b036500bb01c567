"""One job: how far it is at each biobank, whom it waits for, what came of it, what happened; stopping it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy.orm import Session
from starlette.responses import Response

from fairbank.catalogue import nodes
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance.grant_names import titles
from fairbank.charts.figure import Figure
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.federated_jobs.code import WorkerKind, tool_named
from fairbank.federated_jobs.errors import CodeUnknown
from fairbank.federated_jobs.hub import dispatch, job_lines, job_record, retrying, usage, views
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.hub.job_record import Arrival, LogLine, Quorum, Timing
from fairbank.federated_jobs.hub.progress import manifest_of
from fairbank.federated_jobs.hub.store import JobRow, SiteRow
from fairbank.federated_jobs.hub.training_views import training_record
from fairbank.federated_jobs.hub.withdrawals import day_of
from fairbank.federated_jobs.protocol import ResultFile, RoundView, SiteUsage
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import ENDED_JOBS, WORKING_SITES, JobState, SiteState
from fairbank.ontology.selection import in_words
from fairbank.ontology.signed_objects import Manifest
from fairbank.web import once
from fairbank.web.job_charts import curves
from fairbank.web.job_words import REASONS, Awaited, awaited
from fairbank.web.once import Bound
from fairbank.web.pages.page import Once, Page
from fairbank.web.pages.visits import Visit
from fairbank.web.silence import silent_nodes

# Of very many rounds the newest are shown; the others are told by `fairbank job show`.
ROUNDS_SHOWN: Final = 30
_TRACK: Final = ("sent", "decided", "running", "ended")
STEPS: Final = ("review", "queue", "work", "check", "sent")
# Which step a site is at, and whether it goes on from there.
_AT: Final[dict[SiteState, tuple[int, bool]]] = {
    SiteState.PENDING_REVIEW: (0, True),
    SiteState.REJECTED: (0, False),
    SiteState.EXPIRED: (0, False),
    SiteState.APPROVED: (1, True),
    SiteState.QUEUED: (1, True),
    SiteState.LEASED: (2, True),
    SiteState.RUNNING: (2, True),
    SiteState.FAILED: (2, False),
    SiteState.OUTPUT_REVIEW: (3, True),
    SiteState.WITHHELD: (3, False),
    SiteState.RELEASED: (4, True),
}


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the track: done, the present one, or yet to come."""

    name: str
    done: bool
    here: bool


@dataclass(frozen=True, slots=True)
class Site:
    """A biobank: its steps are `done`, `here`, `stopped` or empty; `silent` is since when nothing was heard of it."""

    node: str
    state: SiteState
    reason: str
    since: datetime
    percent: int | None
    silent: datetime | None
    steps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """A biobank in a round: `sent` (when), `late`, `lost`, `left-out`, `asked` or empty."""

    what: str
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """A round, a cell for each biobank in the order of the sites."""

    round: int
    state: str
    opened: datetime
    closed: datetime | None
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """What one biobank would send, or has sent; `state` is a machine and a state of its words."""

    node: str
    round: int
    name: str
    output_class: str
    state: tuple[str, str]
    reason: str
    since: datetime
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Used:
    """A collection that the job uses, and what it takes of it in words."""

    address: str
    title: str
    selection: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where what came of it comes from: all that was fixed before, and the objects that it rests on."""

    request: str
    manifest: str
    visa: str
    tool: str
    version: str
    code: str
    plan: str
    aggregator: str
    seed: str
    parameters: Mapping[str, str]
    collections: tuple[Used, ...]
    models: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """`job.html`."""

    id: str
    title: str
    account: str
    mine: bool
    state: JobState
    reason: str
    ended: bool
    now: datetime
    created: datetime
    started: datetime | None
    finished: datetime | None
    paused: datetime | None
    round: int
    rounds: int
    track: tuple[Step, ...]
    awaited: tuple[Awaited, ...]
    timing: Timing
    quorum: Quorum
    lost: tuple[Site, ...]
    sites: tuple[Site, ...]
    history: tuple[Round, ...]
    hidden_rounds: int
    figures: tuple[Figure, ...]
    trains: bool
    outputs: tuple[Output, ...]
    files: tuple[ResultFile, ...]
    withdrawn: str
    usage: tuple[SiteUsage, ...]
    log: tuple[LogLine, ...]
    origin: Origin
    retry_at: tuple[str, ...]
    can_stop: bool
    once: Once
    once_retry: Once


def show(hub: Hub, visit: Visit) -> Job:
    """Put the page together; who oversees all jobs sees how it goes, and its requester also what came of it."""
    with reading(hub.engine) as session:
        job = job_lines.job_seen(session, visit.given["job_id"], visit.account)
        mine, over = job.account == visit.account.name, JobState(job.state) in ENDED_JOBS
        manifest, arrived = manifest_of(job), job_record.arrivals(session, job)
        silent = silent_nodes(nodes.listing(session), visit.now)
        rows = job_record.sites(session, job)
        sites = tuple(_site(row, {} if over else silent) for row in rows)
        view = views.job_view(session, job)
        again = retrying.retryable(hub, session, job, who=visit.account)
        return Job(
            **{name: getattr(job, name) for name in ("id", "title", "account", "created", "started")},
            **{name: getattr(job, name) for name in ("paused", "round", "rounds")},
            **_state(job, mine=mine, over=over, now=visit.now),
            awaited=() if over else awaited(job_lines.site_lines(rows), silent),
            timing=job_record.timing(session, job),
            quorum=job_record.quorum(session, job, silent),
            lost=tuple(site for site in sites if site.silent and site.state in WORKING_SITES),
            sites=sites,
            history=_history(view.history[-ROUNDS_SHOWN:], sites, arrived),
            hidden_rounds=max(0, job.round - ROUNDS_SHOWN),
            figures=_figures(hub, session, job, visit) if mine and _trains(manifest) else (),
            trains=_trains(manifest),
            outputs=_outputs(manifest, rows, arrived),
            files=views.results(session, job).files if mine else (),
            withdrawn=day_of(session, job.id) or "",
            usage=usage.usage_of_job(session, job.id).sites,
            log=job_record.log(session, job, arrived),
            origin=_origin(hub, session, job, manifest),
            retry_at=again,
            once=once.token(hub, visit, _to_stop(job)),
            once_retry=once.token(hub, visit, _to_retry(job, again)),
        )


def stop(hub: Hub, visit: Visit) -> Response:
    """Stop the job at all biobanks; what they have sent stays."""
    with reading(hub.engine) as session:
        job = job_lines.job_seen(session, visit.given["job_id"], visit.account)

    def do() -> str:
        with changing(hub) as session:
            dispatch.cancel(hub, session, job.id, account=visit.account.name)
        hub.notifier.notify()
        return f"/jobs/{job.id}"

    return once.act(hub, visit, _to_stop(job), do)


def retry(hub: Hub, visit: Visit) -> Response:
    """Have the job tried again wherever that may help."""
    with reading(hub.engine) as session:
        job = job_lines.job_seen(session, visit.given["job_id"], visit.account)
        again = retrying.retryable(hub, session, job, who=visit.account)

    def do() -> str:
        with changing(hub) as session:
            retrying.retry(hub, session, job.id, who=visit.account)
        hub.notifier.notify()
        return f"/jobs/{job.id}"

    return once.act(hub, visit, _to_retry(job, again), do)


def _to_stop(job: JobRow) -> Bound:
    return Bound(f"stop {job.id}", "over" if JobState(job.state) in ENDED_JOBS else "going")


def _to_retry(job: JobRow, again: tuple[str, ...]) -> Bound:
    return Bound(f"retry {job.id}", f"{job.state} {job.round} {again}")


def _state(job: JobRow, *, mine: bool, over: bool, now: datetime) -> dict[str, Any]:
    at = 3 if over else 2 if job.round else 1
    return {
        "mine": mine,
        "state": JobState(job.state),
        "reason": REASONS[Reason(job.reason)],
        "ended": over,
        "finished": job.ended,
        "now": now,
        "can_stop": mine and not over,
        "track": tuple(Step(name, place < at, place == at) for place, name in enumerate(_TRACK)),
    }


def _site(row: SiteRow, silent: Mapping[str, datetime]) -> Site:
    state = SiteState(row.state)
    at, goes_on = _AT[state]
    here = "done" if state is SiteState.RELEASED else "here" if goes_on else "stopped"
    steps = tuple("done" if place < at else here if place == at else "" for place in range(len(STEPS)))
    silence = silent.get(row.node)
    return Site(row.node, state, REASONS[Reason(row.reason)], row.since, row.percent, silence, steps)


def _history(
    told: Iterable[RoundView], sites: tuple[Site, ...], arrived: tuple[Arrival, ...]
) -> tuple[Round, ...]:
    came = {(each.round, each.node): each.received for each in arrived}
    return tuple(
        Round(
            round=each.round,
            state=each.state.value,
            opened=parse_iso(each.opened),
            closed=parse_iso(each.closed) if each.closed else None,
            cells=tuple(_cell(each, site.node, came.get((each.round, site.node))) for site in sites),
        )
        for each in told
    )


def _cell(told: RoundView, node: str, came: datetime | None) -> Cell:
    if came is not None:
        left_out = told.closed is not None and bool(told.merged) and node not in told.merged
        return Cell("left-out" if left_out else "sent", came)
    for what, named in (("late", told.late), ("lost", told.lost), ("asked", told.asked)):
        if node in named:
            return Cell(what)
    return Cell("")


def _outputs(manifest: Manifest, rows: Iterable[SiteRow], arrived: tuple[Arrival, ...]) -> tuple[Output, ...]:
    """Return what may still leave, or will not, and then what came, the newest round first."""
    found = []
    for row in rows:
        state, reason = SiteState(row.state), Reason(row.reason)
        refused = state is SiteState.FAILED and reason is Reason.GATE_REFUSED
        held, kept = state is SiteState.OUTPUT_REVIEW, state is SiteState.WITHHELD
        if not (held or kept or refused):
            continue
        word = ("ledger", "refused") if refused else ("output", "held" if held else "withheld")
        found += [
            Output(
                row.node, row.round, each.name, each.output_class.value, word, REASONS[reason], row.since, 0
            )
            for each in manifest.outputs
        ]
    sent = ("output", "sent")
    newest = max((each.round for each in arrived), default=0) - ROUNDS_SHOWN
    found += [
        Output(
            one.node, one.round, one.output, one.output_class.value, sent, "", one.received, one.size_bytes
        )
        for one in reversed(arrived)
        if one.round > newest
    ]
    return tuple(found)


def _figures(hub: Hub, session: Session, job: JobRow, visit: Visit) -> tuple[Figure, ...]:
    first = max(1, job.round - views.MOST_ROUNDS_SHOWN)
    return curves(training_record(hub, session, job, rounds_from=first), visit.tongue)


def _trains(manifest: Manifest) -> bool:
    try:
        return tool_named(manifest.code.name).worker is WorkerKind.TRAINING
    except CodeUnknown:
        # Of a container, which measures.
        return False


def _origin(hub: Hub, session: Session, job: JobRow, manifest: Manifest) -> Origin:
    named = titles(session, (one.iri for one in manifest.datasets))
    return Origin(
        request=f"/requests/{job.request_id}",
        manifest=job.manifest_digest,
        visa=job.visa_digest,
        tool=manifest.code.name,
        version=manifest.code.version,
        code=manifest.code.digest,
        plan=manifest.plan.name.value,
        aggregator=manifest.plan.aggregator,
        seed=manifest.seed,
        parameters={name: _text(value) for name, value in sorted(manifest.parameters.items())},
        collections=tuple(
            Used(
                one.iri.removeprefix(hub.base_iri).replace("/datasets/", "/collections/", 1),
                named[one.iri],
                in_words(one.selector),
            )
            for one in manifest.datasets
        ),
        models=job_record.models(session, job),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


PAGE = Page(
    name="job",
    path="/jobs/{job_id}",
    context=Job,
    show=show,
    acts={"stop": stop, "retry": retry},
    parts=("now",),
)
