"""`fairbank login`: log in to the hub and keep a token in the home folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fairbank.cli import prompts
from fairbank.cli.output import Format, FormatOption, say, show_fields
from fairbank.cli.session import api
from fairbank.errors import RemoteError

if TYPE_CHECKING:
    from fairbank.web.api_client import HubApi

app = typer.Typer()
_NEEDS_CODE = "FB-CAT-165"


@app.command()
def login(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Name of your account.")] = None,
    oidc: Annotated[bool, typer.Option("--oidc", help="Log in at your institution, in a browser.")] = False,
    password_file: Annotated[Path | None, typer.Option(help="File of mode 0600 with the password.")] = None,
    code: Annotated[str | None, typer.Option(help="Code of your second factor; asked for if needed.")] = None,
    replace_key: Annotated[
        bool,
        typer.Option(
            "--replace-key", help="Let this computer's key take the place of one that the hub keeps."
        ),
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Log in to the hub, keep the token, and register your signing key.

    Example: fairbank --hub https://hub.example.org login ada
    """
    client = api(ctx)
    if oidc:
        answer = _at_provider(client, code)
    elif name is None:
        raise typer.BadParameter("name your account, or log in at your institution with --oidc")
    else:
        answer = _by_password(client, name, prompts.password(password_file), code)
    if answer.get("limited_to"):
        say(
            "The hub asks for a second factor of your account: set it up with 'fairbank account second-factor'."
        )
        return
    say(f"Logged in to {client.base_url}.")
    key_id = _registered(client, replace=replace_key)
    show_fields(
        {
            "account": answer["account"],
            "roles": answer["roles"],
            "token until": answer["expires"],
            "key": key_id,
        },
        format=format,
    )


def _registered(client: HubApi, *, replace: bool) -> str:
    from fairbank.web.api_client import KeyAtTheHub

    try:
        return client.register_key(replace=replace)
    except KeyAtTheHub as err:
        say(str(err))
        return str(client.whoami()["key"])


def _by_password(client: HubApi, name: str, password: str, code: str | None) -> dict[str, Any]:
    try:
        return client.login(name, password, code=code)
    except RemoteError as err:
        if err.remote_code != _NEEDS_CODE or code is not None:
            raise
        return client.login(name, password, code=prompts.code())


def _at_provider(client: HubApi, code: str | None) -> dict[str, Any]:
    from fairbank.cli.browser_login import log_in

    return client.keep_login(log_in(client, code=code, ask=prompts.code))
