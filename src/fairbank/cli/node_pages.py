"""`fairbank node pages`: the node's pages in a browser of this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from fairbank.cli.listening import listen
from fairbank.cli.output import say
from fairbank.cli.session import node

HOST = "127.0.0.1"


def add_to(node_app: typer.Typer) -> None:
    """Add this verb to the noun `node`."""
    node_app.command()(pages)


def pages(
    ctx: typer.Context,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; any that is free by default.", min=0)] = 0,
) -> None:
    """Show in a browser of this machine what waits for its people, and decide there; until interrupted.

    It prints a link that opens one session. Press Enter for another link.

    Example: fairbank node pages
    """
    import threading

    import uvicorn

    from fairbank.web.node.app import create_app
    from fairbank.web.node.desk import Desk

    desk = Desk(node(ctx))
    listener = listen(HOST, port, who="The pages of this node", todo="Choose another --port, or none.")
    at = listener.getsockname()[1]

    def tell() -> None:
        say(f"http://{HOST}:{at}/start/{desk.link()}")

    say("Open this link in a browser of this machine; it works once. Press Enter here for another.")
    tell()
    if sys.stdin.isatty():

        def more() -> None:
            for _ in sys.stdin:
                tell()

        threading.Thread(target=more, daemon=True).start()
    with listener:
        config = uvicorn.Config(create_app(desk, port=at), log_level="warning", access_log=False)
        uvicorn.Server(config).run(sockets=[listener])
