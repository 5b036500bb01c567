"""The desk of a node: who sits there since when, and which forms were sent. All of it is forgotten when it is closed.

A session begins with a link that works once, printed where the pages were started. Where persons are named at the node,
it begins with the name and passphrase of one; after five minutes without a request it shows nothing more until the same
is given again.
"""

from __future__ import annotations

import getpass
import hashlib
import hmac
import secrets
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final

from fairbank.clock import Clock
from fairbank.database import reading
from fairbank.errors import told
from fairbank.federated_jobs.node.cohort import CohortSource, harvest_index
from fairbank.release.errors import NoSuchPerson, PersonLocked, PersonNeeded, PersonRetired
from fairbank.release.node import Node
from fairbank.release.people import Signer, people, unlock
from fairbank.web.node.ahead import Ahead
from fairbank.web.node.errors import LinkSpent, TooManyTries
from fairbank.web.node.marks import Marks
from fairbank.web.pages.visits import Fields

IDLE: Final = timedelta(minutes=5)
LONGEST: Final = timedelta(hours=12)
LINK_LIVES: Final = timedelta(minutes=15)
NAME_FIELD: Final = "person"
PHRASE_FIELD: Final = "passphrase"
# What is never put back into a form.
SECRET_FIELDS: Final = (PHRASE_FIELD, "csrf", "once", "link", "next")
_MOST_TRIES, _TRIES_IN = 8, timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Sitting:
    """A session.

    Attributes:
        name: the person, or this machine's user where nobody is named at the node.
        is_person: whether `name` is a person of the node.
        proof: what every form of the session carries.
        is_blank: whether nothing may be shown until the passphrase is given again.
    """

    name: str
    is_person: bool
    proof: str
    begun: datetime
    seen: datetime
    is_blank: bool = False


@dataclass(slots=True)
class SentForms:
    """Tokens that work once, as `once` asks for them: proven with a secret of this start of the pages."""

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _used: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def proof(self, text: str) -> str:
        """Return a proof of a text that nobody else can make."""
        return hmac.new(self.secret, text.encode(), hashlib.sha256).hexdigest()

    def begin(self, name: str, who: str, *, now: datetime, ends: datetime) -> str | None:
        """Note that a token is used; where it was used already, return where that led."""
        with self._lock:
            self._used = {key: told for key, told in self._used.items() if told[0] > now}
            if name in self._used:
                return self._used[name][1]
            self._used[name] = (ends, "")
            return None

    def finish(self, name: str, address: str) -> None:
        """Note where a token has led."""
        with self._lock:
            self._used[name] = (self._used[name][0], address)

    def forget(self, name: str) -> None:
        """Let a token be used again."""
        with self._lock:
            self._used.pop(name, None)


@dataclass(slots=True)
class Desk:
    """A node with its pages open."""

    node: Node
    source: CohortSource = harvest_index
    user: str = field(default_factory=getpass.getuser)
    forms: SentForms = field(default_factory=SentForms)
    marks: Marks = field(default_factory=Marks)
    ahead: Ahead = field(default_factory=Ahead)
    # Files of a group that somebody was just shown, so that forty small pictures do not look them up forty times.
    shown: dict[str, tuple[datetime, tuple[Any, ...]]] = field(default_factory=dict, repr=False)
    _links: dict[str, datetime] = field(default_factory=dict, repr=False)
    _sittings: dict[str, Sitting] = field(default_factory=dict, repr=False)
    _wrong: deque[datetime] = field(default_factory=deque)
    _lock: Lock = field(default_factory=Lock)

    @property
    def clock(self) -> Clock:
        """Return the node's clock."""
        return self.node.clock

    @property
    def cookie(self) -> str:
        """Return the name of the cookie, which names the node: browsers send cookies to every port of a machine."""
        return f"__Host-fairbank-node-{self.node.name}"

    def opaque(self, *parts: str) -> str:
        """Return a name for addresses that tells nothing of what it stands for; it ends with these pages."""
        return self.forms.proof("\n".join(("name", *parts)))[:24]

    def has_people(self) -> bool:
        """Tell whether somebody who may decide is named at the node."""
        with reading(self.node.engine) as session:
            return any(one.is_active for one in people(session, self.node))

    def link(self) -> str:
        """Return a new secret that begins one session."""
        secret = secrets.token_urlsafe(24)
        with self._lock:
            self._links[_digest(secret)] = self.clock.now() + LINK_LIVES
        return secret

    def begin(self, link: str, form: Fields) -> str:
        """Begin a session and return its secret.

        Raises:
            LinkSpent: if the link cannot be used.
            TooManyTries, PersonNeeded, FairbankError: as `signer` does; the link stays usable.
        """
        now, name = self.clock.now(), _digest(link)
        if self._links.get(name, now) <= now:
            raise LinkSpent(
                "This link cannot be used any more.",
                why="It works once, for a quarter of an hour, and only while the pages run that printed it.",
                todo="Press Enter where 'fairbank node pages' runs: it prints a new one.",
            )
        who = self.signer(form)
        secret = secrets.token_urlsafe(32)
        with self._lock:
            if self._links.pop(name, None) is None:
                raise LinkSpent("This link was used already.", why="It works once.", todo="Print a new one.")
            self._sittings[_digest(secret)] = Sitting(
                name=who.name if who else self.user,
                is_person=who is not None,
                proof=secrets.token_urlsafe(16),
                begun=now,
                seen=now,
            )
        return secret

    def sitting(self, secret: str) -> Sitting | None:
        """Return a session, and note that something was done in it; one that stood still too long becomes blank."""
        now, name = self.clock.now(), _digest(secret)
        with self._lock:
            found = self._sittings.get(name)
            if found is None:
                return None
            if now - found.begun >= LONGEST:
                del self._sittings[name]
                return None
            if found.is_blank or now - found.seen >= IDLE:
                found = replace(found, is_blank=True)
            else:
                found = replace(found, seen=now)
            self._sittings[name] = found
            return found

    def go_on(self, secret: str, form: Fields) -> None:
        """Show a blank session's pages again to who gives name and passphrase.

        Raises:
            LinkSpent: if there is no such session, or nobody is named at the node who could be asked for.
        """
        name = _digest(secret)
        who = self.signer(form)
        with self._lock:
            found = self._sittings.get(name)
            if found is None or who is None:
                raise LinkSpent(
                    "This session cannot go on.",
                    why="Nobody is named at this node, so there is no passphrase to ask for.",
                    todo="Press Enter where 'fairbank node pages' runs: it prints a new link.",
                )
            self._sittings[name] = replace(found, name=who.name, seen=self.clock.now(), is_blank=False)

    def end(self, secret: str) -> None:
        """End a session."""
        with self._lock:
            self._sittings.pop(_digest(secret), None)

    def signer(self, form: Fields) -> Signer | None:
        """Return the person whose name and passphrase a form holds; None where nobody is named at the node.

        Raises:
            PersonNeeded: if persons are named here and the form names none.
            TooManyTries: if the passphrase was wrong too often.
            PersonLocked: if nobody of that name may decide here, or the passphrase is wrong.
        """
        if not self.has_people():
            return None
        name = form.get(NAME_FIELD, "").strip()
        if not name:
            raise PersonNeeded(
                "Say who you are.",
                why="This node has named persons, and each looks and decides under her own name.",
                todo="Give your name and your passphrase.",
            )
        self._check_tries()
        try:
            return unlock(self.node, name, form.get(PHRASE_FIELD, ""))
        except (PersonLocked, NoSuchPerson, PersonRetired) as error:
            self._wrong.append(self.clock.now())
            raise PersonLocked(
                "The name or the passphrase is wrong.",
                why="The passphrase does not open the key of a person of that name who decides here.",
                todo="Try again; if it is lost, let another person retire this one and add a new one.",
            ) from error

    def _check_tries(self) -> None:
        now = self.clock.now()
        while self._wrong and now - self._wrong[0] > _TRIES_IN:
            self._wrong.popleft()
        if len(self._wrong) >= _MOST_TRIES:
            raise TooManyTries(
                "The passphrase was wrong too often.",
                why=told(
                    "After %(tries)s wrong ones within five minutes nobody is asked for a while.",
                    tries=_MOST_TRIES,
                ),
                todo="Wait five minutes.",
            )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
