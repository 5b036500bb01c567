"""`fairbank node labels`: what this site's own codes mean in the words of jobs that learn a label."""

from __future__ import annotations

import getpass
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.session import node

app = typer.Typer(no_args_is_help=True, help="Say what this site's codes mean to jobs that learn a label.")

LabelArgument = Annotated[
    str,
    typer.Argument(
        help="What is learnt: clinical_NAME of a clinical variable, or sex, age_band, contrast, …"
    ),
]
CodeArgument = Annotated[str, typer.Argument(help="The code as this site keeps it.")]


def add_to(node_app: typer.Typer) -> None:
    """Add these verbs to the noun `node`."""
    node_app.add_typer(app, name="labels")


@app.command("list")
def list_(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List what is said of codes; all others mean themselves.

    Example: fairbank node labels list
    """
    from fairbank.database import reading
    from fairbank.federated_jobs.node.labels import words

    with reading(node(ctx).engine) as session:
        rows = [{"label": row.label, "code": row.code, "word": row.word} for row in words(session)]
    show_rows(rows, columns=("label", "code", "word"), format=format, empty="Every code means itself.")


@app.command("set")
def set_(
    ctx: typer.Context,
    label: LabelArgument,
    code: CodeArgument,
    word: Annotated[str, typer.Argument(help="The word that jobs have for it.")],
) -> None:
    """Say what a code means. It counts for workers that are started from now on.

    Example: fairbank node labels set clinical_diagnosis ICD-10:J18.9 pneumonia
    """
    from fairbank.federated_jobs.node.labels import set_word

    set_word(node(ctx), label=label, code=code, word=word, by=getpass.getuser())
    say(f"{code} of {label} means {word} to jobs.")


@app.command()
def remove(ctx: typer.Context, label: LabelArgument, code: CodeArgument) -> None:
    """Have a code mean itself again.

    Example: fairbank node labels remove clinical_diagnosis ICD-10:J18.9
    """
    from fairbank.federated_jobs.node.labels import remove_word

    remove_word(node(ctx), label=label, code=code, by=getpass.getuser())
    say(f"{code} of {label} means itself again.")
