"""Keys that the hub keeps for its pages: made, opened, limited in tries, changed, forgotten, and never in the clear."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select
from starlette.testclient import TestClient
from tests.catalogue.conftest import PASSWORD, Person

from fairbank.audit import HubAudit
from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import AccountKey, Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.errors import AccountRefused
from fairbank.catalogue.identity import hub_secrets, page_keys, passwords, tries
from fairbank.catalogue.identity.errors import (
    NoPageKey,
    PageKeyDamaged,
    PageKeyRefused,
    PassphraseWrong,
    TooManyPassphrases,
)
from fairbank.catalogue.identity.store import PageKeyRow
from fairbank.clock import FixedClock, iso
from fairbank.database import reading, writing
from fairbank.ontology.signed_objects import KeyKeeper
from fairbank.signing import SigningKey

PASSPHRASE = "nine quiet herons"


@pytest.fixture
def rita(hub: Hub) -> accounts.Account:
    Person(hub, "rita", Role.RESEARCHER)
    with writing(hub.engine) as session:
        session.get_one(accounts.AccountRow, "rita").key_id = None
        return accounts.find(session, "rita")


def own_key(hub: Hub, who: accounts.Account) -> SigningKey:
    key = SigningKey.generate()
    proof = AccountKey(account=who.name, key=key.key_id, hub=hub.base_iri, created=iso(hub.clock.now()))
    accounts.register_key(hub, who, proof.seal(key))
    return key


def keeper(hub: Hub) -> KeyKeeper | None:
    with reading(hub.engine) as session:
        return accounts.key_kept_by(session, "rita")


def test_a_key_is_registered_opens_with_its_passphrase_and_is_nowhere_in_the_clear(
    hub: Hub, rita: accounts.Account
) -> None:
    made = page_keys.make(hub, rita, PASSPHRASE)
    key = page_keys.unlock(hub, "rita", PASSPHRASE)
    assert key.key_id == made and keeper(hub) is KeyKeeper.HUB
    with reading(hub.engine) as session:
        row = session.get_one(PageKeyRow, "rita")
        acts = list(session.scalars(select(HubAudit.act).where(HubAudit.target == "rita")))
        assert accounts.key_of(session, "rita") == made
    assert key.private.private_bytes_raw() not in row.sealed and b"PRIVATE KEY" not in row.sealed
    assert row.last_used is not None
    assert {"account.key", "account.page-key-use"} <= set(acts)


def test_a_key_from_before_passphrases_were_stretched_at_this_cost_opens_and_a_change_renews_it(
    hub: Hub, rita: accounts.Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = page_keys.make(hub, rita, PASSPHRASE)
    salt = bytes(16)
    stretched = passwords.stretched(PASSPHRASE, salt=salt, cost=passwords.EARLIER_COST)
    pem = page_keys.unlock(hub, "rita", PASSPHRASE).to_pem(passphrase=stretched.hex())
    with writing(hub.engine) as session:
        row = session.get_one(PageKeyRow, "rita")
        row.sealed = hub_secrets.hidden(hub, salt + pem, name="rita#page-key")
    page_keys.change_passphrase(hub, "rita", old=PASSPHRASE, new="ten loud herons")
    asked = []
    stretch = passwords.stretched
    monkeypatch.setattr(
        passwords,
        "stretched",
        lambda word, *, salt, cost: (asked.append(cost), stretch(word, salt=salt, cost=cost))[1],
    )
    assert page_keys.unlock(hub, "rita", "ten loud herons").key_id == made
    assert asked == [passwords.COST]


def test_wrong_passphrases_wait_after_ten_and_a_right_one_forgets_them(
    hub: Hub, rita: accounts.Account, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    page_keys.make(hub, rita, PASSPHRASE)
    monkeypatch.setattr(tries, "WRONG", 2)
    with pytest.raises(PassphraseWrong):
        page_keys.unlock(hub, "rita", "nine quiet hero")
    page_keys.unlock(hub, "rita", PASSPHRASE)
    for _ in range(2):
        with pytest.raises(PassphraseWrong):
            page_keys.unlock(hub, "rita", "")
    with pytest.raises(TooManyPassphrases) as refused:
        page_keys.unlock(hub, "rita", PASSPHRASE)
    assert refused.value.retry_after_s == tries.WINDOW_S
    clock.advance(tries.WINDOW_S + 1)
    page_keys.unlock(hub, "rita", PASSPHRASE)


def test_a_key_of_her_own_stays_unless_she_says_otherwise(hub: Hub, rita: accounts.Account) -> None:
    own = own_key(hub, rita)
    with pytest.raises(PageKeyRefused):
        page_keys.make(hub, rita, PASSPHRASE)
    assert keeper(hub) is KeyKeeper.PERSON
    with reading(hub.engine) as session:
        assert accounts.key_of(session, "rita") == own.key_id
    page_keys.make(hub, rita, PASSPHRASE, replace=True)
    assert keeper(hub) is KeyKeeper.HUB
    with pytest.raises(PageKeyRefused):
        page_keys.make(hub, rita, PASSPHRASE, replace=True)
    # And back: her own key ends the hub's.
    own_key(hub, rita)
    assert keeper(hub) is KeyKeeper.PERSON
    with pytest.raises(NoPageKey):
        page_keys.unlock(hub, "rita", PASSPHRASE)


def test_another_passphrase_opens_the_same_key_and_a_forgotten_one_opens_nothing(
    hub: Hub, rita: accounts.Account
) -> None:
    made = page_keys.make(hub, rita, PASSPHRASE)
    with pytest.raises(PassphraseWrong):
        page_keys.change_passphrase(hub, "rita", old="not this one", new="four loud geese")
    page_keys.change_passphrase(hub, "rita", old=PASSPHRASE, new="four loud geese")
    assert page_keys.unlock(hub, "rita", "four loud geese").key_id == made
    page_keys.forget(hub, "rita")
    assert keeper(hub) is None
    with pytest.raises(NoPageKey):
        page_keys.unlock(hub, "rita", "four loud geese")


def test_weak_passphrases_passwords_and_hubs_that_keep_none_are_refused(
    hub: Hub, rita: accounts.Account
) -> None:
    for weak in ("short", "rita rita", "aaaaaaaaaaaa"):
        with pytest.raises(AccountRefused, match="passphrase"):
            page_keys.make(hub, rita, weak)
    with writing(hub.engine) as session:
        accounts.logins.set_password(session, hub, name="rita", password=PASSPHRASE, actor="rita")
    with pytest.raises(PageKeyRefused, match="password"):
        page_keys.make(hub, rita, PASSPHRASE)
    off = replace(hub, settings=replace(hub.settings, hub_page_keys="no"))
    with pytest.raises(PageKeyRefused, match="keeps no keys"):
        page_keys.make(off, rita, "four loud geese")
    page_keys.make(hub, rita, "four loud geese")
    with pytest.raises(NoPageKey):
        page_keys.unlock(off, "rita", "four loud geese")


def test_the_database_alone_opens_nothing(
    hub: Hub, rita: accounts.Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    page_keys.make(hub, rita, PASSPHRASE)
    monkeypatch.setattr(hub_secrets, "_secret", lambda path: b"another secret of thirty-two byt")
    with pytest.raises(PageKeyDamaged):
        page_keys.unlock(hub, "rita", PASSPHRASE)


def test_whoami_says_who_keeps_the_key(hub: Hub, client: TestClient) -> None:
    anna = Person(hub, "anna", Role.RESEARCHER)
    told = client.get("/v1/whoami", headers=anna.headers).json()
    assert told["key_kept_by"] == "person"


def test_who_gets_a_key_says_her_password_again_or_has_just_logged_in(
    hub: Hub, rita: accounts.Account, clock: FixedClock
) -> None:
    now = clock.now()
    page_keys.check_who(hub, "rita", password=PASSWORD, begun=None)
    with pytest.raises(PageKeyRefused, match="password"):
        page_keys.check_who(hub, "rita", password="another one", begun=now)
    with writing(hub.engine) as session:
        session.get_one(accounts.AccountRow, "rita").password_hash = ""
    page_keys.check_who(hub, "rita", password="", begun=now)
    clock.advance(301)
    for begun in (now, None):
        with pytest.raises(PageKeyRefused, match="too old"):
            page_keys.check_who(hub, "rita", password="", begun=begun)
