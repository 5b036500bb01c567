"""`fairbank hub`: set up and run the hub; invite nodes, add accounts. These act on the hub in the home folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fairbank.cli import hub_nodes, prompts
from fairbank.cli.listening import listen
from fairbank.cli.output import Format, FormatOption, say, show_fields, show_rows
from fairbank.cli.session import CLOCK, hub, settings

if TYPE_CHECKING:
    from fairbank.catalogue.accounts import Role
    from fairbank.catalogue.context import Hub

app = typer.Typer(no_args_is_help=True, help="Set up and run the hub; invite nodes, add accounts.")
app.add_typer(hub_nodes.keys, name="key")
app.add_typer(hub_nodes.nodes, name="node")
roles_app = typer.Typer(no_args_is_help=True, help="Give and take roles.")
app.add_typer(roles_app, name="role")
OPERATOR = "operator"


@app.command()
def init(
    ctx: typer.Context,
    public_base_iri: Annotated[str, typer.Option(help="Base of all IRIs; it can never change.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Make a hub in the home folder: its root key and its database.

    Example: fairbank --home /srv/hub hub init --public-base-iri https://hub.example.org
    """
    from fairbank.catalogue.context import init_hub

    made = init_hub(settings(ctx), CLOCK, public_base_iri=public_base_iri)
    show_fields(_described(made), format=format)


@app.command()
def show(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Show the hub's base IRI and the fingerprint of its root key.

    Example: fairbank hub show
    """
    show_fields(_described(hub(ctx)), format=format)


@app.command()
def run(ctx: typer.Context) -> None:
    """Run the hub until interrupted.

    Example: fairbank --set hub_port=8470 hub run
    """
    from fairbank.federated_jobs.freed_memory import keep_freed_memory

    # First of all: what is imported next allocates, and the threads that it starts would each get an arena.
    keep_freed_memory(gives_back=True)
    import uvicorn

    from fairbank.web.hub_app import create_app
    from fairbank.web.hub_server import HubServer

    opened = hub(ctx)
    given = opened.settings
    todo = "Stop the other process, or choose another port: fairbank --set hub_port=PORT hub run."
    listener = listen(given.hub_host, given.hub_port, who="The hub", todo=todo)
    port = listener.getsockname()[1]
    say(f"The hub listens at {'https' if given.hub_certificate else 'http'}://{given.hub_host}:{port}")
    config = uvicorn.Config(
        create_app(opened),
        log_level="warning",
        access_log=False,
        ssl_certfile=given.hub_certificate or None,
        ssl_keyfile=given.hub_private_key or None,
        timeout_graceful_shutdown=3,
        proxy_headers=False,
    )

    HubServer(config, notifier=opened.notifier).run(sockets=[listener])


@app.command()
def announce(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """Tell the indexes of FAIR Data Points in the settings of this hub, as a running hub does once a day.

    Example: fairbank --set fdp_index_urls=https://index.example.org/ hub announce
    """
    from fairbank.catalogue import index_ping

    told = index_ping.tell_all(hub(ctx))
    rows = [{"index": each.url, "answer": each.problem or f"told ({each.status})"} for each in told]
    show_rows(rows, columns=("index", "answer"), format=format, empty="No index is set (fdp_index_urls).")
    if any(each.problem for each in told):
        raise typer.Exit(1)


@app.command()
def invite(
    ctx: typer.Context,
    node: Annotated[str | None, typer.Option(help="The only name that may enrol with it.")] = None,
    format: FormatOption = Format.TABLE,
) -> None:
    """Make a one-time token with which a node can enrol.

    Example: fairbank hub invite --node northfield
    """
    from fairbank.catalogue import nodes
    from fairbank.database import writing

    opened = hub(ctx)
    with writing(opened.engine) as session:
        token = nodes.invite(session, opened, actor=OPERATOR, node=node)
    show_fields(
        {
            "token": token,
            "node": node or "any name",
            "days": nodes.INVITATION_DAYS,
            "hub key": opened.key.public.fingerprint,
        },
        format=format,
    )


@app.command()
def nodes(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the nodes that have enrolled.

    Example: fairbank hub nodes
    """
    from dataclasses import asdict

    from fairbank.catalogue import nodes as registry
    from fairbank.database import reading

    with reading(hub(ctx).engine) as session:
        rows = [asdict(entry) for entry in registry.listing(session)]
    columns = ("name", "title", "datasets", "enrolled", "last_seen", "suspended", "key_id")
    show_rows(rows, columns=columns, format=format)


@app.command("shut-out")
def shut_out(ctx: typer.Context, node: Annotated[str, typer.Argument(help="Name of the node.")]) -> None:
    """Stop accepting anything from a node; what it published stays.

    Example: fairbank hub shut-out northfield
    """
    from fairbank.catalogue import nodes as registry
    from fairbank.database import writing

    opened = hub(ctx)
    with writing(opened.engine) as session:
        registry.shut_out(session, opened, node=node, actor=OPERATOR)
    say(f"{node} is shut out.")


@app.command("add-account")
def add_account(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    role: Annotated[
        list[str], typer.Option(help="researcher, curator, committee, admin or auditor; may be repeated.")
    ],
    node: Annotated[list[str] | None, typer.Option(help="What a curator is one of; may be repeated.")] = None,
    organisation: Annotated[str, typer.Option(help="Where the person works.")] = "not stated",
    password_file: Annotated[Path | None, typer.Option(help="File of mode 0600 with the password.")] = None,
) -> None:
    """Make an account.

    Example: fairbank hub add-account ada --role researcher --organisation "University of Example"
    """
    from fairbank.catalogue.accounts import create_account
    from fairbank.database import writing

    opened = hub(ctx)
    word = prompts.password(password_file, confirm=True)
    with writing(opened.engine) as session:
        made = create_account(
            session,
            opened,
            name=name,
            password=word,
            roles=_roles(role),
            nodes=node or (),
            organisation=organisation,
            actor=OPERATOR,
        )
    say(f"The account {made.name} is there.")


@app.command("set-email")
def set_email(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    email: Annotated[str | None, typer.Argument(help="E-mail address; none to end it.")] = None,
) -> None:
    """Say where the notices of an account are sent.

    Example: fairbank hub set-email carla carla@biobank.example.org
    """
    from fairbank.catalogue.governance import addresses
    from fairbank.database import writing

    opened = hub(ctx)
    body = {"schema": "address/1"} | ({"email": email} if email else {})
    address = addresses.Address.parse(body)
    with writing(opened.engine) as session:
        addresses.set_email(session, opened, name=name, address=address, actor=OPERATOR)
    say(
        f"The notices of {name} go to {email}." if email else f"The notices of {name} are kept, and not sent."
    )


@app.command()
def accounts(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List the accounts.

    Example: fairbank hub accounts
    """
    from fairbank.catalogue.accounts import accounts as listing
    from fairbank.database import reading

    with reading(hub(ctx).engine) as session:
        rows = [
            {
                "name": one.name,
                "roles": sorted(one.roles),
                "nodes": sorted(one.scopes),
                "organisation": one.organisation,
                "key": one.key_id,
            }
            for one in listing(session)
        ]
    show_rows(rows, columns=("name", "roles", "nodes", "organisation", "key"), format=format)


@app.command("set-password")
def set_password(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    password_file: Annotated[Path | None, typer.Option(help="File of mode 0600 with the password.")] = None,
) -> None:
    """Give an account a new password; its tokens stop working.

    Example: fairbank hub set-password ada
    """
    from fairbank.catalogue.identity.logins import set_password as change
    from fairbank.database import writing

    opened = hub(ctx)
    word = prompts.password(password_file, confirm=True)
    with writing(opened.engine) as session:
        change(session, opened, name=name, password=word, actor=OPERATOR)
    say(f"{name} has a new password.")


@app.command("reset-password")
def reset_password(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    format: FormatOption = Format.TABLE,
) -> None:
    """Make a one-time code with which somebody sets a new password; her old one and her log-ins end at once.

    Example: fairbank hub reset-password ada
    """
    from fairbank.catalogue.identity.logins import RESET_CODE_HOURS, reset_code
    from fairbank.database import writing

    opened = hub(ctx)
    with writing(opened.engine) as session:
        code = reset_code(session, opened, name=name, actor=OPERATOR)
    show_fields({"account": name, "code": code, "hours": RESET_CODE_HOURS}, format=format)


@app.command("reset-second-factor")
def reset_second_factor(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="Name of the account.")]
) -> None:
    """Take the second factor of an account away, with its recovery codes.

    Example: fairbank hub reset-second-factor ada
    """
    from fairbank.catalogue.identity.logins import find
    from fairbank.catalogue.identity.second_factors import remove
    from fairbank.database import writing

    opened = hub(ctx)
    with writing(opened.engine) as session:
        find(session, name)
        remove(session, opened, name, actor=OPERATOR)
    say(f"{name} has no second factor.")


@app.command("link-account")
def link_account(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    subject: Annotated[str, typer.Option(help="What the provider of identities calls the person (sub).")],
) -> None:
    """Say that an account is whom the provider of identities calls by a subject.

    Example: fairbank hub link-account ada --subject 4b1c0e52-6f3e-4a5e-9d9b-0f2f6d1f3a77
    """
    from fairbank.catalogue.identity.oidc import link
    from fairbank.database import writing

    opened = hub(ctx)
    with writing(opened.engine) as session:
        issuer = opened.settings.oidc_issuer
        link(session, opened, account=name, issuer=issuer, subject=subject, actor=OPERATOR)
    say(f"{name} logs in at {issuer}.")


@roles_app.command("grant")
def grant_role(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    role: Annotated[str, typer.Argument(help="researcher, curator, committee, admin or auditor.")],
    node: Annotated[str | None, typer.Option(help="The node that a curator is one of.")] = None,
) -> None:
    """Give an account a role.

    Example: fairbank hub role grant carla curator --node northfield
    """
    from fairbank.catalogue.governance.membership import account_changed
    from fairbank.catalogue.identity.roles import give
    from fairbank.database import writing

    opened = hub(ctx)
    (wanted,) = _roles([role])
    with writing(opened.engine) as session:
        give(session, opened, account=name, role=wanted, node=node, actor=OPERATOR)
        account_changed(session, opened, name)
    say(f"{name} is {wanted}{f' of {node}' if node else ''}.")


@roles_app.command("revoke")
def revoke_role(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="Name of the account.")],
    role: Annotated[str, typer.Argument(help="researcher, curator, committee, admin or auditor.")],
    node: Annotated[str | None, typer.Option(help="Only for this node.")] = None,
) -> None:
    """Take a role from an account; it works no longer from the next request on.

    Example: fairbank hub role revoke carla curator --node northfield
    """
    from fairbank.catalogue.governance.membership import account_changed
    from fairbank.catalogue.identity.roles import take
    from fairbank.database import writing

    opened = hub(ctx)
    (wanted,) = _roles([role])
    with writing(opened.engine) as session:
        take(session, opened, account=name, role=wanted, node=node, actor=OPERATOR)
        account_changed(session, opened, name)
    say(f"{name} is no longer {wanted}{f' of {node}' if node else ''}.")


@roles_app.command("list")
def list_roles(ctx: typer.Context, format: FormatOption = Format.TABLE) -> None:
    """List who has which role, and for which nodes.

    Example: fairbank hub role list
    """
    from fairbank.catalogue.accounts import accounts as listing
    from fairbank.catalogue.identity.model import OF_NODES
    from fairbank.database import reading

    with reading(hub(ctx).engine) as session:
        rows = [
            {
                "account": one.name,
                "role": role.value,
                "nodes": sorted(one.scopes) if role in OF_NODES else [],
            }
            for one in listing(session)
            for role in sorted(one.roles)
        ]
    show_rows(rows, columns=("account", "role", "nodes"), format=format)


@app.command("log-out")
def log_out(ctx: typer.Context, name: Annotated[str, typer.Argument(help="Name of the account.")]) -> None:
    """End all log-ins of an account, in browsers and on command lines, and the tokens of its programs.

    Example: fairbank hub log-out ada
    """
    from fairbank.catalogue.identity.logins import log_out_everywhere
    from fairbank.database import writing

    opened = hub(ctx)
    with writing(opened.engine) as session:
        ended = log_out_everywhere(session, opened, name=name, actor=OPERATOR, of_programs=True)
    say(
        f"{name} is logged out: {ended.sessions} in browsers, {ended.command_lines} on command lines, "
        f"{ended.tokens} tokens of programs."
    )


@app.command("disable-account")
def disable_account(
    ctx: typer.Context, name: Annotated[str, typer.Argument(help="Name of the account.")]
) -> None:
    """Close an account; its tokens stop working at once.

    Example: fairbank hub disable-account ada
    """
    from fairbank.catalogue.accounts import disable
    from fairbank.catalogue.governance.membership import account_changed
    from fairbank.database import writing

    opened = hub(ctx)
    with writing(opened.engine) as session:
        disable(session, opened, name=name, actor=OPERATOR)
        account_changed(session, opened, name)
    say(f"The account {name} is closed.")


def _roles(words: list[str]) -> list[Role]:
    from fairbank.catalogue.accounts import Role

    known = [role.value for role in Role]
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"{word!r} is not a role; the roles are {', '.join(known)}")
    return [Role(word) for word in words]


@app.command()
def retention(
    ctx: typer.Context,
    apply: Annotated[
        bool, typer.Option("--apply", help="Delete what is due now; a running hub does so by itself.")
    ] = False,
    format: FormatOption = Format.TABLE,
) -> None:
    """Show how long the hub keeps requests, documents, notices, tokens and uploads, and how much is due.

    Example: fairbank hub retention
    """
    from fairbank.catalogue.governance.retention import listing, sweep

    opened = hub(ctx)
    if apply:
        gone = sweep(opened)
        say("Deleted: " + (", ".join(f"{what} {count}" for what, count in gone.items()) or "nothing."))
    rows = [
        {"what": one.what, "days": one.days, "after": one.after, "due": one.due, "setting": one.setting}
        for one in listing(opened)
    ]
    show_rows(rows, columns=("what", "days", "after", "due", "setting"), format=format)


def _described(opened: Hub) -> dict[str, object]:
    return {
        "base IRI": opened.base_iri,
        "key": opened.key.key_id,
        "fingerprint": opened.key.public.fingerprint,
        "home": str(opened.settings.home),
    }
