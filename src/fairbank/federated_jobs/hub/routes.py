"""The hub's routes of jobs: parse, call, answer; a node or a person that waits holds neither thread nor connection."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Query
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from fairbank.catalogue import blobs, bodies
from fairbank.catalogue.accounts import Account, Role, account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NodeSuspended
from fairbank.catalogue.nodes import NodeIdentity, admit, signed_node, tell_place, tell_training_rules
from fairbank.catalogue.notifier import Concern
from fairbank.catalogue.uploads import Entrance, MayRead, Reader, Receiver, ReleaseMeta
from fairbank.database import reading, turn, writing
from fairbank.federated_jobs.errors import JobNotFound
from fairbank.federated_jobs.freed_memory import give_back_now_and_then
from fairbank.federated_jobs.hub import (
    count_routes,
    counts,
    dispatch,
    leases,
    mailbox,
    mailbox_routes,
    measurement_routes,
    measurements,
    model_file_routes,
    model_files,
    node_logs,
    overlap_routes,
    priorities,
    retrying,
    runs,
    sites,
    tool_routes,
    training_routes,
    twins,
    usage,
    views,
    withdrawals,
)
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.hub.entrances import Entrance as WayIn
from fairbank.federated_jobs.hub.grants import GrantLookup, granted
from fairbank.federated_jobs.hub.rounds import OutputReceiver, close_ready
from fairbank.federated_jobs.hub.sweep import next_due, sweep
from fairbank.federated_jobs.protocol import (
    LEASE_WITH_MODEL,
    LONGEST_WAIT_S,
    Claim,
    JobView,
    Lease,
    PlaceReport,
    PriorityWish,
    Renew,
    Renewed,
    Retried,
    SiteStateReport,
    SubjectWithdrawnReport,
    Submitted,
    TrainingRulesReport,
)
from fairbank.federated_jobs.states import JobState, SiteState
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.wire import Wire

log = logging.getLogger(__name__)
_T = TypeVar("_T")

LONGEST_SLEEP_S = 30.0
BETWEEN_SWEEPS_S = 1.0
AFTER_FAILURE_S = 1.0
# Shorter than a node waits for the answer to a piece, and than proxies wait.
PATIENCE_S = 10.0
_NODE_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
_PIECE_BYTES = 1 << 17


def router(hub: Hub, *, grants: GrantLookup | None = None) -> APIRouter:
    """Return all routes of jobs, and let the catalogue know whom to ask what was used and measured.

    Args:
        grants: where visas are looked up; the catalogue if None.
    """
    hub.runs.count = runs.counted
    hub.measured.ask = measurements.biomarkers_of
    routes = APIRouter(tags=["jobs"])
    _node_routes(routes, hub)
    _withdrawal_routes(routes, hub)
    _account_routes(routes, hub, grants or granted(hub))
    count_routes.add(routes, hub, grants or granted(hub))
    measurement_routes.add(routes, hub)
    tool_routes.add(routes, hub)
    model_file_routes.add(routes, hub)
    training_routes.add(routes, hub)
    mailbox_routes.add(routes, hub)
    overlap_routes.add(routes, hub)
    return routes


def receivers(hub: Hub) -> dict[DoorClass, Receiver]:
    """Return who takes the releases of the classes that jobs return."""
    taker = OutputReceiver(hub)
    return {DoorClass.RESULT: taker, DoorClass.COUNT: _OfJobOrQuestion(hub, taker), DoorClass.UPDATE: taker}


class _OfJobOrQuestion:
    """Takes what nodes release in the class of counts: outputs of jobs, and live counts."""

    def __init__(self, hub: Hub, outputs: Receiver) -> None:
        self._outputs, self._counts = outputs, counts.CountReceiver(hub)

    def check(self, session: Session, meta: ReleaseMeta) -> None:
        """Refuse a release before its bytes are taken."""
        self._of(session, meta).check(session, meta)

    def complete(self, session: Session, meta: ReleaseMeta, path: Path) -> None:
        """Let a release take effect."""
        self._of(session, meta).complete(session, meta, path)

    def _of(self, session: Session, meta: ReleaseMeta) -> Receiver:
        return self._counts if counts.is_question(session, meta.job) else self._outputs


def uploads_entrance(hub: Hub) -> Entrance:
    """Return the way in for pieces of uploads: so many at a time."""
    return WayIn("uploads", hub.settings.limits_uploads, patience_s=PATIENCE_S).entered


def may_read(hub: Hub) -> list[MayRead]:
    """Return the rules by which nodes read global models, and accounts their results."""

    def allows(session: Session, reader: Reader, digest: str) -> bool:
        if isinstance(reader, NodeIdentity):
            at_node = (views.may_read_as_node, model_files.may_read_as_node, mailbox.may_read)
            return any(allows(session, reader.name, digest) for allows in at_node)
        own = (views.may_read_as_account, model_files.may_read_as_account)
        return any(allows(session, reader.name, digest) for allows in own)

    return [allows]


def background(hub: Hub) -> list[Callable[[], Awaitable[None]]]:
    """Return the tasks that the application runs while it lives: closing rounds, lapsing leases, comparing logs."""

    keeper = _Keeper(hub)

    async def keep_going() -> None:
        while True:
            seen = hub.notifier.seen
            try:
                sleep_s = await run_in_threadpool(keeper.do_what_is_due)
            except Exception:  # an outermost edge: one bad job must not stop all the others
                log.exception("a job could not be taken further")
                sleep_s = AFTER_FAILURE_S
                await asyncio.sleep(AFTER_FAILURE_S)
            await hub.notifier.wait(seen, sleep_s)

    return [keep_going, *node_logs.background(hub)]


class _Keeper:
    """Closes rounds after every change, and looks at most once a second for what ends or lapses."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._next_sweep = 0.0

    def do_what_is_due(self) -> float:
        """Do it, and return how long to sleep if nothing changes."""
        hub, now = self._hub, time.monotonic()
        if now < self._next_sweep:
            close_ready(hub)
            return self._next_sweep - now
        # First what ends: a round of a job that is over is not merged.
        while sweep(hub) or close_ready(hub):
            hub.notifier.notify()
        give_back_now_and_then()
        self._next_sweep = time.monotonic() + BETWEEN_SWEEPS_S
        with reading(hub.engine) as session:
            due = next_due(session)
        left_s = LONGEST_SLEEP_S if due is None else (due - hub.clock.now()) / timedelta(seconds=1)
        return min(max(left_s, BETWEEN_SWEEPS_S), LONGEST_SLEEP_S)


def _node_routes(routes: APIRouter, hub: Hub) -> None:
    # Dependencies are default values: an alias inside a function is unknown where the annotations are resolved.
    node_of, body_of = Depends(signed_node(hub)), Depends(bodies.body())
    claims = WayIn("claims", hub.settings.limits_claims, patience_s=0.0)

    async def claim_work(request: Request) -> Response:
        async with claims.entered():
            body = await bodies.read(request, limit_bytes=bodies.MESSAGE_BYTES)
            granted = await _next_lease(hub, request, body)
        return Response(status_code=204) if granted is None else granted.response()

    # A plain route: every node comes here after every round, and finds what waits in the thread that admits it.
    routes.add_route("/v1/nodes/{node}/claim", claim_work, methods=["POST"])

    @routes.put("/v1/leases/{lease_id}")
    def renew_lease(
        lease_id: str, request: Request, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        message = Renew.parse(body)

        def renewing(session: Session) -> Renewed:
            return leases.renew(hub, session, lease_id, node=who.name, message=message)

        renewed = _as_speaker(hub, who.name, _boot(request), renewing)
        if message.percent is not None:
            # For who watches the job; there is nothing new for any node.
            hub.notifier.notify()
        return _json(renewed)

    @routes.put("/v1/nodes/{node}/place")
    def report_place(node: str, who: NodeIdentity = node_of, body: bytes = body_of) -> Response:
        _same_node(node, who)
        message = PlaceReport.parse(body)
        with writing(hub.engine) as session:
            tell_place(hub, session, node=who.name, place=message.place)
        return JSONResponse({"node": who.name})

    @routes.put("/v1/nodes/{node}/training-rules")
    def report_training_rules(node: str, who: NodeIdentity = node_of, body: bytes = body_of) -> Response:
        _same_node(node, who)
        message = TrainingRulesReport.parse(body)
        with writing(hub.engine) as session:
            tell_training_rules(session, node=who.name, rules=message.rules)
        return JSONResponse({"node": who.name})

    # As with a claim, one thread admits the node and does the work.
    @routes.post("/v1/jobs/{job_id}/sites/{node}/state")
    async def report_state(job_id: str, node: str, request: Request) -> Response:
        body = await bodies.read(request, limit_bytes=bodies.MESSAGE_BYTES)
        state = await hub.in_turn.run(_take_report, hub, request, body)
        hub.notifier.notify()
        return JSONResponse({"state": state.value})


def _take_report(hub: Hub, request: Request, body: bytes) -> SiteState:
    job_id, node = request.path_params["job_id"], request.path_params["node"]
    with turn(hub.engine):
        who = admit(hub, request, body)
        _same_node(node, who)
        message = SiteStateReport.parse(body)

        def reporting(session: Session) -> SiteState:
            return sites.report(hub, session, job_id, node=who.name, message=message)

        return _as_speaker(hub, node, _boot(request), reporting)


def _as_speaker(hub: Hub, node: str, boot: str | None, do: Callable[[Session], _T]) -> _T:
    """Change jobs for a node; in one transaction, where the agent that asks is the one that spoke before."""
    with changing(hub) as session:
        if twins.speaks(session, node, boot):
            return do(session)
    twins.heed(hub, node, boot)
    with changing(hub) as session:
        return do(session)


def _withdrawal_routes(routes: APIRouter, hub: Hub) -> None:
    node_of, body_of = Depends(signed_node(hub)), Depends(bodies.body())

    @routes.post("/v1/jobs/{job_id}/sites/{node}/withdrawal", status_code=204)
    def report_withdrawal(
        job_id: str, node: str, who: NodeIdentity = node_of, body: bytes = body_of
    ) -> Response:
        _same_node(node, who)
        SubjectWithdrawnReport.parse(body)
        with changing(hub) as session:
            withdrawals.mark(hub, session, job_id, node=who.name)
        hub.notifier.notify()
        return Response(status_code=204)


def _account_routes(routes: APIRouter, hub: Hub, grants: GrantLookup) -> None:
    anybody, body_of = Depends(account(hub)), Depends(bodies.body())
    researcher = Depends(account(hub, Role.RESEARCHER))

    @routes.post("/v1/jobs", status_code=201)
    def submit_job(who: Account = researcher, body: bytes = body_of) -> Response:
        requester = dispatch.Requester(who.name, who.key_id)
        with changing(hub) as session:
            job = dispatch.submit(hub, session, body, requester=requester, grants=grants)
            answer = Submitted(id=job.id, state=JobState(job.state))
        hub.notifier.notify()
        return _json(answer, status=201)

    @routes.get("/v1/jobs")
    def list_jobs(who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            return _json(views.job_list(session, who.name))

    @routes.get("/v1/jobs/{job_id}")
    async def show_job(
        job_id: str,
        who: Account = anybody,
        wait_s: Annotated[int, Query(ge=0, le=LONGEST_WAIT_S)] = 0,
        seen: Annotated[int, Query(ge=0)] = 0,
    ) -> Response:
        return _json(await _changed_job(hub, job_id, who.name, wait_s=wait_s, seen=seen))

    @routes.post("/v1/jobs/{job_id}/cancel")
    def cancel_job(job_id: str, who: Account = anybody) -> Response:
        with changing(hub) as session:
            job = dispatch.cancel(hub, session, job_id, account=who.name)
            answer = Submitted(id=job.id, state=JobState(job.state))
        hub.notifier.notify()
        return _json(answer)

    @routes.post("/v1/jobs/{job_id}/retry")
    def retry_job(
        job_id: str, who: Account = anybody, node: Annotated[str | None, Query(pattern=_NODE_NAME)] = None
    ) -> Response:
        with changing(hub) as session:
            job, nodes = retrying.retry(hub, session, job_id, who=who, node=node)
            answer = Retried(id=job.id, state=JobState(job.state), nodes=tuple(nodes))
        hub.notifier.notify()
        return _json(answer)

    @routes.get("/v1/jobs/{job_id}/usage")
    def job_usage(job_id: str, who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            owner = None if who.has(Role.ADMIN) else who.name
            return _json(usage.usage_of_job(session, views.job_of(session, job_id, owner).id))

    @routes.get("/v1/usage")
    def all_usage(who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            return _json(usage.usage_of_account(session, None if who.has(Role.ADMIN) else who.name))

    @routes.post("/v1/jobs/{job_id}/priority")
    def set_priority(job_id: str, who: Account = anybody, body: bytes = body_of) -> Response:
        wish = PriorityWish.parse(body)
        with changing(hub) as session:
            job = priorities.set_priority(hub, session, job_id, wish.priority, who=who)
        hub.notifier.notify()
        return JSONResponse({"id": job.id, "priority": job.priority})

    @routes.get("/v1/jobs/{job_id}/results")
    def job_results(job_id: str, who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            return _json(views.results(session, views.job_of(session, job_id, who.name)))

    @routes.get("/v1/models")
    def list_models(who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            return _json(views.model_list(session, who.name))

    @routes.get("/v1/models/{digest}")
    def show_model(digest: str, who: Account = anybody) -> Response:
        with reading(hub.engine) as session:
            return _json(views.model_detail(session, digest, who.name))


@dataclass(frozen=True, slots=True)
class _Granted:
    """A lease, and the global model that goes with it where it is small enough for the claim."""

    lease: Lease
    model: bytes | None

    def response(self) -> Response:
        if self.model is None:
            return _json(self.lease)
        head = self.lease.to_bytes() + b"\n"
        length = {"Content-Length": str(len(head) + len(self.model))}
        return StreamingResponse(_pieces(head, self.model), media_type=LEASE_WITH_MODEL, headers=length)


async def _pieces(head: bytes, model: bytes) -> AsyncIterator[bytes | memoryview]:
    yield head
    whole = memoryview(model)
    # In pieces, so that of a model on its way to many slow nodes little is copied at a time.
    for start in range(0, len(model), _PIECE_BYTES):
        yield whole[start : start + _PIECE_BYTES]


async def _next_lease(hub: Hub, request: Request, body: bytes) -> _Granted | None:
    seen = hub.notifier.seen
    boot = _boot(request)
    node, claim, granted = await hub.in_turn.run(_admit_claim, hub, request, body, boot)
    deadline = time.monotonic() + min(claim.max_wait_s, LONGEST_WAIT_S)
    while granted is None:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or hub.notifier.closed:
            return None
        await hub.notifier.wait(seen, left_s, Concern.WORK, node=node)
        # What is handed to a node that has gone would be lost until it claims again.
        if await request.is_disconnected():
            return None
        seen = hub.notifier.seen
        granted = await hub.in_turn.run(_grant_if_any, hub, node, claim, boot)
    return granted


def _boot(request: Request) -> str | None:
    return twins.boot_in(request.headers.get(twins.HEADER))


def _admit_claim(
    hub: Hub, request: Request, body: bytes, boot: str | None
) -> tuple[str, Claim, _Granted | None]:
    with turn(hub.engine):
        name, claim, lease = _lease_for_claim(hub, request, body, boot)
    return name, claim, _granted(hub, claim, lease)


def _lease_for_claim(
    hub: Hub, request: Request, body: bytes, boot: str | None
) -> tuple[str, Claim, Lease | None]:
    try:
        who = admit(hub, request, body)
    except NodeSuspended as err:
        raise twins.explained(hub, request.path_params["node"], err) from err
    _same_node(request.path_params["node"], who)
    claim = Claim.parse(body)
    # In one transaction: most claims come after a round, when there is something to note and to hand out.
    with changing(hub, lasting=False) as session:
        if speaks := twins.speaks(session, who.name, boot):
            usage.note_spent(session, who.name, claim.spent)
            lease = leases.lease_next(hub, session, who.name, claim)
    if speaks:
        return who.name, claim, lease
    twins.heed(hub, who.name, boot)
    with changing(hub, lasting=False) as session:
        usage.note_spent(session, who.name, claim.spent)
    return who.name, claim, _lease_if_any(hub, who.name, claim, boot)


def _grant_if_any(hub: Hub, node: str, claim: Claim, boot: str | None) -> _Granted | None:
    with turn(hub.engine):
        lease = _lease_if_any(hub, node, claim, boot)
    return _granted(hub, claim, lease)


def _lease_if_any(hub: Hub, node: str, claim: Claim, boot: str | None) -> Lease | None:
    with reading(hub.engine) as session:
        # Another agent of this node may have been started since this claim began to wait.
        if not twins.speaks(session, node, boot) or not leases.waiting(hub, session, node, claim):
            return None
    # A lease that a power cut makes forgotten is given again; what is computed under it counts all the same.
    with changing(hub, lasting=False) as session:
        if not twins.speaks(session, node, boot):
            return None
        return leases.lease_next(hub, session, node, claim)


def _granted(hub: Hub, claim: Claim, lease: Lease | None) -> _Granted | None:
    return None if lease is None else _Granted(lease, _model_of(hub, lease, claim.model_bytes))


def _model_of(hub: Hub, lease: Lease, most_bytes: int) -> bytes | None:
    if lease.global_digest is None:
        return None
    path = blobs.path_of(hub, lease.global_digest)
    return _small_model(path) if path.stat().st_size <= most_bytes else None


@lru_cache(maxsize=2)
def _small_model(path: Path) -> bytes:
    # All nodes of a round ask for the same one within moments; its name is its digest, so it never changes.
    return path.read_bytes()


async def _changed_job(hub: Hub, job_id: str, name: str, *, wait_s: int, seen: int) -> JobView:
    deadline = time.monotonic() + wait_s
    while True:
        noticed = hub.notifier.seen
        view = await run_in_threadpool(_view, hub, job_id, name)
        left_s = deadline - time.monotonic()
        if view.seen > seen or left_s <= 0 or hub.notifier.closed:
            return view
        await hub.notifier.wait(noticed, left_s)


def _view(hub: Hub, job_id: str, name: str) -> JobView:
    with reading(hub.engine) as session:
        return views.job_view(session, views.job_of(session, job_id, name))


def _same_node(named: str, who: NodeIdentity) -> None:
    if named != who.name:
        raise JobNotFound(
            "A node speaks only for itself.",
            why=f"The request is signed by the node {who.name!r}.",
            todo="Use the node's own name in the address.",
        )


def _json(body: Wire, *, status: int = 200) -> Response:
    return Response(body.to_bytes(), status_code=status, media_type="application/json")
