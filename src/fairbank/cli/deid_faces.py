"""`fairbank deid faces`: decide what becomes of a project's heads, see what was decided, look at what is stored."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.persons import As, PhraseFile, own_key
from fairbank.cli.session import CLOCK, node

app = typer.Typer(no_args_is_help=True, help="Decide what becomes of heads whose face could be recognised.")
_PROJECT = typer.Argument(help="Project of the research store.")


@app.command("set")
def set_policy(
    ctx: typer.Context,
    project: Annotated[str, _PROJECT],
    policy: Annotated[str, typer.Argument(help="hold, deface or in-situ.")],
    reason: Annotated[str, typer.Option(help="On what the decision rests.")],
    by: Annotated[str, typer.Option(help="Who decides, by name, if not one of the node's persons.")] = "",
    key: Annotated[
        Path | None, typer.Option(help="That person's own key file, under a passphrase.", exists=True)
    ] = None,
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Decide what becomes of heads, signed by a named person; it counts for what is cleaned from now on.

    Example: fairbank deid faces set neuro in-situ --reason "Vote 17/2026" --as ada
    """
    from fairbank.database import writing
    from fairbank.deid.faces.policy_store import FaceDecision, decide
    from fairbank.deid.policies import FacePolicy
    from fairbank.harvest.decided_faces import speaking_at

    words = [one.value for one in FacePolicy]
    if policy not in words:
        raise typer.BadParameter(f"{policy!r} is not one of {', '.join(words)}")
    opened = node(ctx)
    own = own_key(opened, as_, key, passphrase_file)
    decision = FaceDecision(project, FacePolicy(policy), reason, as_ or by)
    trusted = speaking_at(opened)
    with writing(opened.engine) as session:
        decide(session, decision, key=own, clock=CLOCK, trusted=trusted)
    say("Decided and signed. It counts for series that are cleaned from now on.")


@app.command("show")
def show_policies(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List who decided what of which project's heads; the last line of a project counts.

    Example: fairbank deid faces show
    """
    from fairbank.database import reading
    from fairbank.deid.faces.policy_store import decisions

    columns = ("project", "number", "policy", "reason", "decided_by", "key_id", "decided_at")
    with reading(node(ctx).engine) as session:
        rows = [{column: getattr(row, column) for column in columns} for row in decisions(session)]
    show_rows(rows, columns=columns, format=format, empty="Nobody has decided: heads are held.")


@app.command("look")
def look_at_project(
    ctx: typer.Context, project: Annotated[str, _PROJECT], format: FormatOption = Format.TABLE
) -> None:
    """Look for heads among stored series that nobody has looked at; heads with a face never leave as files.

    Example: fairbank deid faces look thorax
    """
    from fairbank.deid.faces.stored_series import look_at_stored
    from fairbank.deid.research_store import ResearchStore

    opened = node(ctx)
    store = ResearchStore(opened.settings.store_path)
    counted: Counter[str] = Counter({"series": 0, "heads": 0, "defaced": 0, "never to leave": 0})
    for work in look_at_stored(opened.engine, store, project, clock=CLOCK):
        counted.update(
            {"series": 1, "heads": work.head, "defaced": work.defaced, "never to leave": work.in_situ}
        )
    show_fields(dict(counted), format=format)
