"""Places that are shared out fairly: so many in all, so many for one caller, in the order of coming.

A caller who holds as many as one may have is passed over, so nobody waits behind another's heap of queries.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_IPV6_SUBSCRIBER_BITS = 64


class Places:
    """A number of places, of which each caller may hold some.

    Args:
        count: how many there are.
        each: how many of them one caller may hold at a time.
    """

    def __init__(self, count: int, *, each: int) -> None:
        self._free = count
        self._each = each
        self._held: Counter[str] = Counter()
        self._waiting: list[_Ticket] = []
        self._changed = threading.Condition()

    @contextmanager
    def held(self, caller: str, *, timeout_s: float) -> Iterator[bool]:
        """Hold a place, waiting for it at most so long; yield False where none came free.

        >>> places = Places(2, each=1)
        >>> with places.held("a", timeout_s=0) as first, places.held("a", timeout_s=0) as second:
        ...     first, second
        (True, False)
        """
        mine = self._take(caller, timeout_s)
        try:
            yield mine
        finally:
            if mine:
                self._give(caller)

    def _take(self, caller: str, timeout_s: float) -> bool:
        ticket = _Ticket(caller)
        with self._changed:
            self._waiting.append(ticket)
            try:
                if not self._changed.wait_for(lambda: self._is_next(ticket), max(timeout_s, 0)):
                    return False
                self._free -= 1
                self._held[caller] += 1
                return True
            finally:
                self._waiting.remove(ticket)
                # Whoever stood behind may be the next now.
                self._changed.notify_all()

    def _give(self, caller: str) -> None:
        with self._changed:
            self._free += 1
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
            self._changed.notify_all()

    def _is_next(self, ticket: _Ticket) -> bool:
        if not self._free:
            return False
        may = (waiting for waiting in self._waiting if self._held[waiting.caller] < self._each)
        return next(may, None) is ticket


@dataclass(frozen=True, slots=True, eq=False)
class _Ticket:
    """One who waits; compared by identity."""

    caller: str


def caller_of(account: str | None, host: str | None) -> str:
    """Return who counts as one caller: an account, or an address; of IPv6 the network that one subscriber has.

    Source: RFC 6177, section 2 (a site is given at least one /64).

    >>> caller_of("rita", "192.0.2.7"), caller_of(None, "192.0.2.7"), caller_of(None, "2001:db8::1:2:3:4")
    ('account rita', 'address 192.0.2.7', 'address 2001:db8::/64')
    """
    if account is not None:
        return f"account {account}"
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return f"address {host}"
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is None:
        return f"address {ipaddress.ip_network((address, _IPV6_SUBSCRIBER_BITS), strict=False)}"
    return f"address {address}"
