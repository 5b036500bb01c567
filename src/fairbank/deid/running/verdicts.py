"""What curators decided of groups of held files of one output folder: each decision is kept, the last one holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fairbank.clock import Clock, iso
from fairbank.deid.decisions import DecisionTable, Verdict
from fairbank.deid.errors import NoSuchGroup, NotForAPerson
from fairbank.deid.groups import may_be_discarded, may_be_released, reason_of
from fairbank.deid.running.journal import Journal


@dataclass(frozen=True, slots=True)
class HeldGroup:
    """Held files of which one decision is made.

    Attributes:
        verdict: what was decided last, if anything.
        why: the reason that was given with it.
        one_by_one: on how many of the files something was decided by itself.
    """

    group: str
    reason: str
    files: int
    size: int
    verdict: str | None = None
    why: str | None = None
    agent: str | None = None
    at: str | None = None
    one_by_one: int = 0

    @property
    def is_decided(self) -> bool:
        """Return whether nobody has to look any more."""
        return self.verdict is not None or self.one_by_one >= self.files

    @property
    def may(self) -> tuple[Verdict, ...]:
        """Return what may be decided."""
        return verdicts_for(self.group)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision of a person.

    Args:
        agent: who decides, as a name of the site's own.
        why: in words; must not name anybody, since reports quote it.
    """

    group: str
    verdict: Verdict
    why: str
    agent: str


def verdicts_for(group: str) -> tuple[Verdict, ...]:
    """Return what may be decided of a group.

    >>> [verdict.value for verdict in verdicts_for("undecodable|CT|ACME|X|4x4")]
    ['keep-held', 'discard']
    """
    reason = reason_of(group)
    if reason is None:
        return (Verdict.RELEASE, Verdict.KEEP_HELD, Verdict.DISCARD)
    may = [Verdict.RELEASE] if may_be_released(reason) else []
    may.append(Verdict.KEEP_HELD)
    return tuple([*may, Verdict.DISCARD] if may_be_discarded(reason) else may)


def check_allowed(decision: Decision) -> None:
    """Check that a person may decide so.

    Raises:
        NotForAPerson: if the files are held for a reason that a look cannot settle.
    """
    allowed = verdicts_for(decision.group)
    if decision.verdict not in allowed:
        raise NotForAPerson(
            f"Files of this group cannot be decided with '{decision.verdict}'.",
            why="They are held for a reason that looking at them does not settle.",
            todo=f"Mend the files and run again, or decide {' or '.join(allowed)}.",
        )


def record(journal: Journal, decision: Decision, clock: Clock) -> int:
    """Keep a decision; return how many held files it concerns now. It takes effect with the next run.

    Raises:
        NoSuchGroup: if no file was ever held under that name.
        NotForAPerson: if a person may not decide so.
    """
    concerned = len(journal.of_group(decision.group))
    known = journal.select("select 1 from files where grp = ? limit 1", decision.group)
    decided = journal.select("select 1 from decisions where grp = ? limit 1", decision.group)
    if not known and not decided:
        raise NoSuchGroup(
            "No held file belongs to a group of that name.",
            why="The name is mistyped, or its files are gone.",
            todo="See the groups with 'fairbank deid review list'.",
        )
    check_allowed(decision)
    row = (decision.group, decision.verdict.value, decision.why, decision.agent, iso(clock.now()))
    with journal.writing():
        journal.execute("insert into decisions (grp, verdict, reason, agent, at) values (?,?,?,?,?)", *row)
    return concerned


def current_decisions(journal: Journal) -> DecisionTable:
    """Return the decisions that hold now."""
    return DecisionTable({row["grp"]: Verdict(row["verdict"]) for row in _last(journal)})


def all_decisions(journal: Journal) -> list[dict[str, Any]]:
    """Return all decisions in the order in which they were made: group, verdict, why, agent, at."""
    return journal.select(
        'select grp as "group", verdict, reason as why, agent, at from decisions order by number'
    )


def held_groups(journal: Journal) -> list[HeldGroup]:
    """Return the groups of held files, largest first; files without a group are grouped by their reason."""
    decided = {row["grp"]: row for row in _last(journal)}
    query = (
        "select coalesce(grp, reason) as grp, min(reason) as reason, count(*) as files, sum(size) as size"
        " from files where quarantine is not null group by coalesce(grp, reason) order by files desc, 1"
    )
    return list(_groups(journal.select(query), decided))


def _groups(
    rows: Iterable[Mapping[str, object]], decided: Mapping[str, Mapping[str, str]]
) -> Iterable[HeldGroup]:
    for row in rows:
        last = decided.get(str(row["grp"]))
        told = (last["verdict"], last["reason"], last["agent"], last["at"]) if last else (None,) * 4
        yield HeldGroup(
            str(row["grp"]), str(row["reason"]), int(str(row["files"])), int(str(row["size"])), *told
        )


def _last(journal: Journal) -> list[dict[str, str]]:
    return journal.select(
        "select * from decisions where number in (select max(number) from decisions group by grp) order by grp"
    )
