"""The words for states: no page shows the key of a state.

Each has a name, one sentence, who has to act, what comes next, and how long it usually takes; `state_table` holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Look(StrEnum):
    """How a state looks on a page: the class of its tag. The words say the same without colours."""

    PLAIN = ""
    GOOD = "good"
    WAIT = "wait"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class StateWords:
    """What people read of a state; every text is English and is translated where it is shown.

    Attributes:
        name: in a few words.
        sentence: what it means.
        owner: for whom it waits; empty where nobody has to act.
        next: what comes next.
        usual: how long it usually takes; empty where it does not end by itself.
    """

    name: str
    sentence: str
    owner: str
    next: str
    usual: str = ""
    look: Look = Look.PLAIN
