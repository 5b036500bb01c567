"""`fairbank node jobs budget`: what noisy trainings have cost the patients of this site."""

from __future__ import annotations

from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.session import node


def budget(
    ctx: typer.Context,
    delta: Annotated[
        float, typer.Option(help="The delta that epsilon is reckoned at.", min=1e-12, max=0.01)
    ] = 1e-5,
    format: FormatOption = Format.TABLE,
) -> None:
    """List what trainings with noise have set aside and spent of a patient, by job; its ledger is checked first.

    Example: fairbank node jobs budget
    """
    from fairbank.database import reading
    from fairbank.federated_jobs.node import noise_ledger
    from fairbank.federated_jobs.node.training_rules import rules_here

    here = node(ctx)
    with reading(here.engine) as session:
        lines = noise_ledger.check_chain(session)
        rows = [
            {
                "job": one.job,
                "patients": one.patients,
                "rounds set aside": one.set_aside,
                "sent": one.sent,
                "given up": one.given_up,
                "epsilon": round(one.spent.epsilon, 3),
            }
            for one in noise_ledger.by_job(session, delta=delta)
        ]
        cap = rules_here(session, here).epsilon_cap
    columns = ("job", "patients", "rounds set aside", "sent", "given up", "epsilon")
    show_rows(rows, columns=columns, format=format, empty="No job has trained with noise here.")
    say(f"At most epsilon {cap} for each patient over all jobs that hold her; {lines} lines, none changed.")
