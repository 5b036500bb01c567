"""`fairbank account`: your own password, second factor and log-in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairbank.cli import prompts
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import api

app = typer.Typer(no_args_is_help=True, help="Change your password; set up a second factor; log out.")


@app.command()
def password(
    ctx: typer.Context,
    old_file: Annotated[
        Path | None, typer.Option(help="File of mode 0600 with the present password.")
    ] = None,
    new_file: Annotated[Path | None, typer.Option(help="File of mode 0600 with the new one.")] = None,
) -> None:
    """Change your password; all your log-ins and tokens end.

    Example: fairbank account password
    """
    client = api(ctx)
    old = prompts.password(old_file)
    new = prompts.password(new_file, confirm=True)
    client.post("/v1/account/password", {"schema": "new-password/1", "old": old, "new": new}, signed_in=True)
    say("Your password is changed. Log in again.")


@app.command("use-code")
def use_code(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of your account.")],
    code_file: Annotated[Path | None, typer.Option(help="File of mode 0600 with the code.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File of mode 0600 with the password.")] = None,
) -> None:
    """Set a password with the one-time code that the hub's operator gave you.

    Example: fairbank account use-code ada --code-file code.txt
    """
    client = api(ctx)
    code = prompts.password(code_file) if code_file is not None else prompts.code()
    new = prompts.password(password_file, confirm=True)
    client.post("/v1/password", {"schema": "password-reset/1", "name": name, "code": code, "password": new})
    say("Your password is set. Log in with it.")


@app.command("second-factor")
def second_factor(
    ctx: typer.Context,
    show: Annotated[bool, typer.Option("--show", help="Only say whether you have one.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Set up one-time codes of an app on your phone as a second factor.

    Example: fairbank account second-factor
    """
    client = api(ctx)
    state = client.get("/v1/account/second-factor", signed_in=True)
    if show or state["set_up"]:
        show_fields({name: value for name, value in state.items() if name != "schema"}, format=format)
        return
    from fairbank.catalogue.identity.second_factors import Enrolment

    begun = client.post("/v1/account/second-factor", b"", signed_in=True)
    say(Enrolment(begun["secret"], begun["uri"]).terminal())
    say(f"Read it with the app, or type in {begun['secret']}.")
    body = {"schema": "code/1", "code": prompts.code()}
    codes = client.put("/v1/account/second-factor", body, signed_in=True)["codes"]
    say("Keep these where you keep what you must not lose: each works once if the phone is gone.")
    show_rows([{"recovery code": code} for code in codes], columns=("recovery code",), format=format)


@app.command("log-out")
def log_out(
    ctx: typer.Context,
    everywhere: Annotated[
        bool, typer.Option("--everywhere", help="End all your log-ins, in browsers and on other machines.")
    ] = False,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="With --everywhere: also the tokens of your programs.")
    ] = False,
) -> None:
    """End your log-in at the hub and forget its token here.

    Example: fairbank account log-out --everywhere
    """
    if tokens and not everywhere:
        raise typer.BadParameter("--tokens goes with --everywhere; 'fairbank token revoke' ends one of them")
    if not everywhere:
        api(ctx).log_out()
        say("You are logged out.")
        return
    say(f"You are logged out everywhere: {_ended(api(ctx).log_out_everywhere(tokens=tokens))}.")


def _ended(answer: dict[str, Any]) -> str:
    return (
        f"{answer['sessions']} in browsers, {answer['command_lines']} on command lines, "
        f"{answer['tokens']} tokens of programs"
    )
