"""`fairbank node jobs`: a site decides which jobs run on its data; and what `fairbank node` says of their outputs."""

from __future__ import annotations

import getpass
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli.node_noise import budget
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.persons import As, PhraseFile, signer
from fairbank.cli.session import CLOCK, node

if TYPE_CHECKING:
    from fairbank.federated_jobs.node.reviewing import JobReview, TermsHere
    from fairbank.release.node import Node

app = typer.Typer(
    no_args_is_help=True, help="See the jobs that were brought to this site, and decide about each."
)
_JOB = typer.Argument(help="Id of the job.")


def add_to(node_app: typer.Typer) -> None:
    """Add these verbs to the noun `node`."""
    node_app.add_typer(app, name="jobs")
    app.command()(budget)
    node_app.command()(outputs)
    node_app.command("let-go")(let_go)
    node_app.command("keep-back")(keep_back)
    node_app.command()(counts)
    node_app.command("answer-count")(answer_count)
    node_app.command("decline-count")(decline_count)


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the jobs that were brought to this site, and what was decided.

    Example: fairbank node jobs list
    """
    from sqlalchemy import select

    from fairbank.database import reading
    from fairbank.federated_jobs.node.progress import progress_of
    from fairbank.federated_jobs.node.store import ReviewRow

    here = node(ctx)
    with reading(here.engine) as session:
        rows = [
            {
                "job": row.job,
                "title": row.title,
                "tool": row.tool,
                "state": row.state,
                "reason": row.reason,
                "stopped by": row.stopped_by or "",
                "paused": "yes" if row.halted else "",
                "percent": None if (far := progress_of(here, row.job)) is None else far.percent,
            }
            for row in session.scalars(select(ReviewRow).order_by(ReviewRow.received))
        ]
    columns = ("job", "title", "tool", "state", "reason", "stopped by", "paused", "percent")
    show_rows(rows, columns=columns, format=format, empty="No job came yet.")


@app.command()
def show(
    ctx: typer.Context,
    job: Annotated[str, _JOB],
    overlays: Annotated[
        Path | None,
        typer.Option(help="New folder for the pictures that its tool made for you; they list the series."),
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show a job: who asks and why, which code, what would leave, how much of this site it uses, what it may reveal.

    Example: fairbank node jobs show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888

    Example: fairbank node jobs show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --overlays pictures
    """
    if overlays is not None:
        _show_overlays(node(ctx), job, overlays, format)
        return
    from fairbank.federated_jobs.node.reviewing import review
    from fairbank.federated_jobs.node.what_leaves import privacy_cost, warnings
    from fairbank.ontology.signed_objects import KeyKeeper

    found = review(node(ctx), job)
    manifest, visa, request = found.chain.manifest, found.chain.visa, found.chain.request
    show_fields(
        {
            "title": manifest.title,
            "requester": f"{request.requester_account}, {request.organisation}",
            "requester key": manifest.requester_key,
            "requester key kept by": (request.key_kept_by or KeyKeeper.PERSON).value,
            "purpose": ", ".join(visa.purpose.data_use),
            "statement": visa.purpose.statement,
            "requester key known here": "yes" if found.known_requester else "no",
            "goes to": f"requester in {request.country or '?'}, hub in {found.hub_country or '?'}",
            "stopped by": found.stopped_by or "",
            "granted here": [_granted(one) for one in found.terms],
            "granted until": min(one.terms.expires for one in found.terms),
            "conditions": sorted({words for one in found.terms for words in one.terms.conditions}),
            "code": f"{manifest.code.name} {manifest.code.version}",
            "code digest": manifest.code.digest,
            "publisher": found.publisher,
            **_registered(found),
            **found.container,
            **found.bundle,
            "parameters": manifest.parameters,
            "would leave": [str(one) for one in found.leaves],
            "privacy cost": privacy_cost(manifest, found.noise),
            "training": list(warnings(manifest)) or "no model is trained",
            "paused": found.paused or "",
            "rounds": manifest.plan.rounds,
            "series here": found.series,
            "subjects here": found.subjects,
        },
        format=format,
    )


def _show_overlays(opened: Node, job: str, folder: Path, format: Format) -> None:
    from fairbank.database import reading
    from fairbank.federated_jobs.node.overlays import copy_to, of_job

    with reading(opened.engine) as session:
        found = of_job(opened, session, job)
    copy_to(found, folder)
    rows = [{"picture": one.file.name, "series": one.series or "has left the cohort"} for one in found]
    show_rows(rows, columns=("picture", "series"), format=format)
    say(f"{len(found)} pictures are in {folder}. They show images of this site's subjects, and stay here.")


def _granted(here: TermsHere) -> str:
    terms = here.terms
    classes = ", ".join(one.value for one in terms.output_classes)
    tools = ", ".join((*terms.tool_families, *terms.tool_digests)) or "any that the site approves"
    runs = f"{here.approved_runs} of {terms.maximum_runs} runs approved"
    return f"{terms.iri.rpartition('/')[2]}: {classes}; tools {tools}; {runs}; until {terms.expires}"


@app.command()
def approve(
    ctx: typer.Context,
    job: Annotated[str, _JOB],
    hold: Annotated[bool, typer.Option("--hold", help="Look at each output before it leaves.")] = False,
    days: Annotated[int | None, typer.Option(help="Until when; the visa's end by default.", min=1)] = None,
    as_: As = "",
    passphrase_file: PhraseFile = None,
    site_passphrase_file: Annotated[
        Path | None, typer.Option(help="File with the site key's passphrase, if it has one.")
    ] = None,
) -> None:
    """Approve a job: freeze its cohort, and sign as a person and with the site's key.

    Example: fairbank node jobs approve 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --hold --as ada
    """
    from fairbank.cli.prompts import read_text
    from fairbank.federated_jobs.node.approval import Consent
    from fairbank.federated_jobs.node.approval import approve as consent

    opened = node(ctx)
    expires = CLOCK.now() + timedelta(days=days) if days else None
    phrase = read_text(str(site_passphrase_file)).strip() if site_passphrase_file else None
    who = signer(opened, as_, passphrase_file)
    words = Consent(by=getpass.getuser(), expires=expires, hold_outputs=hold, signer=who)
    given = consent(opened, job, words, passphrase=phrase)
    say(f"Approved for {given.cohort_size} series, until {given.expires}.")
    _tell(opened)


@app.command()
def reject(
    ctx: typer.Context, job: Annotated[str, _JOB], as_: As = "", passphrase_file: PhraseFile = None
) -> None:
    """Say no to a job.

    Example: fairbank node jobs reject 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.federated_jobs.node.approval import reject as refuse

    opened = node(ctx)
    refuse(opened, job, by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("Rejected.")
    _tell(opened)


@app.command("withdraw")
def withdraw_approval(
    ctx: typer.Context, job: Annotated[str, _JOB], as_: As = "", passphrase_file: PhraseFile = None
) -> None:
    """Take an approval back; a round that runs is stopped.

    Example: fairbank node jobs withdraw 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.federated_jobs.node.approval import withdraw as take_back

    opened = node(ctx)
    take_back(opened, job, by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("The approval is taken back.")
    _tell(opened)


@app.command()
def pause(
    ctx: typer.Context, job: Annotated[str, _JOB], as_: As = "", passphrase_file: PhraseFile = None
) -> None:
    """Let a job stand still here, also without the hub: nothing is computed, nothing leaves; the hub is told nothing.

    Example: fairbank node jobs pause 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.federated_jobs.node.pausing import pause_job

    opened = node(ctx)
    pause_job(opened, job, by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("Paused. What runs of it is stopped within seconds; 'fairbank node jobs resume' ends it.")


@app.command()
def resume(
    ctx: typer.Context, job: Annotated[str, _JOB], as_: As = "", passphrase_file: PhraseFile = None
) -> None:
    """Let a job go on after 'fairbank node jobs pause'.

    Example: fairbank node jobs resume 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.federated_jobs.node.pausing import resume_job

    opened = node(ctx)
    resume_job(opened, job, by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("The job goes on.")


def outputs(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the outputs of jobs that wait for somebody to look at them.

    Example: fairbank node outputs
    """
    from fairbank.federated_jobs.node.output_review import held
    from fairbank.release.outbox import Outbox

    rows = [
        {
            "job": one.job,
            "round": one.round,
            "output": one.output,
            "bytes": one.size_bytes,
            "digest": one.digest,
        }
        for one in held(Outbox(node(ctx)))
    ]
    show_rows(
        rows, columns=("job", "round", "output", "bytes", "digest"), format=format, empty="Nothing waits."
    )


def let_go(
    ctx: typer.Context, job: Annotated[str, _JOB], as_: As = "", passphrase_file: PhraseFile = None
) -> None:
    """Let the held outputs of a job leave.

    Example: fairbank node let-go 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.federated_jobs.node.output_review import let_go as release
    from fairbank.release.outbox import Outbox

    opened = node(ctx)
    who = signer(opened, as_, passphrase_file)
    released = release(opened, Outbox(opened), job, by=getpass.getuser(), signer=who)
    say(f"{len(released)} outputs may leave; the agent sends them.")


def keep_back(
    ctx: typer.Context, job: Annotated[str, _JOB], as_: As = "", passphrase_file: PhraseFile = None
) -> None:
    """Keep the held outputs of a job back for good.

    Example: fairbank node keep-back 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.federated_jobs.node.output_review import keep_back as withhold
    from fairbank.release.outbox import Outbox

    opened = node(ctx)
    who = signer(opened, as_, passphrase_file)
    withhold(opened, Outbox(opened), job, by=getpass.getuser(), signer=who)
    say("They stay here.")
    _tell(opened)


_QUESTION = typer.Argument(help="Id of the question.")


def counts(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the live counts that were asked of this site, and what it said.

    Example: fairbank node counts
    """
    from fairbank.federated_jobs.node.live_counts import asked_here
    from fairbank.ontology.selection import in_words
    from fairbank.ontology.signed_objects import Selector

    rows = [
        {
            "question": row.question,
            "dataset": row.dataset,
            "asked by": row.account,
            "under a grant": "yes" if row.visa is not None else "no",
            "selected": in_words(Selector.model_validate_json(json.dumps(row.selector))),
            "state": row.kind,
            "why": row.why or "",
        }
        for row in asked_here(node(ctx))
    ]
    columns = ("question", "dataset", "asked by", "under a grant", "selected", "state", "why")
    show_rows(rows, columns=columns, format=format, empty="No live count was asked yet.")


def answer_count(
    ctx: typer.Context, question: Annotated[str, _QUESTION], as_: As = "", passphrase_file: PhraseFile = None
) -> None:
    """Let the node answer a question for live counts; what it tells passes the release gate.

    Example: fairbank node answer-count 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.federated_jobs.node.live_counts import answer

    opened = node(ctx)
    answer(opened, question, "answer", by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("The node may answer it.")
    _tell_counts(opened)


def decline_count(
    ctx: typer.Context, question: Annotated[str, _QUESTION], as_: As = "", passphrase_file: PhraseFile = None
) -> None:
    """Say no to a question for live counts.

    Example: fairbank node decline-count 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.federated_jobs.node.live_counts import answer

    opened = node(ctx)
    answer(opened, question, "decline", by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("Declined.")
    _tell_counts(opened)


def _tell_counts(opened: Node) -> None:
    from fairbank.errors import FairbankError
    from fairbank.federated_jobs.node.live_counts import CountDesk
    from fairbank.release.hub_client import HubClient
    from fairbank.release.outbox import Outbox

    try:
        CountDesk(opened, Outbox(opened, HubClient.of(opened))).tell()
    except FairbankError as err:
        # The decision stands; the agent tells it as soon as the hub can be reached.
        say(f"The hub does not know yet: {err.what}")


def _tell(opened: Node) -> None:
    from fairbank.errors import FairbankError
    from fairbank.federated_jobs.node.reporting import report_decisions
    from fairbank.release.hub_client import HubClient
    from fairbank.release.outbox import Outbox

    try:
        reported = report_decisions(opened, Outbox(opened, HubClient.of(opened)))
    except FairbankError as err:
        # The decision stands; the agent tells it as soon as the hub can be reached.
        say(f"The hub does not know yet: {err.what}")
        return
    if reported.refused:
        say("The hub refuses to take a decision; it is told again later: fairbank node status")


def _registered(found: JobReview) -> dict[str, Any]:
    if found.told is None:
        return {}
    tests = found.told.tests or ("its publisher states none",)
    return {"tool sealed by": found.told.publisher, "tool review": found.told.review, "tool tests": tests}
