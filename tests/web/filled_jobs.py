"""Jobs of rita's at the two nodes of the filled hub: finished, running and waiting ones, with results and models.

A job is submitted over its route, sealed as its requester seals it; what nodes and merging would have written after
that is written as the hub's own functions write it. Nothing is computed: figures and files are made up.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session
from tests.catalogue.granting import a_request

from fairbank.catalogue import blobs
from fairbank.catalogue.store import NodeRow
from fairbank.clock import iso
from fairbank.database import writing
from fairbank.federated_jobs.code import UPDATE, tool_named
from fairbank.federated_jobs.hub import progress, usage, withdrawals
from fairbank.federated_jobs.hub.finishing import Settled, complete
from fairbank.federated_jobs.hub.merging import GROUPS, METRICS, MODEL, MODEL_TYPE, Closing
from fairbank.federated_jobs.hub.steps import step_of
from fairbank.federated_jobs.hub.store import JobRow, LeaseRow, OutputRow, RoundRow, SiteRow, UpdateRow
from fairbank.federated_jobs.manifest import draft
from fairbank.federated_jobs.plans.machine import Done, Ending, Merging, Step
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.states import JobEvent, RoundState, SiteEvent
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Purpose, Visa
from fairbank.signing import Sealed, SigningKey

if TYPE_CHECKING:
    from tests.web.filled_hub import Filled

NODES = ("alpha", "beta")
ROUNDS = 5
_A_TABLE = "site,unit,mean_hu\nalpha,u1,-812.5\nalpha,u2,-799.25\n"
_CHOICES = {"label": "sex", "classes": ["female", "male"], "network": "linear"}


def fill_jobs(filled: Filled, datasets: Sequence[str]) -> None:
    """Let rita be granted some datasets, one of each node, and run jobs on them.

    `Filled.jobs` gets the ids by these names, `Filled.models` the digests of the models of the two trainings:

    * `analysed`: completed; alpha's table was released, beta's was not
    * `trained`, `trained again`: completed in five rounds, the second with another learning rate and over images of a
      subject who has been withdrawn since
    * `training`: in its third round; alpha has sent its update, beta is silent
    * `asked`: waits for alpha's approval; beta has given its own
    """
    sealed = granted(filled, datasets, key=filled.people["rita"].key)
    filled.permit = str(sealed.payload["id"])
    _analysed(filled, sealed)
    _trained(filled, sealed, "trained", "0.01", days_ago=6)
    again = _trained(filled, sealed, "trained again", "0.05", days_ago=4)
    with writing(filled.hub.engine) as session:
        withdrawals.mark(filled.hub, session, again, node="beta")
    _training(filled, sealed)
    _asked(filled, sealed)
    with writing(filled.hub.engine) as session:
        session.get_one(NodeRow, "beta").last_seen = filled.hub.clock.now() - timedelta(hours=26)


def granted(filled: Filled, datasets: Sequence[str], *, key: SigningKey | None) -> Sealed:
    """Let rita ask for some datasets with a key of hers, and be granted them for all tools; return the visa."""
    hub, rita = filled.hub, filled.people["rita"]
    assert key is not None
    request = a_request(
        hub,
        rita,
        list(datasets),
        requester_key=key.key_id,
        title="Lungs and hearts together",
        purpose=Purpose(data_use=("DUO:0000006",), statement="Who has which lungs."),
        output_classes=tuple(OutputClass),
    )
    filled.call("rita", "POST", "/v1/requests", request.seal(key))
    terms = {
        "until": iso(hub.clock.now() + timedelta(days=60)),
        "tool_families": ["benchmark", "measurements", "statistics", "training"],
        "maximum_runs": 20,
    }
    members = {"alpha": ("carla", "dora"), "beta": ("kurt",)}
    for leg in filled.call("rita", "GET", f"/v1/requests/{request.id}")["legs"]:
        voters = members[leg["node"]]
        proposal = {"schema": "proposal/1", "terms": terms}
        filled.call(voters[0], "POST", f"/v1/reviews/{leg['id']}/proposal", proposal)
        for name in voters:
            vote = {"schema": "votes/1", "ids": [leg["id"]], "word": "approve", "comment": "Yes."}
            filled.call(name, "POST", "/v1/reviews/votes", vote)
    grants = filled.call("rita", "GET", f"/v1/requests/{request.id}")["grants"]
    opened = [Visa.open(json.dumps(each["envelope"]).encode(), trusted=None) for each in grants]
    return next(sealed for visa, sealed in opened if len(visa.datasets) == len(datasets))


def _submitted(
    filled: Filled, name: str, sealed: Sealed, tool: str, choices: Mapping[str, Any], **more: Any
) -> str:
    manifest = draft(sealed, tool_named(tool), choices, clock=filled.hub.clock, quorum=1, **more)
    answer = filled.call("rita", "POST", "/v1/jobs", manifest.seal(filled.people["rita"].key))
    filled.jobs[name] = str(answer["id"])
    return filled.jobs[name]


# -- jobs --------------------------------------------------------------------------------------------------------------


def _analysed(filled: Filled, sealed: Sealed) -> None:
    hub = filled.hub
    of = _submitted(filled, "analysed", sealed, "intensity-geometry", {}, title="Densities of lungs")
    with writing(hub.engine) as session:
        job = _approved(filled, session, of, NODES)
        alpha, beta = progress.sites_of(session, of)
        progress.move_site(hub, job, beta, SiteEvent.WITHHOLD, reason=Reason.OUTPUT_WITHHELD)
        progress.move_job(hub, job, JobEvent.DEGRADE)
        _arrived(filled, session, job, alpha, 1, "measurements")
        made = [
            ("table.csv", "text/csv", _A_TABLE),
            ("plot.svg", "image/svg+xml", "<svg xmlns='http://www.w3.org/2000/svg'/>"),
        ]
        files = [_output(filled, session, of, 1, *each) for each in made]
        _closed(session, of, 1, merged=("alpha",), lost=("beta",))
        _end(filled, session, job, files, number=1, model=None)
        _dated(session, job, hub.clock.now() - timedelta(days=8), minutes=20)


def _trained(filled: Filled, sealed: Sealed, name: str, rate: str, *, days_ago: int) -> str:
    choices = {**_CHOICES, "learning_rate": rate}
    of = _submitted(
        filled,
        name,
        sealed,
        "classification",
        choices,
        title=f"Sex from lungs and hearts, {rate}",
        rounds=ROUNDS,
    )
    with writing(filled.hub.engine) as session:
        job = _approved(filled, session, of, NODES)
        for number in range(1, ROUNDS + 1):
            files = _round(filled, session, job, number, rate, NODES)
            model = files[0].digest
            if number < ROUNDS:
                _next_round(filled, session, job, number + 1, model)
        _end(filled, session, job, files, number=ROUNDS, model=model)
        filled.models[name] = model
        _dated(session, job, filled.hub.clock.now() - timedelta(days=days_ago), minutes=12)
    return of


def _training(filled: Filled, sealed: Sealed) -> None:
    hub, rate = filled.hub, "0.1"
    of = _submitted(
        filled,
        "training",
        sealed,
        "classification",
        {**_CHOICES, "learning_rate": rate},
        title="Sex once more",
        rounds=ROUNDS,
    )
    with writing(hub.engine) as session:
        job = _approved(filled, session, of, NODES)
        for number in (1, 2):
            # In the second round beta came too late.
            came = NODES if number == 1 else NODES[:1]
            model, _ = _round(filled, session, job, number, rate, came)
            _next_round(filled, session, job, number + 1, model.digest)
        alpha, beta = progress.sites_of(session, of)
        _arrived(filled, session, job, alpha, 3, UPDATE)
        progress.move_site(hub, job, beta, SiteEvent.LEASE)
        progress.move_site(hub, job, beta, SiteEvent.START)
        progress.move_job(hub, job, JobEvent.DEGRADE)
        _dated(session, job, hub.clock.now() - timedelta(hours=27), minutes=12)
        began = hub.clock.now() - timedelta(hours=26)
        beta.since, beta.percent = began, 40
        session.get_one(RoundRow, (of, 3)).deadline = hub.clock.now() + timedelta(hours=22)
        session.add(
            LeaseRow(
                job=of,
                node="beta",
                round=3,
                id=hub.clock.new_id(),
                kind="run",
                attempt=1,
                granted=began,
                expires=began + timedelta(minutes=10),
                open=True,
            )
        )


def _asked(filled: Filled, sealed: Sealed) -> None:
    of = _submitted(filled, "asked", sealed, "image-quality", {}, title="How good the pictures are")
    with writing(filled.hub.engine) as session:
        job, (_, beta) = session.get_one(JobRow, of), progress.sites_of(session, of)
        progress.move_site(filled.hub, job, beta, SiteEvent.APPROVE)
        job.created = filled.hub.clock.now() - timedelta(hours=30)
        for site in progress.sites_of(session, of):
            site.since = job.created + timedelta(minutes=40 if site is beta else 0)


# -- what nodes and merging write --------------------------------------------------------------------------------------


def _approved(filled: Filled, session: Session, of: str, nodes: Sequence[str]) -> JobRow:
    job = session.get_one(JobRow, of)
    for site in progress.sites_of(session, of):
        if site.node in nodes:
            progress.move_site(filled.hub, job, site, SiteEvent.APPROVE)
    progress.advance(filled.hub, session, job)
    session.flush()
    return job


def _arrived(filled: Filled, session: Session, job: JobRow, site: SiteRow, number: int, output: str) -> None:
    digest = blobs.put(
        filled.hub, session, f"{job.id} {site.node} {number}".encode(), media_type="application/octet-stream"
    )
    session.add(
        UpdateRow(
            job=job.id,
            round=number,
            merged_in=number,
            node=site.node,
            output=output,
            digest=digest,
            door_class="update" if output == UPDATE else "result",
            size_bytes=1_724_512,
            path=str(blobs.path_of(filled.hub, digest)),
            received=filled.hub.clock.now(),
        )
    )
    progress.move_site(filled.hub, job, site, SiteEvent.RELEASE)
    usage.note_up(session, job.id, site.node, number, 1_724_512)


def _round(
    filled: Filled, session: Session, job: JobRow, number: int, rate: str, came: Sequence[str]
) -> list[Settled]:
    for site in progress.sites_of(session, job.id):
        if site.node in came:
            _arrived(filled, session, job, site, number, UPDATE)
    # What is inside is read by nobody here.
    text = f"weights of {job.id} after round {number}".ljust(400)
    model = _output(filled, session, job.id, number, MODEL, MODEL_TYPE, text)
    metrics = _told(filled, session, job.id, number, rate, came)
    late = tuple(node for node in NODES if node not in came)
    _closed(session, job.id, number, merged=came, late=late, model=model.digest)
    return [model, metrics]


def _next_round(filled: Filled, session: Session, job: JobRow, number: int, base: str) -> None:
    step = Step(participants=NODES, base=base, merging=Merging.AGGREGATE, at_least=1)
    progress.open_round(filled.hub, session, job, number, step=step)
    session.flush()


def _told(filled: Filled, session: Session, of: str, number: int, rate: str, came: Sequence[str]) -> Settled:
    """Write what the sites told in a round, as merging does."""
    body: dict[str, Any] = {
        "schema": "round-metrics/1",
        "round": number,
        "sites": {node: _notes(number, rate, place) for place, node in enumerate(NODES) if node in came},
        "aggregator": "fedavg",
        "record": {},
        GROUPS: {node: _by_group(number, rate, place) for place, node in enumerate(NODES) if node in came},
    }
    return _output(filled, session, of, number, METRICS, "application/json", json.dumps(body, sort_keys=True))


def _notes(number: int, rate: str, place: int) -> dict[str, float]:
    before, after = (_accuracy(at, rate, place) for at in (number - 1, number))
    return {
        "n_train": 400.0 + 250 * place,
        "n_heldout": 80.0 + 30 * place,
        "before_accuracy": before,
        "after_accuracy": after,
        "before_loss": 1 - before,
        "after_loss": 1 - after,
    }


def _accuracy(after_round: int, rate: str, place: int) -> float:
    best = 0.9 - 0.08 * place
    return round(best - (best - 0.5) * math.exp(-after_round * (0.4 + 4 * float(rate))), 4)


def _by_group(number: int, rate: str, place: int) -> list[dict[str, Any]]:
    reached = _accuracy(number - 1, rate, place)
    groups = (("sex", "F", 41, 0.03), ("sex", "M", 39, -0.03), ("age_band", "70-74", 12, -0.12))
    return [
        {
            "kind": kind,
            "group": group,
            "n_subjects": subjects,
            "metric": "accuracy",
            "value": round(reached + more, 4),
            "low": round(reached + more - 1 / math.sqrt(subjects) / 2, 4),
            "high": round(min(1.0, reached + more + 1 / math.sqrt(subjects) / 2), 4),
        }
        for kind, group, subjects, more in groups
    ]


def _output(
    filled: Filled, session: Session, of: str, number: int, name: str, media_type: str, text: str
) -> Settled:
    digest = blobs.put(filled.hub, session, text.encode(), media_type=media_type)
    settled = Settled(name, media_type, digest, len(text.encode()))
    session.add(
        OutputRow(
            job=of,
            round=number,
            name=name,
            digest=digest,
            media_type=media_type,
            size_bytes=settled.size_bytes,
            created=filled.hub.clock.now(),
        )
    )
    return settled


def _closed(
    session: Session,
    of: str,
    number: int,
    *,
    merged: Sequence[str],
    late: Sequence[str] = (),
    lost: Sequence[str] = (),
    model: str | None = None,
) -> None:
    row = session.get_one(RoundRow, (of, number))
    row.state, row.closed, row.result_digest = RoundState.CLOSED.value, row.opened, model
    row.record = {
        "asked": list(NODES),
        "merged": list(merged),
        "merging": step_of(session, session.get_one(JobRow, of), row).merging.value,
        "late": list(late),
        "lost": list(lost),
    }


def _end(
    filled: Filled,
    session: Session,
    job: JobRow,
    files: Sequence[Settled],
    *,
    number: int,
    model: str | None,
) -> None:
    closing = Closing(progress.manifest_of(job), number, ())
    complete(filled.hub, session, job, closing, files, Done(Ending.ALL_ROUNDS, model))


def _dated(session: Session, job: JobRow, start: datetime, *, minutes: int) -> None:
    """Let a job have been started at a moment, each of its rounds taking so many minutes."""

    def each(number: int) -> datetime:
        return start + timedelta(minutes=minutes * number)

    job.created, job.started = start - timedelta(hours=3), start
    for row in session.query(RoundRow).where(RoundRow.job == job.id):
        row.opened = each(row.round - 1)
        row.closed = each(row.round) - timedelta(minutes=1) if row.closed is not None else None
    for update in session.query(UpdateRow).where(UpdateRow.job == job.id):
        update.received = each(update.round) - timedelta(minutes=2 if update.node == "alpha" else 4)
    for output in session.query(OutputRow).where(OutputRow.job == job.id):
        output.created = each(output.round) - timedelta(minutes=1)
    for site in progress.sites_of(session, job.id):
        site.since = each(max(1, site.round)) - timedelta(minutes=3)
    if job.ended is not None:
        job.ended = each(max(1, job.round))
