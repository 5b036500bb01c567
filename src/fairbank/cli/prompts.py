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


def write_bytes(content: bytes, to: Path) -> None:
    """Write a whole file at once: nobody sees half of it."""
    temporary = to.with_name(to.name + ".part")
    temporary.write_bytes(content)
    temporary.replace(to)
