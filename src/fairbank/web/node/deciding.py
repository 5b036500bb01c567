"""What the decisions of a node's pages have in common: who signs, why, and that nothing is missing."""

from __future__ import annotations

from typing import Final

from fairbank.release.people import Signer
from fairbank.web.languages import mark
from fairbank.web.node.desk import Desk
from fairbank.web.node.errors import DecisionIncomplete
from fairbank.web.node.page import Visit

DECISION: Final = "decision"
WHY: Final = "why"
_LONGEST_WHY: Final = 2_000


def signer(desk: Desk, visit: Visit) -> tuple[str, Signer | None]:
    """Return who decides, and the person with the key open; None where nobody is named at the node.

    Raises:
        PersonNeeded, PersonLocked, TooManyTries: as `Desk.signer` does.
    """
    found = desk.signer(visit.form)
    return (found.name if found else visit.account.name), found


def why(visit: Visit, *, needed: bool) -> str:
    """Return the reason that was given.

    Raises:
        DecisionIncomplete: if there is none and one is needed.
    """
    parts = (visit.form.get("reason", "").strip(), visit.form.get(WHY, "").strip())
    text = ": ".join(part for part in parts if part)[:_LONGEST_WHY]
    if needed and not text:
        raise incomplete(
            mark("Say why."), mark("The reason is kept in this node’s audit log, and nowhere else.")
        )
    return text


def incomplete(what: str, why: str) -> DecisionIncomplete:
    """Return the error for a decision that lacks something."""
    return DecisionIncomplete(what, why=why, todo="Add it and sign again; nothing was decided yet.")
