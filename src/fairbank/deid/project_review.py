"""Review at a node: held files of a project by groups, and decisions on record in the node's database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.clock import Clock, iso
from fairbank.database import reading, writing
from fairbank.deid.errors import NoSuchGroup
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
from fairbank.deid.item_review import decided_one_by_one
from fairbank.deid.running.verdicts import Decision, HeldGroup, check_allowed
from fairbank.deid.store import DecisionRow, ItemRow, last_decisions, record_decision
from fairbank.release.node import Node
from fairbank.release.people import Signer
from fairbank.release.person_decisions import Act, decide
from fairbank.signing import Json


def project_groups(database: Engine, project: str) -> list[HeldGroup]:
    """Return the groups of a project's held files, largest first; sizes are in bytes of the sources."""
    name = func.coalesce(ItemRow.grp, ItemRow.reason)
    query = (
        select(name, func.min(ItemRow.reason), func.count(), func.sum(ItemRow.size))
        .where(ItemRow.project == project, ItemRow.quarantine.is_not(None))
        .group_by(name)
        .order_by(func.count().desc(), name)
    )
    with reading(database) as session:
        decided = last_decisions(session, project)
        single = decided_one_by_one(session, project)
        return [
            HeldGroup(
                group,
                str(reason),
                files,
                int(size or 0),
                *_told(decided.get(group)),
                one_by_one=single.get(group, 0),
            )
            for group, reason, files, size in session.execute(query)
        ]


def project_decisions(database: Engine, project: str) -> list[dict[str, str]]:
    """Return all decisions in the order in which they were made: group, verdict, why, agent, at."""
    query = select(DecisionRow).where(DecisionRow.project == project).order_by(DecisionRow.number)
    with reading(database) as session:
        return [
            {
                "group": row.grp,
                "verdict": row.verdict,
                "why": row.reason,
                "agent": row.agent,
                "at": iso(row.at),
            }
            for row in session.scalars(query)
        ]


def held_names(database: Engine, project: str, group: str) -> list[str]:
    """Return the neutral names of a group's held files."""
    query = select(ItemRow.quarantine).where(
        ItemRow.project == project,
        ItemRow.quarantine.is_not(None),
        func.coalesce(ItemRow.grp, ItemRow.reason) == group,
    )
    with reading(database) as session:
        return [str(name) for name in session.scalars(query.order_by(ItemRow.quarantine))]


def held_projects(database: Engine) -> list[str]:
    """Return the projects of which files are held."""
    query = select(ItemRow.project).where(ItemRow.quarantine.is_not(None)).distinct()
    with reading(database) as session:
        return [str(name) for name in session.scalars(query.order_by(ItemRow.project))]


def held_on_this_machine(node: Node, project: str, group: str) -> list[tuple[str, Path]]:
    """Return neutral name and place of a group's held files that are on this machine."""
    names = held_names(node.engine, project, group)
    home = node.settings.home / IDENTITY_FILE
    with closing(IdentityStore.open_or_create(home, clock=node.clock)) as identity:
        found = [(name, identity.reference(project, name)) for name in names]
    places = [(name, Path(one.reveal())) for name, one in found if one is not None]
    return [(name, path) for name, path in places if path.is_file()]


def decide_at_node(node: Node, project: str, decision: Decision, *, signer: Signer | None) -> int:
    """Keep a decision as one of the node's persons, and return how many held files it concerns now.

    Raises:
        PersonNeeded: if persons are named at the node and none signs.
        NoSuchGroup, NotForAPerson: as `decide_for_project`.
    """

    def sign(session: Session) -> None:
        words: dict[str, Json] = {
            "project": project,
            "group": decision.group,
            "verdict": decision.verdict.value,
            "why": decision.why,
        }
        signed = decide(session, node, Act.GROUP_DECIDE, project, words, signer=signer)
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=decision.agent,
            act=Act.GROUP_DECIDE.value,
            target=project,
            detail={
                "group": decision.group,
                "verdict": decision.verdict.value,
                **({"decision": signed} if signed else {}),
            },
        )

    return decide_for_project(node.engine, project, decision, node.clock, sign=sign)


def decide_for_project(
    database: Engine,
    project: str,
    decision: Decision,
    clock: Clock,
    *,
    sign: Callable[[Session], None] = lambda session: None,
) -> int:
    """Keep a decision; return how many held files it concerns now. It takes effect with the next run or pull.

    Args:
        sign: called in the transaction that keeps it.

    Raises:
        NoSuchGroup: if no file was ever held under that name.
        NotForAPerson: if a person may not decide so.
    """
    concerned = len(held_names(database, project, decision.group))
    known = select(ItemRow.item_key).where(ItemRow.project == project, ItemRow.grp == decision.group)
    with writing(database) as session:
        decided = last_decisions(session, project)
        if decision.group not in decided and session.execute(known.limit(1)).first() is None:
            raise NoSuchGroup(
                "No held file belongs to a group of that name.",
                why="The name is mistyped, or its files are gone.",
                todo="See the groups with 'fairbank deid review list'.",
            )
        check_allowed(decision)
        row = DecisionRow(
            project=project,
            grp=decision.group,
            verdict=decision.verdict.value,
            reason=decision.why,
            agent=decision.agent,
            at=clock.now(),
        )
        sign(session)
        record_decision(session, row)
    return concerned


def _told(row: DecisionRow | None) -> tuple[str | None, str | None, str | None, str | None]:
    return (None,) * 4 if row is None else (row.verdict, row.reason, row.agent, iso(row.at))
