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
    ("let somebody set a new password", (O,), "hub reset-password"),
    ("take a second factor away", (O,), "hub reset-second-factor"),
    ("end every log-in of an account", (O,), "hub log-out"),
    ("say who an account is at the provider of identities", (O,), "hub link-account"),
    ("give an account a role", (O,), "hub role grant"),
    ("take a role away", (O,), "hub role revoke"),
    ("list who has which role", (O,), "hub role list"),
    ("close an account", (O,), "hub disable-account"),
    ("change your password", ROLES, "account password"),
    ("set a password with a one-time code", ROLES, "account use-code"),
    ("set up a second factor", ROLES, "account second-factor"),
    ("log out", ROLES, "account log-out"),
    ("make a token for a program", ROLES, "token new"),
    ("list your tokens", ROLES, "token list"),
    ("revoke a token", ROLES, "token revoke"),
    ("set a committee up", (O,), "committee create"),
    ("say what a committee decides about", (O,), "committee scope"),
    ("let somebody sit on a committee", (O,), "committee add-member"),
    ("let somebody leave a committee", (O,), "committee remove-member"),
    ("end a committee", (O,), "committee dissolve"),
    ("list your committees", (K, O), "committee list"),
    ("see a committee's rules and members", (K, O), "committee show"),
    ("see who sits on which committee", (K, O), "committee members"),
    ("try the way of notices to the members", (K, O), "committee test-notice"),
    ("say where your notices are sent", ROLES, "committee address"),
    ("read your notices", ROLES, "committee notices"),
    ("say where an account's notices are sent", (O,), "hub set-email"),
    ("see how long the hub keeps what it was given", (O,), "hub retention"),
    ("invite a biobank", (O,), "hub invite"),
    ("list the nodes", (O,), "hub nodes"),
    ("shut a node out", (O,), "hub shut-out"),
    ("suspend a node", (O,), "hub node suspend"),
    ("let a suspended node take part again", (O,), "hub node resume"),
    ("give the hub another root key", (O,), "hub key rotate"),
    ("make the RDF view anew", (O,), "catalogue rebuild"),
    ("write all that is published to a file", (O,), "catalogue export"),
    ("mirror the Imaging Data Commons", (O,), "catalogue import-idc"),
    ("read the audit log of hub or node", (C, O), "audit show"),
    ("prove that the audit log is whole", (C, O), "audit verify"),
    ("seal the audit log as it is now", (C, O), "audit checkpoint"),
    ("give the audit log to somebody, as entries or as provenance", (C, O), "audit export"),
    ("give the other side what was seen of its audit log", (C, O), "audit anchors"),
    ("find out whether the hub shows everybody the same audit log", (C, O), "audit compare"),
    ("see what does not fit in the other side's audit log", (C, O), "audit alarms"),
    ("let the work go on after an alarm", (C, O), "audit clear"),
    ("make a node", (C,), "node init"),
    ("see the node's name, keys and hub", (C,), "node show"),
    ("name a person who decides at the node", (C,), "node person add"),
    ("see who decides at the node", (C,), "node person list"),
    ("change one's passphrase", (C,), "node person passphrase"),
    ("end a person's say", (C,), "node person retire"),
    ("give the node another key", (C,), "node key rotate"),
    ("let the whole node stand still", (C,), "node pause"),
    ("let it take part again", (C,), "node resume"),
    ("prove the sandbox", (C,), "node check"),
    ("import the patients' consents", (C,), "node consent import"),
    ("see per project who has consented", (C,), "node consent list"),
    ("see how a project's subjects stand", (C,), "node consent show"),
    ("look up single patients' consent", (C,), "node consent check"),
    ("record another legal basis than consent", (C,), "node consent basis"),
    ("see until when images may be used", (C,), "node retention list"),
    ("record until when images may be used", (C,), "node retention set"),
    ("remove a recorded last day of use", (C,), "node retention remove"),
    ("delete images whose time is over", (C,), "node retention apply"),
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
    ("see what a de-identification would do, and how long it takes", (C,), "deid plan"),
    ("de-identify a folder", (C,), "deid run"),
    ("write the report of a de-identification", (C,), "deid report"),
    ("see what is held, by reason and device", (C,), "deid review list"),
    ("look at what a held group shows", (C,), "deid review show"),
    ("decide a held group by a rule", (C,), "deid review decide"),
    ("draw outputs to look at", (C,), "deid review sample"),
    ("note what was seen in them", (C,), "deid review record"),
    ("count what was cleaned and what is held", (C,), "deid status"),
    ("see what is in quarantine, and why", (C,), "deid quarantine"),
    ("read cleaned files a second time", (C,), "deid verify"),
    ("see the facts taken before cleaning", (C,), "deid facts"),
    ("explain what a site's script or recipe leaves", (C,), "deid explain"),
    ("send series to a research archive", (C,), "deid push"),
    ("decide what becomes of faces, signed", (C,), "deid faces set"),
    ("see who decided that", (C,), "deid faces show"),
    ("look for faces among what is stored", (C,), "deid faces look"),
    ("assess how exposed a collection's subjects are", (C,), "deid risk"),
    ("make a key for cleaning folders without a node", (C,), "deid key new"),
    ("give subjects to come another master key", (C,), "deid key rotate"),
    ("list the master keys by their ids", (C,), "deid key list"),
    ("withdraw a subject", (C,), "node withdraw"),
    ("count who is on the suppression list", (C,), "deid suppressions show"),
    ("save the suppression list, encrypted", (C,), "deid suppressions export"),
    ("take a saved suppression list in", (C,), "deid suppressions import"),
    ("keep a patient out of folders cleaned with a key file", (C,), "deid suppressions add"),
    ("make a key to ask and countersign with", (C, O), "deid person key"),
    ("name a person who may ask and countersign", (C,), "deid person add"),
    ("let a person ask and countersign no more", (C,), "deid person remove"),
    ("see who may ask and countersign", (C,), "deid person list"),
    ("keep original ids of a project, encrypted", (C,), "deid links enable"),
    ("keep no original ids of a project", (C,), "deid links disable"),
    ("ask whose pseudonym it is", (C,), "deid reidentify ask"),
    ("countersign that another person asked", (C, O), "deid reidentify approve"),
    ("see whose pseudonym it is, once", (C,), "deid reidentify show"),
    ("see who asked and countersigned", (C, O), "deid reidentify list"),
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
    ("have the pixels of images measured", (C,), "harvest quality measure"),
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
    ("write the record of processing", (C,), "node report gdpr"),
    ("read the bytes that left, or will", (C,), "node content"),
    ("run the node's agent", (C,), "node run"),
    ("see what was granted on the node's data", (C,), "node grants list"),
    ("look at one grant", (C,), "node grants show"),
    ("agree to a grant", (C,), "node grants countersign"),
    ("refuse a grant at the site", (C,), "node grants refuse"),
    ("decide about jobs, outputs and held images in a browser", (C,), "node pages"),
    ("see the jobs that were brought", (C,), "node jobs list"),
    ("look at one job before deciding", (C,), "node jobs show"),
    ("approve a job with the site's key", (C,), "node jobs approve"),
    ("say no to a job", (C,), "node jobs reject"),
    ("take an approval back", (C,), "node jobs withdraw"),
    ("let one job stand still", (C,), "node jobs pause"),
    ("let it go on", (C,), "node jobs resume"),
    ("see what noisy trainings have cost of the budget", (C,), "node jobs budget"),
    ("see how the site stands, and what needs somebody", (C,), "node status"),
    ("read the policy file", (C,), "node policy show"),
    ("stand behind the policy file", (C,), "node policy accept"),
    ("see outputs that are held", (C,), "node outputs"),
    ("let held outputs leave", (C,), "node let-go"),
    ("keep held outputs for good", (C,), "node keep-back"),
    ("approve some jobs by rule", (C,), "node add-rule"),
    ("list the rules", (C,), "node rules"),
    ("remove a rule", (C,), "node remove-rule"),
    ("list what the site's codes mean to jobs that learn a label", (C,), "node labels list"),
    ("say what a code means to such jobs", (C,), "node labels set"),
    ("have a code mean itself again", (C,), "node labels remove"),
    ("see which live counts were asked", (C,), "node counts"),
    ("let a live count be answered", (C,), "node answer-count"),
    ("decline a live count", (C,), "node decline-count"),
    ("ask another site to count the subjects in common", (C,), "node overlap ask"),
    ("answer such a question with this site's blinded set", (C,), "node overlap answer"),
    ("decline to count the subjects in common", (C,), "node overlap decline"),
    ("see what was counted with other sites", (C,), "node overlap list"),
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
    ("get a request as a file to fill in", (R,), "request template"),
    ("begin a draft of a request", (R,), "request new"),
    ("change pieces of a draft", (R,), "request edit"),
    ("attach a document to a request", (R,), "request attach"),
    ("throw a draft away", (R,), "request discard"),
    ("ask for access", (R,), "request submit"),
    ("list requests", (R, K), "request list"),
    ("follow a request", (R, K), "request show"),
    ("see what each version of a request changed", (R, K), "request changes"),
    ("read a document of a request", (R, K), "request document"),
    ("say something about a request", (R, K), "request comment"),
    ("accept the conditions of an approval", (R,), "request accept-conditions"),
    ("refuse the conditions of an approval", (R,), "request refuse-conditions"),
    ("countersign a data-use agreement", (R, K), "request countersign"),
    ("ask for something else, or submit again", (R,), "request amend"),
    ("ask for a later end", (R,), "request renew"),
    ("let a request rest", (R, O), "request pause"),
    ("go on with a paused request", (R, O), "request resume"),
    ("report what came of a project and end it", (R,), "request complete"),
    ("take a request back", (R,), "request withdraw"),
    ("see what waits for your committees", (K,), "review list"),
    ("see all that a member needs to decide", (K,), "review show"),
    ("take an entry up that waits for triage", (K,), "review take"),
    ("put terms to the vote", (K,), "review propose"),
    ("vote on one or more entries", (K,), "review vote"),
    ("propose terms for a request and approve them", (K,), "review approve"),
    ("return an entry for correction, as chair", (K, O), "review return"),
    ("declare a conflict of interest", (K,), "review conflict"),
    ("let somebody vote for you for a period", (K,), "committee delegate"),
    ("appoint a substitute for one entry", (K, O), "review appoint"),
    ("appoint a substitute from the committee's side", (K, O), "committee substitute"),
    ("comment on an entry", (K,), "review comment"),
    ("write one file for a meeting", (K,), "review packet"),
    ("write the letter about a decision", (R, K), "review letter"),
    ("list grants", (R, K), "grant list"),
    ("see what a grant allows", (R, K), "grant show"),
    ("revoke a grant", (K,), "grant revoke"),
    ("take a grant to an archive that reads GA4GH visas", (R,), "grant export"),
    ("list tools and training plans", (R, C), "tool list"),
    ("see a tool's options, outputs and digest, and its review", (R, C), "tool show"),
    ("see which tools fit a dataset, and which datasets a tool", (R, C), "tool matches"),
    ("save a tool's manifest as its publisher sealed it", (C,), "tool save"),
    ("write down what a tool is meant for and how it was tested", (R,), "tool draft"),
    ("seal a tool and submit it for review", (R,), "tool submit"),
    ("see what a tool is reviewed by", (R, C, O), "tool criteria"),
    ("review a tool", (O,), "tool review"),
    ("say that a version of a tool should not be used any more", (R, O), "tool deprecate"),
    ("revoke a version of a tool", (R, O), "tool revoke"),
    ("see the sites of a grant, and which hold alike images", (R,), "job sites"),
    ("choose series, and ask the sites how many there are", (R,), "job new"),
    ("see what sites answered to that", (R,), "job counts"),
    ("try a job on a synthetic cohort", (R,), "job try"),
    ("send a job", (R,), "job submit"),
    ("list one's jobs", (R,), "job list"),
    ("see where a job stands at each site", (R,), "job show"),
    ("follow a job to its end", (R,), "job watch"),
    ("cancel a job", (R,), "job cancel"),
    ("see what a training can choose", (R,), "job plans"),
    ("have a job tried again", (R, O), "job retry"),
    ("let a job wait for others, or go first", (R, O), "job priority"),
    ("see what jobs have cost", (R, O), "job usage"),
    ("fetch the results", (R,), "job results"),
    ("draw what an analysis measured", (R,), "job plot"),
    ("see what protects those whose images are trained on", (R,), "job protections"),
    ("write the report of a training", (R,), "job report"),
    ("write the metrics of a training for TensorBoard", (R,), "job tensorboard"),
    ("see which settings the sites of a training signed", (R,), "job settings"),
    ("see what other jobs have measured", (R,), "measurements query"),
    ("take what jobs have measured as a file", (R,), "measurements export"),
    ("list one's models", (R,), "model list"),
    ("bring a model for jobs", (R,), "model import"),
    ("list the models that one brought", (R,), "model files"),
    ("see what a model was trained on, or its card", (R,), "model show"),
    ("fetch a model with its card, and as ONNX", (R,), "model get"),
    ("fetch a model's weights alone", (R,), "model fetch"),
    ("have the sites measure a model", (R,), "model evaluate"),
    ("withdraw a model", (R, O), "model withdraw"),
    ("put a model into quarantine, or take it out", (O,), "model quarantine"),
    ("train a model anew with its settings", (R,), "model retrain"),
    ("let a model go that failed its release check", (K,), "model release"),
    ("hold a model that failed its release check", (K,), "model hold"),
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
    """A command by its full name, such as `node jobs approve`."""

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
