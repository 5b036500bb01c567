"""What the verbs share: settings from the flags, the local node or hub, the client of the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fairbank.clock import SystemClock
from fairbank.settings import Explained, Settings, load

if TYPE_CHECKING:
    import typer

    from fairbank.catalogue.context import Hub
    from fairbank.release.node import Node
    from fairbank.web.api_client import HubApi

CLOCK = SystemClock()


def explained(ctx: typer.Context) -> tuple[Settings, list[Explained]]:
    """Return the settings and where each came from."""
    return load(flags=ctx.find_root().obj)


def settings(ctx: typer.Context) -> Settings:
    """Return the settings."""
    return explained(ctx)[0]


def node(ctx: typer.Context) -> Node:
    """Open the node in the home folder."""
    from fairbank.release.node import open_node

    return open_node(settings(ctx), CLOCK)


def hub(ctx: typer.Context) -> Hub:
    """Open the hub in the home folder."""
    from fairbank.catalogue.context import open_hub

    return open_hub(settings(ctx), CLOCK)


def api(ctx: typer.Context) -> HubApi:
    """Return the client of the hub, with the token and key kept in the home folder."""
    from fairbank.web.api_client import HubApi

    return HubApi.from_home(settings(ctx), CLOCK)
