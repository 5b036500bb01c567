"""Who gives a command at a node: `--as NAME`, and the passphrase that opens that person's key."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.prompts import password

if TYPE_CHECKING:
    from fairbank.release.node import Node
    from fairbank.release.people import Signer
    from fairbank.signing import SigningKey

As = Annotated[
    str, typer.Option("--as", help="Person of this node who decides: 'fairbank node person list'.")
]
PhraseFile = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file", help="File of mode 0600 with the person's passphrase; asked for by default."
    ),
]


def signer(opened: Node, name: str, passphrase_file: Path | None) -> Signer | None:
    """Return the person with the key open; None if nobody was named on the command line."""
    from fairbank.release.people import unlock

    return unlock(opened, name, password(passphrase_file)) if name else None


def needed_signer(opened: Node, name: str, passphrase_file: Path | None) -> Signer:
    """Return the person with the key open, for what only a person can do.

    Raises:
        PersonNeeded: if nobody was named on the command line.
    """
    from fairbank.release.person_decisions import person_needed

    found = signer(opened, name, passphrase_file)
    if found is None:
        raise person_needed()
    return found


def own_key(opened: Node, name: str, key: Path | None, passphrase_file: Path | None) -> SigningKey:
    """Return the key of a person of the node, or one that somebody keeps elsewhere; under a passphrase either way.

    Raises:
        typer.BadParameter: if neither or both are named.
    """
    from fairbank.deid.faces.person_key import person_key

    if bool(name) == (key is not None):
        raise typer.BadParameter("say who you are: --as NAME, or --key FILE for a key that you keep yourself")
    if key is not None:
        return person_key(key, lambda: password(passphrase_file))
    return needed_signer(opened, name, passphrase_file).key
