"""What is read from the person: passwords from the keyboard or a 0600 file, files by name or `-`."""

from __future__ import annotations

import sys
from pathlib import Path

from fairbank.cli.errors import NoPassword, UnreadableFile


def password(file: Path | None, *, confirm: bool = False) -> str:
    """Return a password from a file, or ask for it.

    Raises:
        NoPassword: if no file is given and standard input is not a terminal.
    """
    if file is not None:
        return read_text(str(file)).strip()
    if not sys.stdin.isatty():
        raise NoPassword(
            "A password is needed, and this is not a terminal.",
            why="Passwords are never taken from the command line, where others can see them.",
            todo="Write it to a file of mode 0600 and name that with --password-file.",
        )
    import typer

    answer: str = typer.prompt("Password", hide_input=True, confirmation_prompt=confirm)
    return answer


def code() -> str:
    """Return a one-time code that the person types.

    Raises:
        NoPassword: if standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise NoPassword(
            "A one-time code is needed, and this is not a terminal.",
            why="Somebody has to read it from an app.",
            todo="Run the command in a terminal, or name the code with --code where there is that option.",
        )
    import typer

    answer: str = typer.prompt("Code")
    return answer


def read_text(name: str) -> str:
    """Return the text of a file, or of standard input for `-`.

    Raises:
        UnreadableFile: if it is not there or not UTF-8 text.
    """
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as err:
        raise UnreadableFile(
            f"The file {name} cannot be read.",
            why=f"{type(err).__name__}.",
            todo="Check its name and its mode.",
        ) from err


def read_patient_id(name: str) -> str:
    """Return a patient's id from a file, or from standard input for `-`: one line, without space around it.

    Raises:
        UnreadableFile: as `read_text` does.
        typer.BadParameter: if it is empty, or more than a line.
    """
    import typer

    if name == "-" and sys.stdin.isatty():
        sys.stderr.write("The patient's id as the archive has it, then Ctrl-D:\n")
    patient_id = read_text(name).strip()
    if not patient_id or "\n" in patient_id:
        raise typer.BadParameter("the patient's id is one line, and not empty")
    return patient_id


def write_bytes(content: bytes, to: Path) -> None:
    """Write a whole file at once: nobody sees half of it."""
    temporary = to.with_name(to.name + ".part")
    temporary.write_bytes(content)
    temporary.replace(to)
