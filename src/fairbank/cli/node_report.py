"""`fairbank node report`: what the site has to be able to show."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fairbank.cli.output import say
from fairbank.cli.prompts import write_bytes
from fairbank.cli.session import node

app = typer.Typer(no_args_is_help=True, help="Write what the site has to be able to show.")


class ReportFormat(StrEnum):
    """How a report is written."""

    HTML = "html"
    MARKDOWN = "md"
    JSON = "json"


@app.callback()
def report() -> None:
    """Write what the site has to be able to show."""


@app.command()
def gdpr(
    ctx: typer.Context,
    format: Annotated[ReportFormat, typer.Option("--format", help="How it is written.")] = ReportFormat.HTML,
    file: Annotated[Path | None, typer.Option(help="File to write; standard output by default.")] = None,
) -> None:
    """Write the record of processing, all that left, and an annex for an impact assessment; it names no subject.

    Example: fairbank node report gdpr --format html --file processing.html
    """
    from fairbank.federated_jobs.node.gdpr.report import gdpr_report

    document = gdpr_report(node(ctx))
    match format:
        case ReportFormat.HTML:
            text = document.as_html()
        case ReportFormat.MARKDOWN:
            text = document.as_markdown()
        case ReportFormat.JSON:
            text = json.dumps(document.as_json(), indent=2, ensure_ascii=False) + "\n"
    if file is None:
        sys.stdout.write(text)
        return
    write_bytes(text.encode(), file)
    say(f"Wrote {file.name}.")
