"""Sites and a hub in one process, whose messages a test can change on their way."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairbank.federated_jobs.secagg.collecting import Collecting
from fairbank.federated_jobs.secagg.fixed_point import Ring
from fairbank.federated_jobs.secagg.messages import Context, roster_digest
from fairbank.federated_jobs.secagg.site import Site
from fairbank.signing import SigningKey

JOB = "01890a5d-ac96-774b-bcce-b302099a8057"
BASE, OTHER_BASE, PLAN = ("sha256:" + letter * 64 for letter in "abc")


class Noted:
    """The rounds that a site has answered in, as a database would keep them."""

    def __init__(self) -> None:
        self.rounds: set[tuple[str, int]] = set()

    def first(self, job: str, number: int) -> bool:
        """Note a round; tell whether it was not noted before."""
        if (job, number) in self.rounds:
            return False
        self.rounds.add((job, number))
        return True


def drawn_from(seed: str) -> Callable[[int], bytes]:
    """Return a source of bytes that are the same each time: the numbered SHA-256 digests of a seed."""
    count = 0

    def draw(length: int) -> bytes:
        nonlocal count
        found = b""
        while len(found) < length:
            found += hashlib.sha256(f"{seed} {count}".encode()).digest()
            count += 1
        return found[:length]

    return draw


class Party:
    """All that take part in the attempts of one job.

    Args:
        seeded: draw the sites' secrets from their names; else from the operating system.
    """

    def __init__(self, count: int, *, length: int = 8, seeded: bool = False, **ring: Any) -> None:
        self.names = [f"site-{number:02d}" for number in range(1, count + 1)]
        self.keys = {name: SigningKey.generate() for name in self.names}
        self.roster = {name: key.key_id for name, key in self.keys.items()}
        self.noted = {name: Noted() for name in self.names}
        self.ring = Ring(**{"bits": 32, "bound": 8.0, "sites": count, **ring})
        self.length, self._seeded = length, seeded
        chance = np.random.default_rng(count)
        self.updates = {name: chance.normal(size=length) for name in self.names}

    def context(self, *, attempt: int = 1, number: int = 1, base: str = BASE) -> Context:
        """Return the context of an attempt."""
        return Context(
            job=JOB,
            round=number,
            attempt=attempt,
            base=base,
            plan=PLAN,
            roster=roster_digest(self.roster),
            length=self.length,
        )

    def site(self, name: str, context: Context | None = None) -> Site:
        """Return a site's part in an attempt."""
        draw = {"draw": drawn_from(name)} if self._seeded else {}
        return Site(
            context or self.context(),
            self.roster,
            node=name,
            key=self.keys[name],
            answers=self.noted[name],
            **draw,
        )

    def hub(self, context: Context | None = None) -> Collecting:
        """Return the hub's part in an attempt."""
        return Collecting(context or self.context(), self.roster, self.ring)

    def summed(self, names: Collection[str]) -> NDArray[np.float64]:
        """Return the real sum of some sites' updates."""
        return np.sum([self.updates[name] for name in sorted(names)], axis=0)


def run(
    party: Party, lost: dict[str, str] | None = None, *, context: Context | None = None
) -> NDArray[np.float64]:
    """Run an attempt to its end and return the sum.

    Args:
        lost: by name of a site the step before which it falls silent: `keys`, `shares`, `masked`, `survivors` or
            `unmasking`.
    """
    lost = lost or {}
    order = ["keys", "shares", "masked", "survivors", "unmasking"]

    def here(step: str) -> list[str]:
        at = order.index(step)
        return [name for name in party.names if name not in lost or order.index(lost[name]) > at]

    sites = {name: party.site(name, context) for name in party.names}
    hub = party.hub(context)
    for name in here("keys"):
        hub.add_keys(sites[name].advertise())
    keys = hub.close_keys()
    for name in here("shares"):
        hub.add_shares(sites[name].share(keys))
    shares = hub.close_shares()
    for name in here("masked"):
        numbers = party.ring.encoded(party.updates[name])
        hub.add_masked(sites[name].mask(shares, numbers), numbers)
    survivors = hub.close_masked()
    for name in here("survivors"):
        hub.add_survivors(sites[name].confirm(survivors))
    signed = hub.close_survivors()
    for name in here("unmasking"):
        hub.add_unmasking(sites[name].unmask(signed))
    return party.ring.decoded(hub.total())
