"""One move by the table: who may make it, whether its guards hold, and what is written down of it."""

from __future__ import annotations

from sqlalchemy.orm import Session

from fairbank import audit, events
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import NotAllowed, WrongState
from fairbank.catalogue.governance import guards
from fairbank.catalogue.governance.store import LegRow, RequestHistoryRow, RequestRow
from fairbank.catalogue.governance.workflow import REQUEST, Machine, Part, Step
from fairbank.catalogue.governance.workflow_errors import UnknownCommand
from fairbank.signing import sha256_digest

HUB_PART = frozenset({Part.HUB})
HUB_ACTOR = "hub"


def allowed(machine: Machine, state: str, command: str, parts: frozenset[Part]) -> tuple[Part, Step]:
    """Return as which of her parts somebody gives a command in a state, and what follows.

    Raises:
        UnknownCommand: if there is no such command.
        NotAllowed: if none of her parts ever gives it.
        WrongState: if one does, but not in this state.
    """
    for part in Part:
        step = machine.step(state, part, command) if part in parts else None
        if step is not None:
            return part, step
    givers = {part for _, part, each in machine.steps if each == command}
    if not givers:
        raise UnknownCommand(
            "There is no such command.",
            why="What can be done is fixed in a table.",
            todo=f"The commands are: {', '.join(machine.commands())}.",
        )
    if not givers & parts:
        raise NotAllowed(
            f"You may not do this here: {command}.",
            why=f"It is for the {' or '.join(sorted(givers))}.",
            todo="Ask one of them.",
        )
    raise WrongState(
        f"This cannot be done while it is {machine.words.get(state, state).replace('_', ' ')}: {command}.",
        why="What may follow what is fixed, so that a decision stays a decision.",
        todo="Look at the request's history.",
    )


def move_request(
    hub: Hub,
    session: Session,
    request: RequestRow,
    command: str,
    *,
    actor: str,
    parts: frozenset[Part],
    note: str = "",
) -> Step:
    """Give a command to a request as a whole and return what follows; its legs are not touched.

    Raises:
        UnknownCommand, NotAllowed, WrongState: if the table does not have it.
        GuardFails: if something that it needs is not so.
    """
    part, step = allowed(REQUEST, request.state, command, parts)
    guards.check(session, hub, request, None, actor=actor, names=step.guards)
    request.state = step.to
    request.changed = hub.clock.now()
    if command == "pause":
        request.paused_by = actor
    elif command == "resume":
        request.paused_by = None
    write(hub, session, request, None, command=command, actor=actor, part=part, state=step.to, note=note)
    return step


def close_if_over(hub: Hub, session: Session, request: RequestRow) -> None:
    """Close a request all of whose legs have ended."""
    if REQUEST.step(request.state, Part.HUB, "close") is None:
        return
    if guards.GUARDS_BY_NAME["every-leg-ended"](session, hub, request, None, HUB_ACTOR):
        move_request(hub, session, request, "close", actor=HUB_ACTOR, parts=HUB_PART)


def write(
    hub: Hub,
    session: Session,
    request: RequestRow,
    leg: LegRow | None,
    *,
    command: str,
    actor: str,
    part: Part,
    state: str,
    note: str,
) -> None:
    """Write a move into the history and the log, and tell those who listen."""
    now = hub.clock.now()
    session.add(
        RequestHistoryRow(
            id=hub.clock.new_id(),
            request=request.id,
            leg=leg.id if leg is not None else None,
            command=command,
            actor=actor,
            role=part.value,
            state=state,
            note=note,
            at=now,
        )
    )
    # Flushed before the log is written: a row that cannot be stored is found here.
    session.flush()
    subject = leg.id if leg is not None else request.id
    detail = {"request": request.id, "state": state, "role": part.value}
    if leg is not None:
        detail |= {"dataset": leg.dataset}
    # The note is in the history; the log commits to it without repeating it.
    committed = detail | {"version": leg.version if leg is not None else request.version}
    audit.record(
        session,
        audit.HubAudit,
        clock=hub.clock,
        actor=actor,
        act=f"leg.{command}" if leg is not None else f"request.{command}",
        target=subject,
        detail=committed | {"note": sha256_digest(note.encode())},
    )
    events.append(
        session,
        events.HubEvent,
        clock=hub.clock,
        kind="leg.changed" if leg is not None else "request.changed",
        subject=subject,
        detail=detail | {"command": command},
    )
