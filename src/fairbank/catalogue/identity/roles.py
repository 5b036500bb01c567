"""Giving and taking roles; a curator's is given for nodes."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import AccountRefused
from fairbank.catalogue.identity.errors import RoleRefused
from fairbank.catalogue.identity.model import OF_NODES, Role
from fairbank.catalogue.identity.store import RoleScopeRow
from fairbank.catalogue.store import AccountRow, NodeRow


def give(
    session: Session, hub: Hub, *, account: str, role: Role, node: str | None = None, actor: str
) -> None:
    """Give an account a role; again is fine.

    Args:
        node: the node, for a role that is given for nodes.

    Raises:
        AccountRefused: if there is no such account.
        RoleRefused: if the node is missing, unknown or has no place, or an auditor would get to change things.
    """
    row = _row(session, account)
    _check_node(session, role, node)
    held = {Role(each) for each in row.roles}
    check_alone(role, among=held)
    row.roles = sorted(each.value for each in held | {role})
    if node is not None and session.get(RoleScopeRow, (account, role.value, node)) is None:
        session.add(
            RoleScopeRow(account=account, role=role.value, node=node, given_by=actor, since=hub.clock.now())
        )
        session.flush()
    _audit(session, hub, "role.give", account, role, node, actor)


def take(
    session: Session, hub: Hub, *, account: str, role: Role, node: str | None = None, actor: str
) -> None:
    """Take a role from an account: for one node, or altogether.

    Raises:
        AccountRefused: if there is no such account.
        RoleRefused: if the account does not have it, or is the last administrator's.
    """
    row = _row(session, account)
    scopes = set(nodes_of(session, account, role))
    if role.value not in row.roles or (node is not None and node not in scopes):
        raise RoleRefused(
            f"The account {account!r} does not have this role{f' for {node}' if node else ''}.",
            why="What is not there cannot be taken.",
            todo="See 'fairbank hub role list'.",
        )
    if role is Role.ADMIN:
        check_not_last(session, account)
    gone = delete(RoleScopeRow).where(RoleScopeRow.account == account, RoleScopeRow.role == role.value)
    session.execute(gone.where(RoleScopeRow.node == node) if node is not None else gone)
    if node is None or scopes == {node}:
        row.roles = sorted(set(row.roles) - {role.value})
    _audit(session, hub, "role.take", account, role, node, actor)


def check_not_last(session: Session, account: str) -> None:
    """Refuse to leave the hub without an administrator.

    Raises:
        RoleRefused: if the account is the only one, of those that are not shut, that administers the hub.
    """
    rows = session.execute(select(AccountRow.name, AccountRow.roles).where(AccountRow.disabled.is_(None)))
    admins = {name for name, held in rows if Role.ADMIN.value in held}
    if admins == {account}:
        raise RoleRefused(
            f"{account!r} is the last administrator of this hub.",
            why="Without one nobody could let anybody in again.",
            todo="Make somebody else an administrator first.",
        )


def check_alone(role: Role, *, among: Collection[Role]) -> None:
    """Refuse a role beside others that it does not go together with.

    Raises:
        RoleRefused: if an auditor would be more than an auditor.
    """
    together = {role, *among}
    if Role.AUDITOR in together and together != {Role.AUDITOR}:
        raise RoleRefused(
            "An auditor has no other role.",
            why="Whoever watches what is done does not do it.",
            todo="Make a second account for the person's other work.",
        )


def nodes_of(session: Session, account: str, role: Role) -> list[str]:
    """Return the nodes that an account has a role for, by name."""
    statement = select(RoleScopeRow.node).where(
        RoleScopeRow.account == account, RoleScopeRow.role == role.value
    )
    return list(session.scalars(statement.order_by(RoleScopeRow.node)))


def curators_of(session: Session, node: str) -> list[str]:
    """Return the accounts that curate a node, by name."""
    statement = (
        select(RoleScopeRow.account)
        .join(AccountRow, AccountRow.name == RoleScopeRow.account)
        .where(
            RoleScopeRow.role == Role.CURATOR.value,
            RoleScopeRow.node == node,
            AccountRow.disabled.is_(None),
        )
    )
    return list(session.scalars(statement.order_by(RoleScopeRow.account)))


def _check_node(session: Session, role: Role, node: str | None) -> None:
    if role not in OF_NODES:
        if node is not None:
            raise RoleRefused(
                f"The role {role.value!r} is not given for a node.",
                why=f"Only {', '.join(sorted(OF_NODES))} is; what a committee decides about follows from its scope.",
                todo="Leave --node out.",
            )
        return
    if node is None or session.get(NodeRow, node) is None:
        raise RoleRefused(
            f"The role {role.value!r} is given for a node that has enrolled.",
            why="A curator speaks for named biobanks, never for all.",
            todo="Name one with --node; 'fairbank hub nodes' lists them.",
        )


def _row(session: Session, account: str) -> AccountRow:
    row = session.get(AccountRow, account, with_for_update=True)
    if row is None:
        raise AccountRefused(f"There is no account {account!r}.", why="", todo="Check the name.")
    return row


def _audit(
    session: Session, hub: Hub, act: str, account: str, role: Role, node: str | None, actor: str
) -> None:
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act=act,
        target=account,
        detail={"role": role.value, "node": node},
    )
