"""The node's agent: asks the hub for work, does it, and takes up again what a crash interrupted.

It only dials out. While it works it renews its lease; when there is nothing to do it waits at the hub, not in a loop.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from fairbank import audit, audit_settings
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, RemoteError
from fairbank.federated_jobs.errors import GrantPaused, JobPausedHere, JobsError, NodeDoubled, SiteRefusal
from fairbank.federated_jobs.freed_memory import keep_freed_memory
from fairbank.federated_jobs.node import masked_rounds, notices, overlays, progress, rounds, spent
from fairbank.federated_jobs.node.approval import leaving, receive, withhold_unsent
from fairbank.federated_jobs.node.carried_tools import note_revoked
from fairbank.federated_jobs.node.cohort import CohortSource, Member, harvest_index, harvest_intact
from fairbank.federated_jobs.node.errands import any_due
from fairbank.federated_jobs.node.errors import WorkerCancelled
from fairbank.federated_jobs.node.hub_log import HubLog
from fairbank.federated_jobs.node.lanes import Lanes
from fairbank.federated_jobs.node.live_counts import CountDesk
from fairbank.federated_jobs.node.overlaps import go_on
from fairbank.federated_jobs.node.pausing import held_leases, paused_jobs
from fairbank.federated_jobs.node.peers import forget_key
from fairbank.federated_jobs.node.reopening import reopen
from fairbank.federated_jobs.node.reporting import (
    NO_SUCH_ROUTE,
    NODE_SUSPENDED,
    refuses_this,
    renew,
    report_decisions,
    tell,
    tell_place,
)
from fairbank.federated_jobs.node.rounds import RoundOrder, Site
from fairbank.federated_jobs.node.runner import Runner
from fairbank.federated_jobs.node.runners import SiteRunner
from fairbank.federated_jobs.node.sending import send_ready
from fairbank.federated_jobs.node.store import ReviewRow
from fairbank.federated_jobs.node.transfers import places_told
from fairbank.federated_jobs.node.withdrawn_training import tell_due
from fairbank.federated_jobs.protocol import (
    LEASE_WITH_MODEL,
    MODEL_WITH_LEASE_BYTES,
    MOST_HELD,
    Claim,
    Lease,
    LeaseKind,
    SiteStateReport,
)
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import SiteState
from fairbank.ontology.signed_objects import Manifest
from fairbank.release import hub_keys
from fairbank.release.errors import (
    BadAnswer,
    NodeSuspendedHere,
    SuccessionUntrusted,
)
from fairbank.release.hub_client import HubClient
from fairbank.release.key_rotation import renewed as with_key
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox
from fairbank.release.outbox_files import sweep
from fairbank.release.releases import kept_digests
from fairbank.release.store import NodeRow
from fairbank.release.suspension import check_not_suspended, is_suspended

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0
# How much longer than its long-poll a claim may take before the connection counts as broken.
ANSWER_MARGIN_S = 15.0
RENEWALS_PER_LEASE = 3
CANCEL_EVERY_S = 1.0
# How soon a pause by the site's people stops what runs.
LOOK_EVERY_S = 1.0
FAULTS_FORGIVEN = 3
# Asked in every round: a plain table, and statements put together once.
_REVIEWS = ReviewRow.metadata.tables[ReviewRow.__tablename__]
_REVIEWED = select(_REVIEWS.c.job, _REVIEWS.c.places, _REVIEWS.c.paused, _REVIEWS.c.manifest).where(
    _REVIEWS.c.job == bindparam("job")
)
_KEY = select(NodeRow.key_id)
_OPEN_JOBS = select(ReviewRow.job).where(ReviewRow.ended.is_(False))
_GOES_ON = update(_REVIEWS).where(_REVIEWS.c.job == bindparam("of"))


class Agent:
    """Works for one node until it is told to stop.

    Args:
        node: an enrolled node.
        client: the connection to the hub; one is made if None.
        runner: what computes; as the tool of a job needs it if None.
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
        client.speak_as(node.clock.new_id())
        outbox = Outbox(node, client, may_leave=leaving(node))
        self._site = Site(node, client, outbox, runner or SiteRunner(node), source, intact)
        self._node = node
        self._hub_log = HubLog(node, client)
        self._lanes = Lanes(node.settings)
        self._doubled = False
        self._faults: Counter[tuple[str, int]] = Counter()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set; a hub that cannot be reached is tried again, slower and slower."""
        keep_freed_memory()
        audit_settings.note_if_changed(
            self._node.engine, audit.NodeAudit, self._node.settings, clock=self._node.clock,
            actor=self._node.key.key_id,
        )  # fmt: skip
        pause_s = FIRST_PAUSE_S
        resumed = False
        # Each of its own: a question is answered, and a pause obeyed, in seconds while a job computes for hours.
        over = threading.Event()
        for beside in (self._keep_answering, self._stop_paused, self._rest):
            threading.Thread(target=beside, args=(over,), daemon=True).start()
        try:
            while not stop.is_set():
                try:
                    if not resumed:
                        self.resume()
                        resumed = True
                    self.step(max_wait_s=self._node.settings.jobs_long_poll_s)
                    pause_s = FIRST_PAUSE_S
                except NodeSuspendedHere:
                    pause_s = LOOK_EVERY_S
                except FairbankError as err:
                    log.warning("%s %s", err.code, err)
                except Exception as err:  # noqa: BLE001 - an outermost edge: one job must not end the node
                    log.error("unexpected %s", type(err).__name__)
                else:
                    continue
                stop.wait(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        finally:
            over.set()
            self._lanes.close()
            self._site.runner.close()
            self._hub_log.seal_own(now=True)

    def answer_counts(self, *, max_wait_s: int = 0) -> bool:
        """Fetch one question for live counts and answer it; return whether there was one.

        Raises:
            HubUnreachable: if the hub does not answer.
            HubLogForked: if its audit log is not the one that was seen before.
            NodeSuspendedHere: if the site's people have suspended the node.
        """
        self._hub_log.refuse_if_forked()
        # An outbox of its own: what it sends rests on a question, not on an approved job.
        outbox = Outbox(self._node, self._site.client)
        go_on(self._node, outbox, self._site.source)
        return CountDesk(self._node, outbox, self._site.source).step(max_wait_s=max_wait_s)

    def _keep_answering(self, over: threading.Event) -> None:
        """Answer live counts until `over` is set, whatever else the node computes meanwhile."""
        pause_s = FIRST_PAUSE_S
        while not over.is_set():
            try:
                self.answer_counts(max_wait_s=self._node.settings.jobs_long_poll_s)
                pause_s = FIRST_PAUSE_S
            except RemoteError as err:
                # A hub of the version before knows no live counts.
                pause_s = LONGEST_PAUSE_S if err.status == NO_SUCH_ROUTE else pause_s
            except NodeSuspendedHere:
                pause_s = LOOK_EVERY_S
            except FairbankError as err:
                log.warning("%s %s", err.code, err)
            except Exception as err:  # noqa: BLE001 - an outermost edge: a question must not end the node
                log.error("unexpected %s among live counts", type(err).__name__)
            else:
                continue
            over.wait(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def resume(self) -> None:
        """Take up what was not finished: decisions to tell, outputs to send again, rounds to compute again.

        Raises:
            HubUnreachable: if the hub does not answer.
            HubLogForked: if an alarm about its audit log stands.
        """
        self._look_at_itself()
        self._hub_log.refuse_if_forked()
        self._sweep()
        tell_place(self._node, self._site.outbox)
        report_decisions(self._node, self._site.outbox)
        tell_due(self._node, self._site.outbox)
        send_ready(self._site, under_way=self._lanes.jobs())
        with reading(self._node.engine) as session:
            waiting = rounds.unfinished(session)
        for job, number, lease in waiting:
            self._work(job, number, partial(rounds.work, self._site, job, number), lease=lease)

    def step(self, *, max_wait_s: int = 0) -> bool:
        """Ask for one piece of work and do it; return whether there was any.

        Raises:
            HubUnreachable: if the hub does not answer.
            HubLogForked: if its audit log is not the one that was seen before.
            NodeSuspendedHere: if the site's people have suspended the node.
        """
        errands = self._look_at_itself()
        self._hub_log.refuse_if_forked()
        if errands:
            notices.look(self._node)
            report_decisions(self._node, self._site.outbox)
            tell_due(self._node, self._site.outbox)
            send_ready(self._site, under_way=self._lanes.jobs())
        self._hub_log.look_if_due(idle=False)
        if not self._lanes.wait_for_room(max_wait_s):
            return False
        try:
            answer = self._claim(max_wait_s)
        except RemoteError as err:
            if err.remote_code == NodeDoubled.code:
                self._note_double()
            raise
        if answer is None:
            self._hub_log.look_if_due(idle=True)
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

    def _look_at_itself(self) -> bool:
        """Do nothing while the node is suspended; go on with its new key after the old one was replaced.

        Returns:
            whether anything may wait to be told, sent or noticed.

        Raises:
            NodeSuspendedHere: if the site's people have suspended the node.
        """
        with reading(self._node.engine) as session:
            check_not_suspended(session)
            key_id = session.connection().execute(_KEY).scalar()
            errands = any_due(session, now=self._node.clock.now())
        if key_id is None or key_id == self._node.key.key_id:
            return errands
        self._node = with_key(self._node, key_id)
        self._site.client.sign_with(self._node.key)
        self._hub_log.go_on_as(self._node)
        outbox = Outbox(self._node, self._site.client, may_leave=leaving(self._node))
        self._site = replace(self._site, node=self._node, outbox=outbox)
        return errands

    def _note_double(self) -> None:
        """End what is computed, and write down once that another agent speaks as this node."""
        for job in self._lanes.jobs():
            self._site.runner.cancel(job)
        if self._doubled:
            return
        self._doubled = True
        with writing(self._node.engine) as session:
            audit.record(
                session,
                audit.NodeAudit,
                clock=self._node.clock,
                actor="hub",
                act="node.doubled",
                target=self._node.name,
            )

    def _claim(self, max_wait_s: int) -> tuple[Lease, bytes | None] | None:
        """Return the lease that the hub gives, and the global model that came with it, if any."""
        with reading(self._node.engine) as session:
            head = audit.head(session, audit.NodeAudit)
            open_jobs = session.connection().execute(_OPEN_JOBS).scalars()
            # What is computed now is told by its renewals when it must stop.
            busy = sorted({*open_jobs, *self._site.runner.jobs()} - self._lanes.jobs())
            # A job may be paused while its lane winds down; what is computed comes before what stands still.
            holding = dict.fromkeys((*self._lanes.leases(), *held_leases(session)))
            costs = spent.untold(session)
        seen = self._hub_log.seen
        claim = Claim(
            max_wait_s=max_wait_s,
            audit_seq=head.seq,
            audit_hash=head.hash,
            hub_audit_seq=None if seen is None else seen.seq,
            hub_audit_hash=None if seen is None else seen.hash,
            busy=tuple(busy),
            holding=tuple(holding)[:MOST_HELD],
            room=self._lanes.room(),
            spent=costs,
            model_bytes=MODEL_WITH_LEASE_BYTES,
        )
        answer = self._site.outbox.ask(
            "POST",
            f"/v1/nodes/{self._node.name}/claim",
            claim,
            timeout_s=max_wait_s + ANSWER_MARGIN_S,
            once=True,
            sent=partial(spent.told, spent=costs),
        )
        if answer.headers.get("Content-Type") == LEASE_WITH_MODEL:
            head_line, _, model = answer.content.partition(b"\n")
            return Lease.parse(head_line), model
        told = self._site.client.json_of(answer)
        return (Lease.parse(told), None) if told else None

    def _review(self, lease: Lease) -> None:
        with writing(self._node.engine) as session:
            self._note_anchor(session, lease)
        self._hub_log.refuse_if_forked()
        self._learn_hub_key(lease)
        try:
            receive(self._node, lease, source=self._site.source, client=self._site.client)
        except SiteRefusal as err:
            self._tell(lease.job, SiteState.REJECTED, reason=err.reason, error=err.code)
            return
        except FairbankError:
            raise
        except Exception as err:
            # A job that this node cannot even judge must not keep it from all others that wait behind it.
            self._faults[lease.job, 0] += 1
            log.error("unexpected %s in the review of job %s", type(err).__name__, lease.job)
            if self._faults[lease.job, 0] < FAULTS_FORGIVEN:
                raise
            self._tell(lease.job, SiteState.REJECTED, reason=Reason.NODE_FAULT)
            return
        report_decisions(self._node, self._site.outbox)

    def _learn_hub_key(self, lease: Lease) -> None:
        """Ask for the succession of the hub's key where a visa is signed with one that is not known here."""
        if self._node.enrolment is None or lease.visa is None:
            return
        with reading(self._node.engine) as session:
            known = hub_keys.knows_signer(session, self._node.enrolment, lease.visa.encode())
        if not known:
            try:
                hub_keys.learn(self._node, self._site.client)
            except (SuccessionUntrusted, RemoteError, BadAnswer) as err:
                # The visa is then judged by the keys that are trusted, and refused.
                log.warning("%s %s", err.code, err.what)

    def _round(self, lease: Lease, model: bytes | None) -> None:
        order = RoundOrder(lease.job, lease.round, lease.id, lease.global_digest, lease.mail)
        # A round that a power cut makes forgotten is claimed again.
        with writing(self._node.engine, lasting=False) as session:
            self._note_anchor(session, lease)
            connection = session.connection()
            known = connection.execute(_REVIEWED, {"job": lease.job}).first()
            goes_on = reopen(self._node, session, lease)
            if known is not None and goes_on and not self._hub_log.alarmed:
                rounds.take(session, order, site=self._site)
                places = places_told(lease)
                if known.paused is not None or known.places != places:
                    connection.execute(_GOES_ON, {"of": lease.job, "places": places, "paused": None})
        self._hub_log.refuse_if_forked()
        if known is None:
            self._tell(lease.job, SiteState.FAILED, reason=Reason.APPROVAL_MISSING)
            return
        if not goes_on:
            # Why it is over here is told again.
            report_decisions(self._node, self._site.outbox)
            return
        if lease.retries is not None:
            self._faults.pop((lease.job, lease.round), None)
        do = partial(masked_rounds.work, self._site, lease.job, lease.round, lease.masking, model=model)
        work = partial(self._work, lease.job, lease.round, do, lease=lease.id, lease_s=lease.lease_s)
        if self._lanes.several:
            manifest, _ = Manifest.open(known.manifest, trusted=None)
            self._lanes.start(lease.job, lease.id, manifest.resources, work)
        else:
            work()

    def _work(
        self, job: str, number: int, do: Callable[[], SiteState], *, lease: str, lease_s: int | None = None
    ) -> None:
        progress.forget(self._node, job)
        try:
            with self._renewing(job, lease, lease_s):
                state = do()
        except WorkerCancelled:
            log.warning("job %s was stopped in round %d", job, number)
            return
        except JobPausedHere:
            log.warning("job %s is paused at this site; round %d waits", job, number)
            return
        except RemoteError as err:
            if err.remote_code != GrantPaused.code:
                raise
            # What is staged stays, and is sent when the grant resumes.
            log.warning("job %s waits: its grant is paused", job)
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
        if lease.reason is Reason.TOOL_REVOKED:
            note_revoked(self._node, lease.job)
        overlays.remove_old(self._node)
        with writing(self._node.engine) as session:
            row = session.get(ReviewRow, lease.job)
            if row is not None and not row.ended:
                row.ended, row.reported = True, True
                forget_key(self._node, lease.job)
                if row.state == SiteState.PENDING_REVIEW.value:
                    row.state, row.reason = SiteState.EXPIRED.value, lease.reason.value
                elif row.state == SiteState.APPROVED.value:
                    done = lease.reason is Reason.NONE
                    row.state = (SiteState.RELEASED if done else SiteState.FAILED).value
                    row.reason = lease.reason.value
                    if not done:
                        withhold_unsent(self._node, session, lease.job, by="the hub's word")
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
            sweep(self._node.outbox_path, in_use=kept_digests(session))

    @contextmanager
    def _renewing(self, job: str, lease: str, lease_s: int | None) -> Iterator[None]:
        """Keep a lease alive while its work is done, and end the work when the hub, or the site, says stop."""
        done = threading.Event()
        own_s = self._node.settings.jobs_lease_s
        # However long a lease the hub gives, a stop is looked for by the site's own measure.
        every_s = _every_s(own_s if lease_s is None else min(own_s, lease_s))
        watches = (
            threading.Thread(
                target=self._watch, args=(job, done, min(LOOK_EVERY_S, _every_s(own_s))), daemon=True
            ),
            threading.Thread(target=self._renew, args=(job, lease, done, every_s), daemon=True),
        )
        for thread in watches:
            thread.start()
        try:
            yield
        finally:
            done.set()

    def _watch(self, job: str, done: threading.Event, every_s: float) -> None:
        """Stop what this site's people have ended or suspended, whatever the hub answers, and however late."""
        while not done.wait(every_s):
            if self._is_over(job):
                self._cancel(job, done)

    def _stop_paused(self, over: threading.Event) -> None:
        """End the workers of what the site's people have paused, also while the agent waits at the hub."""
        while not over.wait(LOOK_EVERY_S):
            try:
                with reading(self._node.engine) as session:
                    all_of_them, paused = is_suspended(session), paused_jobs(session)
            except Exception as err:  # noqa: BLE001 - an outermost edge: a database that is busy is asked again
                log.error("unexpected %s", type(err).__name__)
                continue
            for job in self._site.runner.jobs():
                if all_of_them or job in paused:
                    self._site.runner.cancel(job)

    def _rest(self, over: threading.Event) -> None:
        while not over.wait(LOOK_EVERY_S):
            self._site.runner.rest()

    def _renew(self, job: str, lease: str, done: threading.Event, every_s: float) -> None:
        while not done.wait(every_s):
            try:
                renewed = renew(self._node, self._site.outbox, job, lease, timeout_s=every_s)
            except RemoteError as err:
                # A lease that is gone is asked about again: what is computed counts while the round is open, and the
                # hub says stop of a lease that has lapsed, too.
                if err.remote_code == NODE_SUSPENDED:
                    self._cancel(job, done)
                continue
            except FairbankError:
                continue
            if renewed.stop and not done.is_set():
                self._note_pause(job, renewed.reason)
                self._cancel(job, done)

    def _cancel(self, job: str, done: threading.Event) -> None:
        """End what a job computes; again and again until it has, for its worker may only be starting."""
        while not done.is_set():
            self._site.runner.cancel(job)
            done.wait(CANCEL_EVERY_S)

    def _note_pause(self, job: str, reason: Reason) -> None:
        """Remember that a job waits, so that a node that starts anew does not go on with it by itself."""
        if reason is Reason.GRANT_PAUSED:
            with writing(self._node.engine) as session:
                session.get_one(ReviewRow, job).paused = self._node.clock.now()

    def _is_over(self, job: str) -> bool:
        with reading(self._node.engine) as session:
            row = session.get(ReviewRow, job)
            return row is None or row.ended or row.halted is not None or is_suspended(session)

    def _tell(
        self,
        job: str,
        state: SiteState,
        *,
        reason: Reason = Reason.NONE,
        number: int = 0,
        error: str | None = None,
    ) -> None:
        """Tell the hub what it brought comes to; if it refuses that, it brings it again, and is told again then."""
        message = SiteStateReport(state=state, reason=reason, round=number, error=error)
        try:
            tell(self._node, self._site.outbox, job, message)
        except FairbankError as err:
            if not refuses_this(err):
                raise
            log.warning("the hub refuses the state of job %s: %s %s", job, err.code, err.what)

    def _note_anchor(self, session: Session, lease: Lease) -> None:
        self._hub_log.note(session, audit.Head(lease.hub_audit_seq, lease.hub_audit_hash))


def _every_s(lease_s: float) -> float:
    """Return how often one looks during a lease; the shortest pause is a second."""
    return max(1.0, lease_s / RENEWALS_PER_LEASE)
