"""`fairbank node outbox`: what waits to leave this node; look at it, let it go, let it wait, keep it back."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.persons import As, PhraseFile, signer
from fairbank.cli.session import node

if TYPE_CHECKING:
    from fairbank.release.outbox_review import Comparison, Decision

app = typer.Typer(no_args_is_help=True, help="See what waits to leave this node, and decide about it.")
_RELEASE = Annotated[str, typer.Argument(help="Id of the release, or name of its output.")]
_BY = Annotated[
    str, typer.Option(help="Who decides, where no person is named; by default this machine's user.")
]
_WHY = Annotated[str, typer.Option(help="Why; it is kept in the node's audit log.")]


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List what waits to leave: held until a curator approves, or ready to be sent.

    Example: fairbank node outbox list
    """
    from fairbank.release.outbox_review import waiting

    rows = [
        {
            "id": one.id,
            "class": one.door_class.value,
            "output": one.output,
            "version": one.round,
            "bytes": one.size_bytes,
            "state": one.state.value,
            "digest": one.digest,
        }
        for one in waiting(node(ctx))
    ]
    columns = ("id", "class", "output", "version", "bytes", "state", "digest")
    show_rows(rows, columns=columns, format=format, empty="Nothing waits.")


@app.command()
def show(
    ctx: typer.Context,
    release: _RELEASE,
    raw: Annotated[
        bool,
        typer.Option(
            "--bytes", help="Print exactly the bytes that leave; of what leaves sealed, what was sealed."
        ),
    ] = False,
) -> None:
    """Print what would leave; for a record also what is new in it against the one that left before.

    The content goes to standard output, the comparison to standard error.

    Example: fairbank node outbox show record-northfield-ct
    """
    from fairbank.release import outbox_review as review

    opened = node(ctx)
    found = review.find(opened, release)
    text = None if raw else review.readable(opened, found)
    if text is None and not raw:
        say(f"{found.size_bytes} bytes of {found.media_type}; --bytes prints them.")
    elif text is None:
        sys.stdout.buffer.write(review.content(opened, found))
    else:
        sys.stdout.write(text + "\n")
    compared = review.compare(opened, found)
    if compared is not None:
        _tell(compared)


@app.command()
def approve(
    ctx: typer.Context,
    release: _RELEASE,
    why: _WHY,
    by: _BY = "",
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Let a held record leave; 'fairbank node send' sends it.

    Example: fairbank node outbox approve record-northfield-ct --why "counts and texts looked at"
    """
    from fairbank.release.outbox_review import Decision

    who = _Who(by, as_, passphrase_file)
    _decide(ctx, release, Decision.APPROVE, who=who, why=why)
    say("It may leave: fairbank node send.")


@app.command()
def hold(
    ctx: typer.Context,
    release: _RELEASE,
    why: _WHY,
    by: _BY = "",
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Let what is ready wait until a curator approves it.

    Example: fairbank node outbox hold record-northfield-ct --why "the title is under discussion"
    """
    from fairbank.release.outbox_review import Decision

    who = _Who(by, as_, passphrase_file)
    _decide(ctx, release, Decision.HOLD, who=who, why=why)
    say("It waits.")


@app.command()
def withhold(
    ctx: typer.Context,
    release: _RELEASE,
    why: _WHY,
    by: _BY = "",
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Keep something back for good; a dataset can be published anew after that.

    Example: fairbank node outbox withhold record-northfield-ct --why "the wrong project was indexed"
    """
    from fairbank.release.outbox_review import Decision

    who = _Who(by, as_, passphrase_file)
    _decide(ctx, release, Decision.WITHHOLD, who=who, why=why)
    say("It stays here.")


class _Who(NamedTuple):
    by: str
    as_: str
    passphrase_file: Path | None


def _decide(ctx: typer.Context, release: str, decision: Decision, *, who: _Who, why: str) -> None:
    from fairbank.release.outbox_review import decide, find

    opened = node(ctx)
    person = signer(opened, who.as_, who.passphrase_file)
    decide(opened, find(opened, release), decision, by=who.by or getpass.getuser(), why=why, signer=person)


def _tell(compared: Comparison) -> None:
    if compared.before is None:
        say("Nothing of this dataset has left before.")
        return
    say(f"Version {compared.version} against version {compared.before}:")
    for change in compared.changes:
        say(f"  {change.what}: {_side(change.before)} → {_side(change.after)}")
    if not compared.changes:
        say("  nothing but the version and its time")


def _side(text: str | None) -> str:
    return "not there" if text is None else text
