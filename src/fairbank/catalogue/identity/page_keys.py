"""Signing keys that the hub keeps for its pages: one for an account, opened by a passphrase for one request each time.

At rest a key is PKCS#8 under what is stretched of its owner's passphrase (argon2id), and that under the hub's own
secret: the database alone is nothing to guess at. Whoever runs the hub sees passphrases arrive, so a key kept here
proves less than one on a person's own computer, and a request that is signed with it says so.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Account, AccountKey
from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import hub_secrets, logins, passwords, tries
from fairbank.catalogue.identity.errors import (
    NoPageKey,
    PageKeyDamaged,
    PageKeyRefused,
    PassphraseWrong,
    TooManyPassphrases,
)
from fairbank.catalogue.identity.store import PageKeyRow
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.errors import told
from fairbank.ontology.signed_objects import KeyKeeper
from fairbank.signing import KeyFileError, KeyId, SigningKey

_MARK: Final = "#page-key"
_AGAIN: Final = "#page-key-password"
# How old the log-in of an account without a password may be when it makes a key.
FRESH: Final = timedelta(minutes=5)
_SALT_BYTES: Final = 16
# What is kept begins with this where the passphrase was stretched at `passwords.COST`.
_AT_COST: Final = b"2"
_PEM: Final = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class PageKey:
    """A key that the hub keeps and that its account signs with."""

    key_id: KeyId
    created: datetime
    last_used: datetime | None


def are_offered(hub: Hub) -> bool:
    """Tell whether this hub keeps keys for its pages."""
    return hub.settings.hub_page_keys == "yes"


def find(session: Session, hub: Hub, account: str) -> PageKey | None:
    """Return the key that an account can sign with on pages; None if the hub keeps none, or not any more."""
    if not are_offered(hub) or accounts.key_kept_by(session, account) is not KeyKeeper.HUB:
        return None
    row = session.get_one(PageKeyRow, account)
    return PageKey(KeyId(row.key_id), row.created, row.last_used)


def has_password(session: Session, account: str) -> bool:
    """Tell whether an account logs in with a password of this hub."""
    return logins.find(session, account).password_hash != passwords.NO_PASSWORD


def check_who(hub: Hub, account: str, *, password: str, begun: datetime | None) -> None:
    """Ask anew who somebody is before she gets a key: whoever finds her browser open is not to sign in her name.

    Args:
        password: of the account, where it has one.
        begun: when its session began, which is asked of an account without a password; None without a session.

    Raises:
        PageKeyRefused: if the password is wrong, or the log-in too long ago.
        TooManyPassphrases: if there were too many wrong ones in the last hour.
    """
    with reading(hub.engine) as session:
        stored = logins.find(session, account).password_hash
    if stored == passwords.NO_PASSWORD:
        if begun is None or hub.clock.now() - begun > FRESH:
            raise _refused(
                told("Your log-in is too old to make a key."),
                told(
                    "A key signs in your name, so it is made within %(minutes)s minutes of a log-in.",
                    minutes=FRESH.seconds // 60,
                ),
                told("Sign out, log in again at your institution, and come back here at once."),
            )
        return
    tries.count(hub, account, _AGAIN, refused=_too_many(told("passwords")))
    if not passwords.matches(stored, password):
        raise _refused(
            "The password is not the one of your account.", "A key signs in your name.", "Try again."
        )
    with writing(hub.engine) as session:
        tries.forget(session, account, _AGAIN)


def make(hub: Hub, who: Account, passphrase: str, *, replace: bool = False) -> KeyId:
    """Make a key for an account, keep it under a passphrase, and register its public half.

    Args:
        replace: the account has a key of its own and wants the hub's in its place; grants need the earlier one.

    Raises:
        PageKeyRefused: if the hub keeps no keys or has one for the account, or it has one of its own and `replace` was
            not said, or the passphrase is the account's password.
        AccountRefused: if the passphrase is too weak.
    """
    if not are_offered(hub):
        raise _refused("This hub keeps no keys for its pages.", "Its operator has switched that off.")
    passwords.check(passphrase, name=who.name, called=passwords.PASSPHRASE)
    _check_not_password(hub, who.name, passphrase)
    key = SigningKey.generate()
    sealed = _sealed(hub, who.name, key, passphrase)
    now = hub.clock.now()
    proof = AccountKey(account=who.name, key=key.key_id, hub=hub.base_iri, created=iso(now))
    with writing(hub.engine) as session:
        kept_by = accounts.key_kept_by(session, who.name)
        if kept_by is KeyKeeper.HUB:
            raise _refused("The hub keeps a key for you already.", "What it signed stays good only with it.")
        if kept_by is KeyKeeper.PERSON and not replace:
            raise _refused(
                "You have a key of your own, on your computer.",
                "An account signs with one key, and grants that you hold were given for that one.",
                "Keep it, or say that the hub’s key shall take its place.",
            )
        session.merge(
            PageKeyRow(account=who.name, key_id=key.key_id, sealed=sealed, created=now, last_used=None)
        )
        session.flush()
        accounts.take_key(session, hub, who.name, proof.seal(key))
    return key.key_id


def unlock(hub: Hub, account: str, passphrase: str) -> SigningKey:
    """Open the key of an account, for one request.

    Raises:
        NoPageKey: if the hub keeps none that the account signs with.
        PassphraseWrong: if the passphrase does not open it.
        TooManyPassphrases: if there were too many wrong ones in the last hour.
        PageKeyDamaged: if it cannot be read.
    """
    key = _opened(hub, account, passphrase)
    with writing(hub.engine) as session:
        tries.forget(session, account, _MARK)
        session.get_one(PageKeyRow, account).last_used = hub.clock.now()
        _note(session, hub, account, "account.page-key-use", key.key_id)
    return key


def change_passphrase(hub: Hub, account: str, *, old: str, new: str) -> None:
    """Put the key of an account under another passphrase; the key stays the same.

    Raises:
        AccountRefused: if the new one is too weak.
        PageKeyRefused: if it is the account's password.
        NoPageKey, PassphraseWrong, TooManyPassphrases, PageKeyDamaged: as `unlock` does.
    """
    passwords.check(new, name=account, called=passwords.PASSPHRASE)
    _check_not_password(hub, account, new)
    key = _opened(hub, account, old)
    sealed = _sealed(hub, account, key, new)
    with writing(hub.engine) as session:
        tries.forget(session, account, _MARK)
        row = session.get(PageKeyRow, account, with_for_update=True)
        if row is None or row.key_id != key.key_id:
            raise _none()
        row.sealed = sealed
        _note(session, hub, account, "account.page-key-passphrase", key.key_id)


def forget(hub: Hub, account: str) -> None:
    """Destroy the key that the hub keeps for an account; what it signed stays good.

    Raises:
        NoPageKey: if it keeps none.
    """
    with writing(hub.engine) as session:
        row = session.get(PageKeyRow, account)
        if row is None:
            raise _none()
        if accounts.key_kept_by(session, account) is KeyKeeper.HUB:
            logins.find(session, account).key_id = None
        session.delete(row)
        tries.forget(session, account, _MARK)
        _note(session, hub, account, "account.page-key-forget", KeyId(row.key_id))


def _opened(hub: Hub, account: str, passphrase: str) -> SigningKey:
    with reading(hub.engine) as session:
        kept = find(session, hub, account)
        sealed = session.get_one(PageKeyRow, account).sealed if kept is not None else b""
    if kept is None:
        raise _none()
    tries.count(hub, account, _MARK, refused=_too_many(told("passphrases")))
    try:
        content = hub_secrets.shown(hub, sealed, name=_name(account))
    except InvalidTag as err:
        raise _damaged("The hub’s own secret is not the one that it was kept under.") from err
    # Before there was a mark, the salt came first, and passphrases were stretched at another cost.
    marked = content.startswith(_PEM, len(_AT_COST) + _SALT_BYTES) and content.startswith(_AT_COST)
    cost = passwords.COST if marked else passwords.EARLIER_COST
    content = content.removeprefix(_AT_COST) if marked else content
    salt, pem = content[:_SALT_BYTES], content[_SALT_BYTES:]
    try:
        stretched = passwords.stretched(passphrase, salt=salt, cost=cost)
        key = SigningKey.from_pem(pem, named="The key", passphrase=stretched.hex())
    except KeyFileError as err:
        raise PassphraseWrong(
            "The passphrase does not open your key.",
            why="It is another one, or was mistyped. Nothing was signed.",
            todo="Try again; if it is lost, forget the key on your page and make another.",
        ) from err
    if key.key_id != kept.key_id:
        raise _damaged("It is another key than the one that was written down.")
    return key


def _sealed(hub: Hub, account: str, key: SigningKey, passphrase: str) -> bytes:
    salt = os.urandom(_SALT_BYTES)
    pem = key.to_pem(passphrase=passwords.stretched(passphrase, salt=salt).hex())
    return hub_secrets.hidden(hub, _AT_COST + salt + pem, name=_name(account))


def _name(account: str) -> str:
    return f"{account}{_MARK}"


def _check_not_password(hub: Hub, account: str, passphrase: str) -> None:
    with reading(hub.engine) as session:
        stored = logins.find(session, account).password_hash
    if stored and passwords.matches(stored, passphrase):
        raise _refused(
            "The passphrase is the password of your account.",
            "Whoever learns the one would have both.",
            "Choose another one; a few random words do well.",
        )


def _note(session: Session, hub: Hub, account: str, act: str, key: KeyId) -> None:
    audit.record(
        session, audit.HubAudit, clock=hub.clock, actor=account, act=act, target=account, detail={"key": key}
    )


def _too_many(what: str) -> TooManyPassphrases:
    return TooManyPassphrases(
        told("There were too many wrong %(what)s for your key.", what=what),
        why=told(
            "After %(tries)s wrong ones in an hour, %(what)s wait, so that guessing is useless.",
            tries=tries.WRONG,
            what=what,
        ),
        todo="Wait an hour; if it was not you, sign out everywhere and change your password.",
    )


def _none() -> NoPageKey:
    return NoPageKey(
        "The hub keeps no key for you.",
        why="None was made, it was forgotten, or a key of your own took its place.",
        todo="Make one on your page, or sign with the program on your computer.",
    )


def _refused(what: str, why: str, todo: str = "Sign with the program on your computer.") -> PageKeyRefused:
    return PageKeyRefused(what, why=why, todo=todo)


def _damaged(why: str) -> PageKeyDamaged:
    return PageKeyDamaged(
        "The key that the hub keeps for you cannot be read.",
        why=why,
        todo="Ask the hub’s operator to restore the folder of keys from its backup.",
    )
