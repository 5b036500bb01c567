"""`fairbank grant`: what was granted, until when, and taking it back."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from fairbank.cli import grant_export
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="List, show and revoke what was granted.")
grant_export.add_to(app)
_GRANT = typer.Argument(help="Id of the grant.")
_TERMS = ("dataset", "expires", "runs", "output_classes", "tool_families", "conditions")
_EITHER = typer.Argument(help="Id of the grant, or of the request that it answers.")


@app.command("list")
def list_grants(
    ctx: typer.Context,
    most: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    format: FormatOption = Format.TABLE,
) -> None:
    """List the grants that you have a part in: whether they hold, what they open, how many runs are left, until when.

    Example: fairbank grant list
    """
    from fairbank.web.request_acts import listed

    rows = listed(api(ctx), "grants", most)
    columns = ["id", "request", "title", "account", "purpose", "state", "datasets", "runs left", "expires"]
    if format is Format.JSON:
        # There each dataset says it.
        columns.remove("runs left")
    else:
        # People read names, programs addresses; a hub of the version before says no names.
        name = "title" if format is Format.TABLE else "dataset"
        rows = [
            {
                **row,
                "purpose": row.get("purpose", {}).get("words", ""),
                "datasets": [each.get(name, each["dataset"]) for each in row["datasets"]],
                "runs left": [_runs(each) for each in row["datasets"]],
            }
            for row in rows
        ]
    show_rows(rows, columns=columns, format=format, empty="No grant.")


def _runs(opened: dict[str, Any]) -> str:
    left, most = opened["runs_left"], opened["maximum_runs"]
    return f"{left} of {most}" if left is not None else f"{most}"


@app.command()
def show(ctx: typer.Context, grant: Annotated[str, _EITHER], format: FormatOption = Format.TABLE) -> None:
    """Show what a grant allows, after checking the visa with the hub's key.

    Example: fairbank grant show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.web.acts import grant as find

    sealed = find(api(ctx), grant)
    shown: dict[str, Any] = {"digest": sealed.digest, **sealed.payload}
    if format is not Format.TABLE:
        show_fields(shown, format=format)
        return
    datasets = shown.pop("datasets")
    show_fields(shown, format=format)
    say("")
    rows = [{**each, "dataset": each["iri"], "runs": each["maximum_runs"]} for each in datasets]
    show_rows(rows, columns=_TERMS, format=format)


@app.command()
def revoke(
    ctx: typer.Context,
    grant: Annotated[str, _GRANT],
    reason: Annotated[str, typer.Option(help="Why.")],
) -> None:
    """Take a grant back; its jobs stop.

    Example: fairbank grant revoke 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --reason "The project has ended."
    """
    answer = api(ctx).post(
        f"/v1/grants/{grant}/revoke", {"schema": "revocation/1", "reason": reason}, signed_in=True
    )
    say(f"The grant is {answer['state']}.")
