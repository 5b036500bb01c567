"""`fairbank node grants`: what committees granted on this node's data, and what its people say to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.persons import As, PhraseFile, needed_signer
from fairbank.cli.session import node

if TYPE_CHECKING:
    from pathlib import Path

    from fairbank.ontology.person_objects import CountersignWord
    from fairbank.release.grants import SiteGrant

app = typer.Typer(
    no_args_is_help=True, help="See what was granted on this node's data; countersign or refuse it."
)
_GRANT = typer.Argument(help="Id or digest of the visa.")
_DATASET = typer.Option(help="One dataset of this node; all that the grant opens by default.")
_REASON = typer.Option(help="Why; it stays at the node.")


@app.command("list")
def list_(
    ctx: typer.Context,
    offline: Annotated[bool, typer.Option("--offline", help="Show what was fetched before.")] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Fetch the grants over this node's datasets, verify them, and list them with what was said to each.

    Example: fairbank node grants list
    """
    from fairbank.release.grants import fetch, grants
    from fairbank.release.hub_client import HubClient

    opened = node(ctx)
    if not offline:
        fetch(opened, HubClient.of(opened))
    rows = [
        {
            "grant": one.visa.id,
            "state": one.state,
            "requester": f"{one.request.requester_account}, {one.request.organisation}",
            "dataset": terms.iri.rpartition("/")[2],
            "until": terms.expires,
            "runs": terms.maximum_runs,
            "this site": _word(one, terms.iri),
        }
        for one in grants(opened)
        for terms in one.here
    ]
    columns = ("grant", "state", "requester", "dataset", "until", "runs", "this site")
    show_rows(rows, columns=columns, format=format, empty="Nothing is granted on this node's data.")


@app.command()
def show(ctx: typer.Context, grant: Annotated[str, _GRANT], format: FormatOption = Format.TABLE) -> None:
    """Show a grant: who asked, for what, on which terms here, and what this site has said.

    Example: fairbank node grants show 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.release.grants import find

    one = find(node(ctx), grant)
    fields: dict[str, object] = {
        "grant": one.visa.id,
        "digest": one.digest,
        "state": one.state,
        "requester": f"{one.request.requester_account}, {one.request.organisation}",
        "requester key": one.visa.requester_key,
        "title": one.request.title,
        "purpose": ", ".join(one.visa.purpose.data_use),
        "statement": one.visa.purpose.statement,
        "replaces": one.visa.supersedes or "nothing",
    }
    for terms in one.here:
        name = terms.iri.rpartition("/")[2]
        tools = [*terms.tool_families, *terms.tool_digests]
        fields |= {
            f"{name}: may leave": [each.value for each in terms.output_classes],
            f"{name}: tools": tools or "any that is installed here",
            f"{name}: conditions": list(terms.conditions),
            f"{name}: runs, until": f"{terms.maximum_runs}, {terms.expires}",
            f"{name}: this site": _word(one, terms.iri),
        }
    show_fields(fields, format=format)


@app.command()
def countersign(
    ctx: typer.Context,
    grant: Annotated[str, _GRANT],
    as_: As,
    dataset: Annotated[str, _DATASET] = "",
    reason: Annotated[str, _REASON] = "looked at",
    passphrase_file: PhraseFile = None,
) -> None:
    """Agree, as a person of this node, to what was granted here; narrower terms later are covered, wider ones not.

    Example: fairbank node grants countersign 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --as ada
    """
    from fairbank.ontology.person_objects import CountersignWord

    _say(
        ctx,
        grant,
        dataset,
        CountersignWord.COUNTERSIGNED,
        as_=as_,
        reason=reason,
        passphrase_file=passphrase_file,
    )


@app.command()
def refuse(
    ctx: typer.Context,
    grant: Annotated[str, _GRANT],
    as_: As,
    reason: Annotated[str, _REASON],
    dataset: Annotated[str, _DATASET] = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Say no to what was granted here: no job runs under it at this site, and what runs stops.

    Example: fairbank node grants refuse 01a1fdee-cff5-7f63-b5f0-d16d1d20c888 --as ada --reason "ethics vote has ended"
    """
    from fairbank.ontology.person_objects import CountersignWord

    _say(
        ctx, grant, dataset, CountersignWord.REFUSED, as_=as_, reason=reason, passphrase_file=passphrase_file
    )


def _say(
    ctx: typer.Context,
    grant: str,
    dataset: str,
    word: CountersignWord,
    *,
    as_: str,
    reason: str,
    passphrase_file: Path | None,
) -> None:
    from fairbank.release import grants

    opened = node(ctx)
    found = grants.find(opened, grant)
    who = needed_signer(opened, as_, passphrase_file)
    wanted = [one.iri for one in found.here if dataset in ("", one.iri, one.iri.rpartition("/")[2])]
    for iri in wanted or [dataset]:
        grants.say(opened, found, iri, word, reason=reason, signer=who)
        say(f"{iri}: {word.value} by {who.name}.")


def _word(grant: SiteGrant, iri: str) -> str:
    word = grant.words[iri]
    return word.value if word is not None else "nothing said"
