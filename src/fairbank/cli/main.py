"""The root of the command line: nouns from a static table, loaded only when they are used."""

from __future__ import annotations

import importlib
import logging
import os
import re
import sys
import warnings
from collections.abc import Container
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from fairbank import __version__
from fairbank.cli.interrupts import hear_every_interrupt
from fairbank.errors import FairbankError

_WORD = re.compile(r"[a-z][a-z-]*")
# What typer makes of Ctrl-C.
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun of the command line and the module that holds its verbs.

    Attributes:
        verb: the verb that is meant where none is named; empty: none is.
    """

    name: str
    help: str
    verb: str = ""

    @property
    def module(self) -> str:
        """Return the module whose `app` holds the verbs."""
        return f"fairbank.cli.{self.name}_commands"

    def named(self, words: list[str], verbs: Container[str]) -> list[str]:
        """Return the words after the noun, the verb that is meant put before them.

        A single small word is taken for a verb, known or not: no query looks like that.
        """
        first = words[0] if words else ""
        if not self.verb or first in verbs or first == "--help" or _WORD.fullmatch(first):
            return words
        return [self.verb, *words]


NOUNS = {
    noun.name: noun
    for noun in (
        Noun("demo", "Watch three biobanks go from raw DICOM to a federated model."),
        Noun("hub", "Set up and run the hub; invite nodes, add accounts."),
        Noun("node", "Set up, enrol and run a node; decide which jobs run on its data."),
        Noun("deid", "De-identify collections; look at what was cleaned and what is in quarantine."),
        Noun("harvest", "Connect an archive, index its series, publish what may leave."),
        Noun("dataset", "Define a node's datasets; list and show the datasets of the hub."),
        Noun("catalogue", "See the state of the catalogue; rebuild or export its RDF view."),
        Noun("ontology", "See, look up and export the terms that datasets are described in."),
        Noun("search", "Search the catalogue."),
        Noun("sparql", "Ask the catalogue in SPARQL; serve RDF files.", verb="ask"),
        Noun("request", "Ask for access to datasets."),
        Noun("review", "See what waits for your committee, and vote."),
        Noun("grant", "List, show and revoke what was granted."),
        Noun("committee", "Set up committees, their members and who stands in for them."),
        Noun("job", "Send a job to the biobanks, watch it, fetch its results."),
        Noun("measurements", "See what jobs measured in the datasets that you hold a grant for."),
        Noun("tool", "List the tools and training plans that can be sent; publish and review them."),
        Noun("model", "List and fetch models; see what they were trained on."),
        Noun("audit", "Show, verify, export and compare the audit log."),
        Noun("config", "Show each setting and where it came from."),
        Noun("login", "Log in to the hub and keep a token."),
        Noun("account", "Change your password; set up a second factor; log out."),
        Noun("token", "Make, list and revoke tokens for programs."),
        Noun("whoami", "Show who you are at the hub, and your key."),
    )
}


class LazyNouns(TyperGroup):
    """A group that shows every noun at once but imports a noun's module only when it is called."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        for noun in NOUNS.values():
            self.commands[noun.name] = TyperGroup(name=noun.name, help=noun.help)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Resolve a noun to its real group, importing it."""
        name, stub, rest = super().resolve_command(ctx, args)
        if name not in NOUNS:
            return name, stub, rest
        command = typer.main.get_command(importlib.import_module(NOUNS[name].module).app)
        command.name = name
        return name, command, NOUNS[name].named(rest, getattr(command, "commands", ()))


app = typer.Typer(
    cls=LazyNouns,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Find an imaging collection, get access to it, and run the analysis where the images are.",
)


@app.callback(invoke_without_command=True)
def root(
    ctx: typer.Context,
    home: Annotated[str | None, typer.Option(help="Folder of databases, keys and stores.")] = None,
    hub: Annotated[str | None, typer.Option(help="Address of the hub.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting; see 'config show'.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    """Keep the flags; settings are worked out by the verb that needs them."""
    if version:
        sys.stdout.write(f"fairbank {__version__}\n")
        raise typer.Exit
    ctx.obj = {"home": home, "hub_url": hub, **_named(setting or [])}


def _named(pairs: list[str]) -> dict[str, str]:
    named = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE")
        named[name] = value
    return named


def main() -> NoReturn:
    """Run the command line and exit: 0 fine, 1 failed, 2 misuse, 130 interrupted."""
    _keep_pydicom_quiet()
    hear_every_interrupt()
    try:
        app(standalone_mode=True)
    except KeyboardInterrupt:
        # It fell outside of what typer watches.
        sys.stderr.write("Interrupted.\n")
        raise SystemExit(INTERRUPTED) from None
    except FairbankError as err:
        _print_error(err)
        raise SystemExit(err.kind.exit_code) from None
    except SystemExit as end:
        if end.code == INTERRUPTED:
            sys.stderr.write("Interrupted.\n")
        raise
    except BrokenPipeError:
        # The reader of our output (such as `head`) has seen enough.
        sys.stderr.close()
        raise SystemExit(1) from None
    except OSError as err:
        if os.environ.get("FAIRBANK_DEBUG"):
            raise
        _print_error(_refused(err))
        raise SystemExit(1) from None
    raise SystemExit(0)


def _keep_pydicom_quiet() -> None:
    """Silence its warnings and its log: they quote the values that it wonders about, and those may identify."""
    warnings.filterwarnings("ignore", module=r"pydicom\b")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def _refused(err: OSError) -> FairbankError:
    from fairbank.cli.errors import SystemRefused

    # Not its file name: that may identify somebody.
    return SystemRefused(
        f"The operating system refuses: {err.strerror or type(err).__name__}.",
        why="A folder cannot be written, the disk is full, or a program is missing.",
        todo="Check the home folder ('fairbank config show'), its owner and the free space; "
        "FAIRBANK_DEBUG=1 shows where it happened.",
    )


def _print_error(err: FairbankError) -> None:
    code = getattr(err, "remote_code", None) or err.code
    sys.stderr.write(f"Error {code}: {err.what}\n")
    advice = " ".join(part for part in (err.why, err.todo) if part)
    if advice:
        sys.stderr.write(f"  {advice}\n")
