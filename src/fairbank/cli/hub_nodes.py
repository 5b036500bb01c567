"""`fairbank hub key rotate` and `fairbank hub node suspend|resume`."""

from __future__ import annotations

from typing import Annotated

import typer

from fairbank.cli.output import say
from fairbank.cli.session import hub

OPERATOR = "operator"
keys = typer.Typer(no_args_is_help=True, help="Replace the hub's root key.")
nodes = typer.Typer(no_args_is_help=True, help="Suspend a node, and resume it.")
_NODE = typer.Argument(help="Name of the node.")


@keys.command()
def rotate(ctx: typer.Context) -> None:
    """Give the hub a new root key, sealed by the old one: nodes follow it from the key that they pinned.

    Example: fairbank hub key rotate
    """
    from fairbank.catalogue.hub_keys import rotate as replace

    new = replace(hub(ctx), actor=OPERATOR)
    say(f"The hub's root key is {new.public.fingerprint} from now on.")
    say(
        "A hub that runs goes on with it by itself; on another machine it needs a copy of keys/hub.pem first."
    )


@nodes.command()
def suspend(ctx: typer.Context, node: Annotated[str, _NODE]) -> None:
    """Take nothing from a node for now, and give it no work; its datasets stay described.

    Example: fairbank hub node suspend northfield
    """
    from fairbank.catalogue import nodes as registry
    from fairbank.database import writing

    opened = hub(ctx)
    with writing(opened.engine) as session:
        registry.suspend(session, opened, node=node, actor=OPERATOR)
    say(f"{node} is suspended; its requests are answered node_suspended.")


@nodes.command()
def resume(ctx: typer.Context, node: Annotated[str, _NODE]) -> None:
    """Let a suspended node take part again.

    Example: fairbank hub node resume northfield
    """
    from fairbank.catalogue import nodes as registry
    from fairbank.database import writing

    opened = hub(ctx)
    with writing(opened.engine) as session:
        registry.resume(session, opened, node=node, actor=OPERATOR)
    say(f"{node} takes part again.")
