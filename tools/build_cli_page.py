"""Write docs/reference/cli.md from the commands of `fairbank` and the table of acts below.

    .venv/bin/python tools/build_cli_page.py

The table says who does what with which command, and is kept by hand; all else is read from the commands. A test
compares the page with what this would write, and asks for each command in the table.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup

from fairbank.cli.main import NOUNS
from fairbank.cli.main import app as root_app

TARGET = Path(__file__).resolve().parent.parent / "docs" / "reference" / "cli.md"
ROLES = ("researcher", "curator", "committee", "operator")
R, C, K, O = ROLES  # noqa: E741  one letter per column keeps the table a table

# What one does · who does it · with which command. In the order of a federation's life.
ACTS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("watch a whole federation on one machine", ROLES, "demo"),
    ("see each setting and where it came from", ROLES, "config show"),
    ("make a hub", (O,), "hub init"),
    ("see the hub's base IRI and key", (O,), "hub show"),
    ("run the hub", (O,), "hub run"),
    ("tell indexes of FAIR Data Points of the hub", (O,), "hub announce"),
    ("open an account", (O,), "hub add-account"),
    ("list the accounts", (O,), "hub accounts"),
    ("give an account a new password", (O,), "hub set-password"),
    ("close an account", (O,), "hub disable-account"),
    ("see who sits on the committee", (K, O), "committee members"),
    ("invite a biobank", (O,), "hub invite"),
    ("list the nodes", (O,), "hub nodes"),
    ("shut a node out", (O,), "hub shut-out"),
    ("make the RDF view anew", (O,), "catalogue rebuild"),
    ("write all that is published to a file", (O,), "catalogue export"),
    ("mirror the Imaging Data Commons", (O,), "catalogue import-idc"),
    ("read the audit log of hub or node", (C, O), "audit show"),
    ("prove that the audit log is whole", (C, O), "audit verify"),
    ("make a node", (C,), "node init"),
    ("see the node's name, keys and hub", (C,), "node show"),
    ("prove the sandbox", (C,), "node check"),
    ("import the patients' consents", (C,), "node consent import"),
    ("see per project who has consented", (C,), "node consent list"),
    ("see how a project's subjects stand", (C,), "node consent show"),
    ("look up single patients' consent", (C,), "node consent check"),
    ("record another legal basis than consent", (C,), "node consent basis"),
    ("remember an archive of any kind", (C,), "node source add"),
    ("list the archives and their options", (C,), "node source list"),
    ("try an archive that was remembered", (C,), "node source check"),
    ("forget an archive", (C,), "node source remove"),
    ("remember an archive", (C,), "harvest add-source"),
    ("list the archives", (C,), "harvest sources"),
    ("try an archive", (C,), "harvest check"),
    ("read what a source states, and keep nothing", (C,), "harvest rehearse"),
    ("pull a project through de-identification", (C,), "harvest pull"),
    ("describe an archive that is de-identified already", (C,), "harvest run"),
    ("see what is there, missing, gone or held", (C,), "harvest status"),
    ("let many series go that have vanished", (C,), "harvest approve-deletions"),
    ("de-identify a folder", (C,), "deid run"),
    ("count what was cleaned and what is held", (C,), "deid status"),
    ("see what is in quarantine, and why", (C,), "deid quarantine"),
    ("see the facts taken before cleaning", (C,), "deid facts"),
    ("withdraw a subject, by pseudonym", (C,), "deid withdraw"),
    ("withdraw a patient, by the archive's id", (C,), "deid withdraw-patient"),
    ("describe a dataset", (C,), "dataset define"),
    ("say what the export profiles ask for", (C,), "dataset describe"),
    ("list the node's own datasets", (C,), "dataset local"),
    ("get a mapping file for clinical variables", (C,), "harvest variables template"),
    ("import clinical variables", (C,), "harvest variables import"),
    ("list a project's clinical variables", (C,), "harvest variables list"),
    ("bring the index up to date", (C,), "harvest index"),
    ("see which series may not be published, and why", (C,), "harvest held"),
    ("accept an archive's own de-identification", (C,), "node source trust"),
    ("see which archives are trusted so", (C,), "node source trusted"),
    ("take that trust back", (C,), "node source distrust"),
    ("look at series one by one", (C,), "harvest series"),
    ("take what people found in images", (C,), "harvest quality import"),
    ("see what a record would say before it leaves", (C,), "harvest preview"),
    ("publish a dataset", (C,), "harvest publish"),
    ("withdraw a dataset for good", (C,), "dataset withdraw"),
    ("introduce the node to a hub", (C,), "node enrol"),
    ("see what waits to leave", (C,), "node outbox list"),
    ("read what would leave, and what is new in it", (C,), "node outbox show"),
    ("let something leave", (C,), "node outbox approve"),
    ("let something wait", (C,), "node outbox hold"),
    ("keep something back for good", (C,), "node outbox withhold"),
    ("send what waits", (C,), "node send"),
    ("see what left", (C,), "node ledger"),
    ("read the bytes that left, or will", (C,), "node content"),
    ("run the node's agent", (C,), "node run"),
    ("see the jobs that were brought", (C,), "node jobs"),
    ("look at one job before deciding", (C,), "node job"),
    ("approve a job with the site's key", (C,), "node approve"),
    ("say no to a job", (C,), "node reject"),
    ("take an approval back", (C,), "node withdraw"),
    ("see outputs that are held", (C,), "node outputs"),
    ("let held outputs leave", (C,), "node let-go"),
    ("keep held outputs for good", (C,), "node keep-back"),
    ("approve some jobs by rule", (C,), "node add-rule"),
    ("list the rules", (C,), "node rules"),
    ("remove a rule", (C,), "node remove-rule"),
    ("log in", (R, K), "login"),
    ("see who the hub takes you for", (R, K), "whoami"),
    ("see what the catalogue holds", (R, C, K, O), "catalogue status"),
    ("see what a dataset's description lacks", (R, C, K, O), "catalogue validate"),
    ("find datasets by words and facets", (R, C, K, O), "search"),
    ("ask the catalogue in SPARQL", (R, C, K, O), "sparql ask"),
    ("see questions that are ready to ask", (R, C, K, O), "sparql examples"),
    ("serve RDF files on one's own machine", (R, C), "sparql serve"),
    ("see the terms that datasets are described in", (R, C, K, O), "ontology show"),
    ("find what a name, code or spelling means", (R, C, K, O), "ontology lookup"),
    ("write the terms as RDF", (R, C, K, O), "ontology export"),
    ("list the datasets of the hub", (R, C, K, O), "dataset list"),
    ("see one dataset", (R, C, K, O), "dataset show"),
    ("see which versions of a dataset there are", (R, C, K, O), "dataset versions"),
    ("ask for access", (R,), "request submit"),
    ("list requests", (R, K), "request list"),
    ("follow a request", (R, K), "request show"),
    ("take a request back", (R,), "request withdraw"),
    ("see the requests that wait", (K,), "review list"),
    ("see how a purpose fits the data-use terms", (K,), "review show"),
    ("take a request up", (K,), "review take"),
    ("grant a request until a date", (K,), "review approve"),
    ("decline a request", (K,), "review decline"),
    ("return a request for correction", (K,), "review return"),
    ("list grants", (R, K), "grant list"),
    ("see what a grant allows", (R, K), "grant show"),
    ("revoke a grant", (K,), "grant revoke"),
    ("list tools and training plans", (R, C), "tool list"),
    ("see a tool's options, outputs and digest", (R, C), "tool show"),
    ("send a job", (R,), "job submit"),
    ("list one's jobs", (R,), "job list"),
    ("see where a job stands at each site", (R,), "job show"),
    ("follow a job to its end", (R,), "job watch"),
    ("cancel a job", (R,), "job cancel"),
    ("fetch the results", (R,), "job results"),
    ("list one's models", (R,), "model list"),
    ("see what a model was trained on", (R,), "model show"),
    ("fetch a model's weights", (R,), "model fetch"),
)

_HEAD = """\
# The command line

Generated from the code by `tools/build_cli_page.py`; change it there.

`fairbank NOUN VERB`. Results go to standard output, everything else to standard error. `--format table`, `json`
or `csv` says how results are printed. Exit codes: 0 fine, 1 failed, 2 misuse, 130 interrupted. A failure prints a
code with [a page of its own](../errors/index.md). The commands of a hub or a node act on the home folder of that hub
or node, on its own machine; the others speak to the hub over HTTP.

## Who does what

*Researcher*: looks for collections and sends jobs. *Curator*: runs a biobank's node and decides what runs and what
leaves. *Committee*: decides requests. *Operator*: runs the hub.

"""


@dataclass(frozen=True, slots=True)
class Verb:
    """A command by its full name, such as `node approve`."""

    name: str
    command: TyperCommand


def verbs() -> Iterator[Verb]:
    """Yield every command, in the order of the nouns."""
    for noun in NOUNS.values():
        yield from _verbs(noun.name, typer.main.get_command(importlib.import_module(noun.module).app))


def _verbs(name: str, command: object) -> Iterator[Verb]:
    if isinstance(command, TyperGroup):
        for verb, below in command.commands.items():
            yield from _verbs(f"{name} {verb}", below)
    else:
        assert isinstance(command, TyperCommand)
        yield Verb(name, command)


def cli_page() -> str:
    """Return the Markdown of the page."""
    parts = [_HEAD, *_acts(), "\n## Options before the noun\n\n", *_table(_root())]
    noun = ""
    for verb in verbs():
        if verb.name.split()[0] != noun:
            noun = verb.name.split()[0]
            parts.append(f"\n## fairbank {noun}\n\n{NOUNS[noun].help}\n")
        parts += _verb(verb)
    return "".join(parts)


def options(command: TyperCommand | TyperGroup) -> list[str]:
    """Return the names of a command's options, such as `--format`, without `--help`."""
    return [name for one in command.params if not isinstance(one, TyperArgument) for name in one.opts]


def example(command: TyperCommand) -> str:
    """Return the example of a command's help, in one line."""
    return " ".join((command.help or "").partition("Example:")[2].split())


def _acts() -> Iterator[str]:
    yield f"| act | {' | '.join(ROLES)} | command |\n|---|{':-:|' * len(ROLES)}---|\n"
    for act, roles, command in ACTS:
        marks = " | ".join("●" if role in roles else " " for role in ROLES)
        yield f"| {act} | {marks} | [`{command}`](#fairbank-{command.replace(' ', '-')}) |\n"


def _verb(verb: Verb) -> Iterator[str]:
    if " " in verb.name:
        yield f"\n### fairbank {verb.name}\n\n{_sentence(verb.command)}\n"
    yield f"\n    {_usage(verb)}\n"
    yield from ["\n", *rows] if (rows := list(_table(verb.command))) else []
    yield f"\nExample: `{example(verb.command)}`\n"


def _sentence(command: TyperCommand) -> str:
    return " ".join((command.help or "").partition("Example:")[0].split())


def _usage(verb: Verb) -> str:
    words = [f"fairbank {verb.name}"]
    arguments = [one for one in verb.command.params if isinstance(one, TyperArgument)]
    words += [_name(one) if one.required else f"[{_name(one)}]" for one in arguments]
    needed = [one for one in verb.command.params if one not in arguments and one.required]
    words += [f"{one.opts[0]} {_name(one)}" for one in needed]
    if any(not _everywhere(one) for one in verb.command.params if one not in (*arguments, *needed)):
        words.append("[OPTIONS]")
    if "--format" in options(verb.command):
        words.append("[--format FORMAT]")
    return " ".join(words)


def _table(command: TyperCommand | TyperGroup) -> Iterator[str]:
    rows = [_row(one) for one in command.params if not _everywhere(one)]
    if rows:
        yield "| argument or option | what it is |\n|---|---|\n"
        yield from rows


def _row(one: Any) -> str:
    shown = _name(one) if isinstance(one, TyperArgument) else ", ".join(one.opts)
    if not isinstance(one, TyperArgument) and not one.is_flag:
        shown += f" {_name(one)}"
    notes = ["required"] if one.required else []
    if isinstance(one.default, (int, str)) and not isinstance(one.default, bool) and one.default != "":
        notes.append(f"default `{getattr(one.default, 'value', one.default)}`")
    note = f" ({', '.join(notes)})" if notes else ""
    return f"| `{shown}` | {(one.help or '').replace('|', '/')}{note} |\n"


def _name(one: Any) -> str:
    return str(one.metavar or one.name).upper().replace("_", "-")


def _everywhere(one: Any) -> bool:
    return not {"--format", "--help", "--install-completion", "--show-completion"}.isdisjoint(one.opts)


def _root() -> TyperGroup:
    root = typer.main.get_command(root_app)
    assert isinstance(root, TyperGroup)
    return root


def main() -> None:
    """Write the page."""
    TARGET.write_text(cli_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
