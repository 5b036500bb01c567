"""`fairbank grant export`: take a grant to other infrastructures."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from typing import Annotated

import typer

from fairbank.cli.output import say
from fairbank.cli.session import api


class ExportFormat(StrEnum):
    """Forms in which a grant can be taken elsewhere."""

    GA4GH = "ga4gh"


def add_to(app: typer.Typer) -> None:
    """Add this verb to the noun `grant`."""
    app.command()(export)


def export(
    ctx: typer.Context,
    grant: Annotated[str, typer.Argument(help="Id of the grant, or of the request that it answers.")],
    format: Annotated[
        ExportFormat, typer.Option(help="GA4GH visas: a signed token per dataset.")
    ] = ExportFormat.GA4GH,
    audience: Annotated[
        str | None, typer.Option(help="Address of the only reader that shall take the tokens.")
    ] = None,
) -> None:
    """Print a grant as GA4GH visas, for infrastructures that read those; nothing runs here by them.

    Example: fairbank grant export 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --format ga4gh
    """
    from fairbank.web.acts import grant as find

    hub = api(ctx)
    wanted = find(hub, grant).payload["id"]
    found = hub.get(f"/v1/grants/{wanted}/{format.value}", signed_in=True, audience=audience)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    say("Tokens are good for at most seven days and are not called back: keep them as you keep a password.")
