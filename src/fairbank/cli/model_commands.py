"""`fairbank model`: models, what they were trained on, how they do, their files, and those brought for jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(
    no_args_is_help=True, help="List, fetch, evaluate and bring models; see what they were trained on."
)
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
        "version",
        "state",
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
    file: Annotated[
        Path,
        typer.Argument(
            help="A model in ONNX, a MONAI bundle as zip, or weights as safetensors.", exists=True
        ),
    ],
    format: Annotated[
        str, typer.Option(help="onnx, monai-bundle or safetensors; by the file's name by default.")
    ] = "",
) -> None:
    """Bring a model to the hub, for jobs that apply it, train it, or start from it; it prints the digest to name.

    Example: fairbank model import lung-nodules.onnx

    Example: fairbank model import spleen.zip
    """
    from fairbank.web.acts import bring_model

    brought = bring_model(api(ctx), file, format=format)
    show_fields(brought, format=Format.TABLE)


@app.command()
def files(
    ctx: typer.Context,
    model: Annotated[str | None, typer.Argument(help="Digest of one, to see what it holds.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """List the models that you brought for jobs, newest first; or show one, of a bundle with all that it names.

    Example: fairbank model files

    Example: fairbank model files sha256:0123…
    """
    if model is not None:
        show_fields(api(ctx).get(f"/v1/model-files/{model}", signed_in=True), format=format)
        return
    rows = api(ctx).get("/v1/model-files", signed_in=True)["files"]
    columns = ("digest", "name", "format", "size_bytes", "created")
    show_rows(rows, columns=columns, format=format, empty="You brought no model.")


@app.command()
def show(
    ctx: typer.Context,
    model: Annotated[str, _MODEL],
    card: Annotated[bool, typer.Option("--card", help="Print the card, as Markdown.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show a model with its whole provenance: datasets, sites, code, job, visa, request; or its card.

    Example: fairbank model show sha256:0123… --card
    """
    client = api(ctx)
    if card:
        import sys

        from fairbank.federated_jobs.reports.card import markdown
        from fairbank.web.model_files import card_of

        sys.stdout.write(markdown(card_of(client, model)[0]))
        return
    answer = client.get(f"/v1/models/{model}", signed_in=True)
    inner = answer.pop("model")
    show_fields({**inner, **answer}, format=format)


@app.command()
def get(
    ctx: typer.Context,
    model: Annotated[str, _MODEL],
    to: Annotated[Path, typer.Option(help="New folder to write.")],
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Also write the model as ONNX, if both compute the same.")
    ] = False,
) -> None:
    """Fetch a model: weights (safetensors), card, metrics; the hub's seal and all digests are checked first.

    Example: fairbank model get sha256:0123… --to denoiser --onnx
    """
    from fairbank.web.model_files import WEIGHTS, fetch_model

    fetched = fetch_model(api(ctx), model, to)
    say(f"Written: {', '.join(sorted(file.name for file in fetched.files))} in {fetched.folder}")
    if onnx:
        from fairbank.federated_jobs.algorithms.onnx_files import write_onnx

        check = write_onnx(fetched.card.code.name, fetched.card.parameters, to / WEIGHTS, to / "model.onnx")
        say(f"Written: model.onnx; the largest difference in {check.inputs} inputs is {check.largest:.2g}")


@app.command()
def fetch(
    ctx: typer.Context,
    model: Annotated[str, _MODEL],
    to: Annotated[Path, typer.Option(help="File to write.")],
) -> None:
    """Fetch a model's weights alone, checked against the digest; `fairbank model get` fetches them with their card.

    Example: fairbank model fetch sha256:0123… --to model.safetensors
    """
    say(f"Written: {api(ctx).download(model, to)}")


@app.command()
def evaluate(
    ctx: typer.Context,
    model: Annotated[str, _MODEL],
    grant: Annotated[str, typer.Option(help="Id of the grant, or of the request it answers.")],
    *,
    dataset: Annotated[list[str] | None, typer.Option(help="IRI; all of the grant's by default.")] = None,
    quorum: Annotated[
        int | None, typer.Option(help="Sites that must deliver; all by default.", min=1)
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="mean, weighted or worst-site; that of its training by default.")
    ] = None,
    combine: Annotated[
        str | None,
        typer.Option(
            help="mean or vote: measure the ensemble that the model is of, its predictions put together."
        ),
    ] = None,
    by_group: Annotated[
        bool, typer.Option("--by-group", help="Also by sex, age and maker, where a site may.")
    ] = False,
    release_check: Annotated[
        bool, typer.Option("--release-check", help="Also how much it remembers of what it was trained on.")
    ] = False,
    shadows: Annotated[
        int, typer.Option(help="Of a release check: models each site trains to compare with, 8 and more.")
    ] = 0,
    shadow_passes: Annotated[int, typer.Option(help="Passes that each of these makes.", min=1)] = 20,
    format: FormatOption = Format.TABLE,
) -> None:
    """Have the sites measure a model, or an ensemble, on their held-out subjects; nothing is trained.

    Example: fairbank model evaluate sha256:0123… --grant 01a1fdee-cff5-7f63-b5f0-d16d1d20c888

    Example: fairbank model evaluate sha256:0123… --grant 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --combine vote
    """
    from fairbank.federated_jobs.errors import OptionRefused
    from fairbank.federated_jobs.release_check import Wish
    from fairbank.ontology.signed_objects import Objective
    from fairbank.web.model_files import evaluate_model

    if objective is not None and objective not in set(Objective):
        raise OptionRefused(
            f"There is no objective {objective!r}.",
            why=f"There are: {', '.join(Objective)}.",
            todo="Choose one of them.",
        )
    if combine not in (None, "mean", "vote"):
        raise OptionRefused(
            f"Predictions cannot be put together by {combine!r}.",
            why="There are: mean, vote.",
            todo="Choose one of them.",
        )
    chosen = Objective(objective) if objective is not None else None
    wish = Wish(shadows, shadow_passes) if release_check or shadows else None
    _, answer = evaluate_model(
        api(ctx),
        model,
        grant=grant,
        datasets=dataset,
        quorum=quorum,
        objective=chosen,
        combine=combine,
        by_group=by_group,
        release_check=wish,
    )
    show_fields({"id": answer["id"], "state": answer["state"]}, format=format)
    say(f"Watch it with: fairbank job watch {answer['id']}")
    say(f"See its numbers with: fairbank job report {answer['id']}")


@app.command()
def withdraw(ctx: typer.Context, model: Annotated[str, _MODEL]) -> None:
    """Withdraw a model for good: its weights are handed to nobody, and no job starts from it.

    Example: fairbank model withdraw sha256:0123…
    """
    body = {"schema": "model-state/1", "state": "withdrawn"}
    say(f"The model is {api(ctx).post(f'/v1/models/{model}/state', body, signed_in=True)['state']}.")


@app.command()
def quarantine(
    ctx: typer.Context,
    model: Annotated[str, _MODEL],
    lift: Annotated[bool, typer.Option("--lift", help="Take it out of quarantine.")] = False,
) -> None:
    """Put a model into quarantine, or take it out; administrators of the hub only.

    Example: fairbank model quarantine sha256:0123…
    """
    body = {"schema": "model-state/1", "state": "registered" if lift else "quarantined"}
    say(f"The model is {api(ctx).post(f'/v1/models/{model}/state', body, signed_in=True)['state']}.")


@app.command()
def retrain(
    ctx: typer.Context,
    model: Annotated[str, _MODEL],
    grant: Annotated[
        str | None, typer.Option(help="Id of the grant, or of its request: send the job, too.")
    ] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Print the settings that a model was trained with, or train it anew with them, without who was withdrawn since.

    Example: fairbank model retrain sha256:0123…

    Example: fairbank model retrain sha256:0123… --grant 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.web.model_files import retrain_model

    recipe, answer = retrain_model(api(ctx), model, grant=grant)
    if recipe["starts_from"] is not None:
        say(
            "It started from another model, which may have been trained on the same person: see 'fairbank model show'."
        )
    if answer is None:
        show_fields(recipe, format=format)
        say("Send it with: fairbank model retrain MODEL --grant GRANT")
        return
    show_fields({"id": answer["id"], "state": answer["state"]}, format=format)
    say(f"Watch it with: fairbank job watch {answer['id']}")


_BECAUSE = typer.Option(help="Why, in a sentence; it is kept with the decision.")


@app.command()
def release(ctx: typer.Context, model: Annotated[str, _MODEL], because: Annotated[str, _BECAUSE]) -> None:
    """Vote that a model that failed its release check may be handed out; committees of its datasets only.

    Example: fairbank model release sha256:0123… --because "The set is public, and nobody in it is known."
    """
    _decide(ctx, model, "release", because)


@app.command()
def hold(ctx: typer.Context, model: Annotated[str, _MODEL], because: Annotated[str, _BECAUSE]) -> None:
    """Vote that a model that failed its release check stays held; committees of its datasets only.

    Example: fairbank model hold sha256:0123… --because "It tells too well who was in it; train it anew with noise."
    """
    _decide(ctx, model, "hold", because)


def _decide(ctx: typer.Context, model: str, decision: str, because: str) -> None:
    body = {"schema": "release-vote/1", "decision": decision, "because": because}
    stands = api(ctx).post(f"/v1/models/{model}/release", body, signed_in=True)
    waits = ", ".join(stands["waits_for"])
    decided = stands.get("decision") or f"not decided; it waits for {waits}"
    say(f"Your vote is kept. The model is: {decided}.")
