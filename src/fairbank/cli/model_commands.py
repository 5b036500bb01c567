"""`fairbank model`: models, what they were trained on, their weights, and those that are brought for jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="List, fetch and bring models; see what they were trained on.")
_MODEL = typer.Argument(help="Digest of the model.")


@app.command("list")
def list_models(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List your models, newest first.

    Example: fairbank model list
    """
    rows = api(ctx).get("/v1/models", signed_in=True)["models"]
    columns = (
        "digest",
        "title",
        "round",
        "rounds",
        "final",
        "size_bytes",
        "nodes",
        "withdrawn_subject_in_training",
    )
    show_rows(rows, columns=columns, format=format, empty="No model.")


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A model in ONNX, or a MONAI bundle as zip.", exists=True)],
    format: Annotated[str, typer.Option(help="onnx or monai-bundle; by the file's name by default.")] = "",
) -> None:
    """Bring a model to the hub, for jobs that apply it; it prints the digest that a job names.

    Example: fairbank model import lung-nodules.onnx
    """
    from fairbank.web.acts import bring_model

    brought = bring_model(api(ctx), file, format=format)
    show_fields(brought, format=Format.TABLE)


@app.command()
def files(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the models that you brought for jobs, newest first.

    Example: fairbank model files
    """
    rows = api(ctx).get("/v1/model-files", signed_in=True)["files"]
    columns = ("digest", "name", "format", "size_bytes", "created")
    show_rows(rows, columns=columns, format=format, empty="You brought no model.")


@app.command()
def show(ctx: typer.Context, model: Annotated[str, _MODEL], format: FormatOption = Format.TABLE) -> None:
    """Show a model with its whole provenance: datasets, sites, code, job, visa, request.

    Example: fairbank model show sha256:0123…
    """
    answer = api(ctx).get(f"/v1/models/{model}", signed_in=True)
    inner = answer.pop("model")
    show_fields({**inner, **answer}, format=format)


@app.command()
def fetch(
    ctx: typer.Context,
    model: Annotated[str, _MODEL],
    to: Annotated[Path, typer.Option(help="File to write.")],
) -> None:
    """Fetch a model's weights (safetensors), checked against the digest.

    Example: fairbank model fetch sha256:0123… --to model.safetensors
    """
    say(f"Written: {api(ctx).download(model, to)}")
