"""`fairbank node rules` and `node policy`: what this site approves without being asked."""

from __future__ import annotations

import getpass
from datetime import timedelta
from typing import Annotated

import typer

from fairbank.cli.output import Format, FormatOption, say, show_rows
from fairbank.cli.persons import As, PhraseFile, signer
from fairbank.cli.session import CLOCK, node

app = typer.Typer(
    no_args_is_help=True, help="See and sign the file that says what is approved without asking."
)


def add_to(node_app: typer.Typer) -> None:
    """Add these verbs to the noun `node`."""
    node_app.add_typer(app, name="policy")
    node_app.command("add-rule")(add_rule)
    node_app.command("remove-rule")(remove_rule)
    node_app.command()(rules)


@app.command()
def show(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Read the policy file as it is now, and say whether its rules count; what trainings have to keep as well.

    Example: fairbank node policy show
    """
    from fairbank.federated_jobs.node.policy_file import read_policy
    from fairbank.federated_jobs.node.training_rules import training_lines

    found = read_policy(node(ctx))
    columns = (
        "name",
        "requesters",
        "tools",
        "publishers",
        "purposes",
        "datasets",
        "outputs",
        "hold",
        "until",
    )
    rows = [rule.model_dump(mode="json") for rule in (found.policy.allow if found.policy else ())]
    show_rows(rows, columns=columns, format=format, empty=f"No rule in {found.path.name}: every job waits.")
    for line in training_lines(found):
        say(line)
    for peer in found.policy.peer if found.policy else ():
        say(f"Pinned peer {peer.node}: {peer.key}")
    if found.problem is not None:
        raise found.problem


@app.command()
def accept(ctx: typer.Context, as_: As = "", passphrase_file: PhraseFile = None) -> None:
    """Stand behind the policy file as it is now; once persons are named at the node, it counts only so.

    Example: fairbank node policy accept --as ada
    """
    from fairbank.federated_jobs.node.policy_file import accept as stand_behind

    opened = node(ctx)
    found = stand_behind(opened, by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say(f"{len(found.policy.allow) if found.policy else 0} rules count, as they are in {found.digest}.")


def rules(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the rules by which this site approves jobs without being asked.

    Example: fairbank node rules
    """
    from fairbank.federated_jobs.node.rules import pinned_rules

    columns = ("id", "requester_key", "dataset", "code_digest", "code_family", "expires", "made_by")
    rows = [
        {**{column: getattr(one.row, column) for column in columns}, "counts": one.counts or "yes"}
        for one in pinned_rules(node(ctx))
    ]
    empty = "No rule: every job waits for a person."
    show_rows(rows, columns=(*columns, "counts"), format=format, empty=empty)


def add_rule(
    ctx: typer.Context,
    requester_key: Annotated[str, typer.Option(help="Key id of the requester.")],
    dataset: Annotated[str, typer.Option(help="Dataset of this site.")],
    days: Annotated[int, typer.Option(help="For how many days.", min=1)],
    code_digest: Annotated[str | None, typer.Option(help="Digest of one version of a tool.")] = None,
    code_family: Annotated[str | None, typer.Option(help="Family of tools.")] = None,
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Pin a rule: this requester, this code, this dataset are approved without asking.

    Example: fairbank node add-rule --requester-key ed25519:… --dataset ct --days 90 --code-family measurements --as ada
    """
    from fairbank.federated_jobs.node.rules import Rule
    from fairbank.federated_jobs.node.rules import add_rule as pin

    rule = Rule(
        requester_key=requester_key,
        dataset=dataset,
        expires=CLOCK.now() + timedelta(days=days),
        code_digest=code_digest,
        code_family=code_family,
    )
    opened = node(ctx)
    who = signer(opened, as_, passphrase_file)
    say(f"The rule {pin(opened, rule, by=getpass.getuser(), signer=who)} is pinned.")


def remove_rule(
    ctx: typer.Context,
    rule: Annotated[str, typer.Argument(help="Id of the rule.")],
    as_: As = "",
    passphrase_file: PhraseFile = None,
) -> None:
    """Remove a rule; what it approved stays approved.

    Example: fairbank node remove-rule 01a1fdee-cff5-7f63-b5f0-d16d1d20c888
    """
    from fairbank.federated_jobs.node.rules import remove_rule as unpin

    opened = node(ctx)
    unpin(opened, rule, by=getpass.getuser(), signer=signer(opened, as_, passphrase_file))
    say("The rule is gone.")
