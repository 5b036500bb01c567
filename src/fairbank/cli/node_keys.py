"""`fairbank node key rotate`, `node pause` and `node resume`."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from fairbank.cli.output import say
from fairbank.cli.persons import As, PhraseFile, signer
from fairbank.cli.session import node

app = typer.Typer(no_args_is_help=True, help="Replace the key that this node signs with.")


def add_to(node_app: typer.Typer) -> None:
    """Add these verbs to the noun `node`."""
    node_app.add_typer(app, name="key")
    node_app.command()(pause)
    node_app.command()(resume)


@app.command()
def rotate(ctx: typer.Context, as_: As = "", passphrase_file: PhraseFile = None) -> None:
    """Give this node a new key, sealed by the old one; give it again if it was cut off.

    Example: fairbank node key rotate --as ada
    """
    from fairbank.release.key_rotation import rotate as replace

    opened = node(ctx)
    done = replace(opened, signer=signer(opened, as_, passphrase_file))
    say(f"The node signs with {done.node.key.public.fingerprint} from now on.")
    if done.old_accepted_until:
        say(f"The hub takes requests under the old key until {done.old_accepted_until}.")


def pause(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="The whole node: workers and outbox.")] = False,
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Let the whole node stand still, also without the hub: claim nothing, send nothing, stop what runs.

    Example: fairbank node pause --all --as ada
    """
    from fairbank.release.suspension import suspend

    if not everything:
        raise typer.BadParameter("say --all for the whole node; for one job: 'fairbank node jobs pause JOB'")
    opened = node(ctx)
    suspend(opened, by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("Paused. What runs is stopped within seconds; 'fairbank node resume' ends it.")


def resume(ctx: typer.Context, as_: As = "", passphrase_file: PhraseFile = None) -> None:
    """Take part again after 'fairbank node pause --all'.

    Example: fairbank node resume --as ada
    """
    from fairbank.release.suspension import resume as take_part

    opened = node(ctx)
    take_part(opened, by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("The node takes part again.")
