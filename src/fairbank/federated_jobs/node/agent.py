"""The node's agent: asks the hub for work, does it, and takes up again what a crash interrupted.

It only dials out. While it works it renews its lease; when there is nothing to do it waits at the hub, not in a loop.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, RemoteError
from fairbank.federated_jobs.errors import JobsError, SiteRefusal
from fairbank.federated_jobs.freed_memory import keep_freed_memory
from fairbank.federated_jobs.node import rounds
from fairbank.federated_jobs.node.approval import receive
from fairbank.federated_jobs.node.cohort import CohortSource, Member, harvest_index, harvest_intact
from fairbank.federated_jobs.node.errors import WorkerCancelled
from fairbank.federated_jobs.node.reporting import report_decisions, tell
from fairbank.federated_jobs.node.rounds import RoundOrder, Site
from fairbank.federated_jobs.node.runner import ConfinedRunner, Runner
from fairbank.federated_jobs.node.store import AnchorRow, ReviewRow
from fairbank.federated_jobs.protocol import (
    LEASE_WITH_MODEL,
    MODEL_WITH_LEASE_BYTES,
    Claim,
    Lease,
    LeaseKind,
    LeaseWork,
    Renew,
    Renewed,
    SiteStateReport,
)
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.release.errors import ReleaseConflict
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_files import sweep
from fairbank.release.store import ReleaseRow

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
# How much longer than its long-poll a claim may take before the connection counts as broken.
ANSWER_MARGIN_S = 15.0
RENEWALS_PER_LEASE = 3
FAULTS_FORGIVEN = 3
# Asked in every round: plain tables, and statements put together once.
_REVIEWS, _ANCHORS = (row.metadata.tables[row.__tablename__] for row in (ReviewRow, AnchorRow))
_REVIEWED = select(_REVIEWS.c.job).where(_REVIEWS.c.job == bindparam("job"))
_ANCHORED, _ANCHOR = select(_ANCHORS.c.seq).where(_ANCHORS.c.seq == bindparam("seq")), insert(_ANCHORS)


class Agent:
    """Works for one node until it is told to stop.

    Args:
        node: an enrolled node.
        client: the connection to the hub; one is made if None.
        runner: what computes; a sandboxed worker per job if None.
        source: where cohorts come from.
        intact: whether a series' files are still those that the source indexed.

    Raises:
        NotEnrolled: if the node has not enrolled.
    """

    def __init__(
        self,
        node: Node,
        *,
        client: HubClient | None = None,
        runner: Runner | None = None,
        source: CohortSource = harvest_index,
        intact: Callable[[Member], bool] = harvest_intact,
    ) -> None:
        client = client or HubClient.of(node)
        outbox = Outbox(node, client)
        self._site = Site(node, client, outbox, runner or ConfinedRunner(node), source, intact)
        self._node = node
        self._faults: Counter[tuple[str, int]] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a hub that cannot be reached is tried again, slower and slower."""
        keep_freed_memory()
        pause_s = FIRST_PAUSE_S
        resumed = False
        try:
            while not stop.is_set():
                try:
                    if not resumed:
                        self.resume()
                        resumed = True
                    self.step(max_wait_s=self._node.settings.jobs_long_poll_s)
                    pause_s = FIRST_PAUSE_S
                except FairbankError as err:
                    log.warning("%s %s", err.code, err)
                except Exception as err:  # noqa: BLE001 - an outermost edge: one job must not end the node
                    log.error("unexpected %s", type(err).__name__)
                else:
                    continue
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        finally:
            self._site.runner.close()

    def resume(self) -> None:
        """Take up what was not finished: decisions to tell, outputs to send again, rounds to compute again.

        Raises:
            HubUnreachable: if the hub does not answer.
        """
        self._sweep()
        report_decisions(self._node, self._site.outbox)
        self._send_ready()
        with reading(self._node.engine) as session:
            waiting = rounds.unfinished(session)
        for job, number in waiting:
            self._work(job, number, lease=None)

    def step(self, *, max_wait_s: int = 0) -> bool:
        """Ask for one piece of work and do it; return whether there was any.

        Raises:
            HubUnreachable: if the hub does not answer.
        """
        report_decisions(self._node, self._site.outbox)
        self._send_ready()
        answer = self._claim(max_wait_s)
        if answer is None:
            return False
        lease, model = answer
        match lease.kind:
            case LeaseKind.REVIEW:
                self._review(lease)
            case LeaseKind.ROUND:
                self._round(lease, model)
            case LeaseKind.STOP:
                self._stop(lease)
        return True

    def _claim(self, max_wait_s: int) -> tuple[Lease, bytes | None] | None:
        """Return the lease that the hub gives, and the global model that came with it, if any."""
        with reading(self._node.engine) as session:
            head = audit.head(session, audit.NodeAudit)
            open_jobs = session.scalars(select(ReviewRow.job).where(ReviewRow.ended.is_(False)))
            busy = sorted({*open_jobs, *self._site.runner.jobs()})
        claim = Claim(
            max_wait_s=max_wait_s,
            audit_seq=head.seq,
            audit_hash=head.hash,
            busy=tuple(busy),
            model_bytes=MODEL_WITH_LEASE_BYTES,
        )
        answer = self._site.outbox.ask(
            "POST",
            f"/v1/nodes/{self._node.name}/claim",
            claim,
            timeout_s=max_wait_s + ANSWER_MARGIN_S,
            once=True,
        )
        if answer.headers.get("Content-Type") == LEASE_WITH_MODEL:
            head_line, _, model = answer.content.partition(b"\n")
            return Lease.parse(head_line), model
        told = self._site.client.json_of(answer)
        return (Lease.parse(told), None) if told else None

    def _review(self, lease: Lease) -> None:
        with writing(self._node.engine) as session:
            self._note_anchor(session, lease)
        try:
            receive(self._node, lease, source=self._site.source)
        except SiteRefusal as err:
            self._tell(lease.job, SiteState.REJECTED, reason=err.reason, error=err.code)
            return
        report_decisions(self._node, self._site.outbox)

    def _round(self, lease: Lease, model: bytes | None) -> None:
        order = RoundOrder(lease.job, lease.round, lease.id, lease.global_digest)
        # A round that a power cut makes forgotten is claimed again.
        with writing(self._node.engine, lasting=False) as session:
            known = session.connection().execute(_REVIEWED, {"job": lease.job}).first() is not None
            if known:
                rounds.take(session, order, site=self._site)
            self._note_anchor(session, lease)
        if not known:
            self._tell(lease.job, SiteState.FAILED, reason=Reason.APPROVAL_MISSING)
            return
        self._work(lease.job, lease.round, lease=lease, model=model)

    def _work(self, job: str, number: int, *, lease: Lease | None, model: bytes | None = None) -> None:
        try:
            with self._renewing(job, lease):
                state = rounds.work(self._site, job, number, model=model)
        except WorkerCancelled:
            log.warning("job %s was stopped in round %d", job, number)
            return
        except FairbankError:
            raise
        except Exception as err:
            if not self._once_more(job, number, err):
                raise
            return
        if state is SiteState.OUTPUT_REVIEW:
            self._tell(job, state, number=number)
        elif state is not SiteState.RELEASED:
            report_decisions(self._node, self._site.outbox)

    def _once_more(self, job: str, number: int, err: Exception) -> bool:
        """Count a fault of the node itself; after some, this site drops out instead of failing for ever."""
        self._faults[job, number] += 1
        # The type only: the text of a foreign error may quote what is in a file.
        log.error("unexpected %s in round %d of job %s", type(err).__name__, number, job)
        if self._faults[job, number] < FAULTS_FORGIVEN:
            return False
        rounds.give_up(self._site, job, number, JobsError("The node itself failed."))
        report_decisions(self._node, self._site.outbox)
        return True

    def _stop(self, lease: Lease) -> None:
        self._site.runner.forget(lease.job)
        with writing(self._node.engine) as session:
            row = session.get(ReviewRow, lease.job)
            if row is not None and not row.ended:
                row.ended, row.reported = True, True
                if row.state == SiteState.PENDING_REVIEW.value:
                    row.state, row.reason = SiteState.EXPIRED.value, lease.reason.value
                elif row.state == SiteState.APPROVED.value:
                    done = lease.reason is Reason.NONE
                    row.state = (SiteState.RELEASED if done else SiteState.FAILED).value
                    row.reason = lease.reason.value
                audit.record(
                    session,
                    audit.NodeAudit,
                    clock=self._node.clock,
                    actor="hub",
                    act="job.stop",
                    target=lease.job,
                    detail={"reason": lease.reason.value},
                )
            self._note_anchor(session, lease)

    def _sweep(self) -> None:
        # Whoever stages does so in a writing transaction, so nothing is being staged during this one.
        with writing(self._node.engine) as session:
            sweep(self._node.outbox_path, in_use=frozenset(session.scalars(select(ReleaseRow.digest))))

    def _send_ready(self) -> None:
        """Send what is ready and was not sent: after a crash, or because the site's people have let it go."""
        for release in self._site.outbox.pending():
            try:
                if release.job is None:
                    self._site.outbox.send(release.id)
                else:
                    rounds.deliver(self._site, release.job, release.round)
            except (RemoteError, ReleaseConflict) as err:
                # It stays ready; what the hub does not take now must not keep the node from its other work.
                log.warning("the hub does not take a release for now: %s", err.what)

    @contextmanager
    def _renewing(self, job: str, lease: Lease | None) -> Iterator[None]:
        """Keep a lease alive while its work is done, and end the work when the hub, or the site, says stop."""
        if lease is None:
            yield
            return
        done = threading.Event()
        every_s = max(1.0, lease.lease_s / RENEWALS_PER_LEASE)
        thread = threading.Thread(
            target=self._renew, args=(job, lease, done, every_s), name="lease", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            done.set()

    def _renew(self, job: str, lease: Lease, done: threading.Event, every_s: float) -> None:
        while not done.wait(every_s):
            if self._is_over(job):
                self._site.runner.cancel(job)
                return
            try:
                answer = self._site.outbox.control(
                    "PUT", f"/v1/leases/{lease.id}", Renew(state=LeaseWork.WORKING), timeout_s=every_s
                )
            except RemoteError:
                # The lease is gone; what is computed counts all the same while the round is open.
                return
            except FairbankError:
                continue
            if Renewed.parse(answer).stop and not done.is_set():
                self._site.runner.cancel(job)
                return

    def _is_over(self, job: str) -> bool:
        with reading(self._node.engine) as session:
            row = session.get(ReviewRow, job)
        return row is None or row.ended

    def _tell(
        self,
        job: str,
        state: SiteState,
        *,
        reason: Reason = Reason.NONE,
        number: int = 0,
        error: str | None = None,
    ) -> None:
        message = SiteStateReport(state=state, reason=reason, round=number, error=error)
        tell(self._node, self._site.outbox, job, message)

    def _note_anchor(self, session: Session, lease: Lease) -> None:
        connection = session.connection()
        if connection.execute(_ANCHORED, {"seq": lease.hub_audit_seq}).first() is None:
            anchor = {"seq": lease.hub_audit_seq, "hash": lease.hub_audit_hash, "at": self._node.clock.now()}
            connection.execute(_ANCHOR, anchor)
