"""`fairbank node`: set up, enrol and run a node; see what leaves it. Decisions on jobs are in `node_jobs`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli import (
    consent_commands,
    node_grants,
    node_jobs,
    node_keys,
    node_labels,
    node_overlaps,
    node_pages,
    node_people,
    node_report,
    node_rules,
    node_sources,
    node_status,
    node_withdrawal,
    outbox_commands,
    retention_commands,
    trust_commands,
)
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.prompts import password, read_text
from fairbank.cli.session import CLOCK, node, settings

if TYPE_CHECKING:
    from fairbank.release.node import Node

app = typer.Typer(
    no_args_is_help=True, help="Set up, enrol and run a node; decide which jobs run on its data."
)


@app.command()
def init(
    ctx: typer.Context,
    name: Annotated[str, typer.Option(help="The node's name: a to z, 0 to 9 and hyphens.")],
    title: Annotated[str, typer.Option(help="Its name for readers.")] = "",
    person: Annotated[
        str, typer.Option(help="The first person who decides here; types a passphrase of their own.")
    ] = "",
    passphrase_file: Annotated[
        Path | None, typer.Option(help="File of mode 0600 with that person's passphrase.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Make a node in the home folder: its keys and its database, and the first person who decides there.

    Example: fairbank --home /srv/node node init --name northfield --title "Northfield Imaging Biobank" --person ada
    """
    from fairbank.release.node import init_node
    from fairbank.release.people import add_person

    made = init_node(settings(ctx), CLOCK, name=name, title=title)
    if person:
        add_person(made, person, password(passphrase_file, confirm=True))
    else:
        say("Nobody is named here yet, so decisions are not signed: fairbank node person add NAME")
    show_fields(_described(made), format=format)


@app.command()
def show(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Show the node's name, keys and hub.

    Example: fairbank node show
    """
    show_fields(_described(node(ctx)), format=format)


@app.command()
def enrol(
    ctx: typer.Context,
    token_file: Annotated[str, typer.Option(help="File with the one-time token, or - for standard input.")],
    hub_key: Annotated[
        str | None, typer.Option(help="Fingerprint of the hub's root key, as its administrator told it.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Introduce this node to the hub, and pin the hub's root key.

    Example: fairbank --hub https://hub.example.org node enrol --token-file token.txt --hub-key 89d3-b3f9-2270-7ad3
    """
    from fairbank.release.node import enrol as introduce

    opened = node(ctx)
    token = read_text(token_file).strip()
    pinned = introduce(opened, hub_url=opened.settings.hub_url, token=token, hub_key=hub_key)
    show_fields({"hub": pinned.hub_url, "hub key": pinned.hub_key, "node": pinned.node}, format=format)


@app.command()
def run(ctx: typer.Context) -> None:
    """Run the node's agent until interrupted: it asks the hub for work and does what the site approved.

    Example: fairbank node run
    """
    import logging
    import signal
    import threading

    from fairbank.federated_jobs.node.agent import Agent

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    opened = node(ctx)
    stop = threading.Event()
    agent = Agent(opened)

    def end(*_: object) -> None:
        # A long-poll may be open; the process ends without waiting for its answer.
        stop.set()
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    say(f"The node {opened.name} works for {opened.enrolment.hub_url if opened.enrolment else 'nobody'}.")
    try:
        agent.run(stop)
    except KeyboardInterrupt:
        if not stop.is_set():
            raise


@app.command()
def check(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Prove the sandbox: start one, and show what it asserts about its isolation.

    Example: fairbank node check
    """
    from fairbank.federated_jobs.node.selfcheck import prove_sandbox

    report = prove_sandbox(node(ctx))
    rows = [{"assertion": one.name, "holds": one.held, "seen": one.seen} for one in report.assertions]
    show_rows(rows, columns=("assertion", "holds", "seen"), format=format)
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def send(ctx: typer.Context) -> None:
    """Send what is ready in the outbox.

    Example: fairbank node send
    """
    from fairbank.federated_jobs.node.approval import leaving
    from fairbank.release.hub_client import HubClient
    from fairbank.release.outbox import Outbox

    opened = node(ctx)
    sendings = Outbox(opened, HubClient.of(opened), may_leave=leaving(opened)).send_pending()
    for sending in sendings:
        say(f"{sending.release.output}: {sending.error or 'sent'}")
    if any(sending.error for sending in sendings):
        raise typer.Exit(1)


@app.command()
def ledger(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(help="How many of the newest entries.", min=1)] = 50,
    format: FormatOption = Format.TABLE,
) -> None:
    """List what left this node, newest first: class, bytes, digest, when and whereto.

    Example: fairbank node ledger --format csv
    """
    from fairbank.database import reading
    from fairbank.release import ledger as book

    with reading(node(ctx).engine) as session:
        rows = [
            {
                "seq": entry.seq,
                "class": entry.door_class.value,
                "name": entry.name,
                "bytes": entry.size_bytes,
                "state": entry.state.value,
                "left": entry.left,
                "digest": entry.digest,
            }
            for entry in book.entries(session, limit=limit)
        ]
    columns = ("seq", "class", "name", "bytes", "state", "left", "digest")
    show_rows(rows, columns=columns, format=format, empty="Nothing has left this node.")


@app.command()
def content(
    ctx: typer.Context, seq: Annotated[int, typer.Argument(help="Number of the ledger's entry.")]
) -> None:
    """Print exactly the bytes of a ledger entry, before or after they left.

    Example: fairbank node content 12
    """
    from fairbank.database import reading
    from fairbank.release import ledger as book

    opened = node(ctx)
    with reading(opened.engine) as session:
        entry = book.entry(session, seq)
    sys.stdout.buffer.write(book.content(entry, opened.outbox_path))


node_jobs.add_to(app)
node_labels.add_to(app)
node_pages.add_to(app)
node_rules.add_to(app)
node_status.add_to(app)
node_withdrawal.add_to(app)
node_keys.add_to(app)
app.add_typer(node_people.app, name="person")
app.add_typer(node_overlaps.app, name="overlap")
app.add_typer(node_grants.app, name="grants")
app.add_typer(node_report.app, name="report")
app.add_typer(outbox_commands.app, name="outbox")
app.add_typer(consent_commands.app, name="consent")
app.add_typer(retention_commands.app, name="retention")
trust_commands.add_to(node_sources.app)
app.add_typer(node_sources.app, name="source")


def _described(opened: Node) -> dict[str, object]:
    from fairbank.federated_jobs.node.site_keys import site_public_key

    pinned = opened.enrolment
    return {
        "name": opened.name,
        "key": opened.key.key_id,
        "fingerprint": opened.key.public.fingerprint,
        "site key": site_public_key(opened.settings) or "made at the first approval",
        "hub": pinned.hub_url if pinned else "not enrolled",
        "hub key": pinned.hub_key if pinned else "",
        "store": str(Path(opened.settings.store_path)),
        "k": opened.settings.release_minimum_count,
    }
