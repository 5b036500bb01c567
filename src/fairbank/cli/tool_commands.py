"""`fairbank tool`: the tools and training plans that can be sent."""

from __future__ import annotations

from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, show_fields, show_rows

app = typer.Typer(no_args_is_help=True, help="List the tools and training plans that can be sent.")


@app.command("list")
def list_tools(format: FormatOption = Format.TABLE) -> None:
    """List the tools that are installed.

    Example: fairbank tool list
    """
    from fairbank.federated_jobs.code import tools

    rows = [
        {
            "name": one.name,
            "family": one.family,
            "version": one.version,
            "kind": one.worker.value,
            "title": one.title,
        }
        for one in tools()
    ]
    show_rows(rows, columns=("name", "family", "version", "kind", "title"), format=format)


@app.command()
def show(
    tool: Annotated[str, typer.Argument(help="Name of the tool.")], format: FormatOption = Format.TABLE
) -> None:
    """Show a tool's digest, options with their ranges, and outputs.

    Example: fairbank tool show slice-autoencoder
    """
    from fairbank.federated_jobs.code import tool_named

    found = tool_named(tool)
    if format is Format.JSON:
        outputs = [output.model_dump(mode="json") for output in found.outputs]
        show_fields(
            {**found.code().model_dump(), "parameters": found.schema(), "outputs": outputs}, format=format
        )
        return
    options = {
        f"option {name}": ", ".join(f"{key} {value}" for key, value in option.items() if key != "title")
        for name, option in found.schema().get("properties", {}).items()
    }
    returned = {f"returns {one.name}": f"{one.output_class.value}, {one.media_type}" for one in found.outputs}
    show_fields({"title": found.title, "digest": found.digest, **options, **returned}, format=format)
