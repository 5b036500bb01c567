"""Logging in at a provider of identities: one that runs, and every way in which its word may not hold."""

from __future__ import annotations

import hmac
import json
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pyotp
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey
from oidc_provider_mock import run_server_in_thread
from tests.web.conftest import BASE, Browser, cookies_set, make_account

from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub
from fairbank.catalogue.identity import id_tokens, logins, oidc, second_factors
from fairbank.catalogue.identity.errors import OidcRefused, OidcUnreachable
from fairbank.catalogue.identity.id_tokens import Expected
from fairbank.cli import browser_login
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, RemoteError

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
ISSUER = "https://sso.example.org/realms/biobank"


# -- a provider that runs ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with run_server_in_thread(require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def settings(provider: str, tmp_path: Path) -> dict[str, str]:
    secret = tmp_path / "secret.txt"
    secret.touch(mode=0o600)
    secret.write_text("of the provider\n")
    return {
        "oidc_issuer": provider,
        "oidc_client_id": "fairbank-hub",
        "oidc_client_secret_file": str(secret),
        "oidc_organisation_claim": "institute",
    }


@pytest.fixture
def hub(opened: Callable[..., Hub], settings: dict[str, str]) -> Hub:
    return opened(**settings)


@pytest.fixture
def browser(hub: Hub) -> Browser:
    return Browser(hub)


def known(provider: str, subject: str, **claims: Any) -> None:
    httpx.put(f"{provider}/users/{subject}", json=claims).raise_for_status()


def at_provider(address: str, subject: str, **more: str) -> str:
    """Log in there as a person does, and return where the browser is sent."""
    answer = httpx.post(address, data={"sub": subject, **more}, follow_redirects=False)
    assert answer.status_code == 302, answer.text[:500]
    return str(answer.headers["location"])


def come_back(browser: Browser, subject: str) -> Any:
    back = at_provider(browser.look("/login/oidc").headers["location"], subject)
    assert back.startswith(f"{BASE}{oidc.CALLBACK}?")
    return browser.look(back.removeprefix(BASE))


def test_who_logs_in_the_first_time_becomes_a_researcher(browser: Browser, provider: str) -> None:
    known(provider, "s-1", preferred_username="Ada.Lovelace", institute="University of Example")
    answer = come_back(browser, "s-1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    who = browser.client.get("/v1/whoami").json()
    assert (who["account"], who["roles"], who["organisation"]) == (
        "ada-lovelace", ["researcher"], "University of Example",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("base", "cookie", "encrypted"),
    [(BASE, "__Host-fairbank-", {"secure"}), ("http://hub.test", "fairbank-", set())],
)
def test_the_cookie_of_such_a_log_in_is_for_encrypted_connections_where_the_hub_s_address_is(
    opened: Callable[..., Hub], settings: dict[str, str], base: str, cookie: str, encrypted: set[str]
) -> None:
    browser = Browser(opened(base=base, **settings), base)
    begun = browser.look("/login/oidc")
    (planted,) = cookies_set(begun).values()
    back = at_provider(begun.headers["location"], "s-1")
    answer = browser.look(back.removeprefix(base))
    said = {"httponly", "samesite=lax", "path=/"} | encrypted
    ((name, set_to),) = cookies_set(answer).items()
    assert (planted, set_to, name.startswith(cookie)) == (said, said, True)


def test_the_same_subject_is_the_same_account_whatever_it_is_called_now(hub: Hub, provider: str) -> None:
    known(provider, "s-2", preferred_username="grace")
    come_back(Browser(hub), "s-2")
    known(provider, "s-2", preferred_username="somebody-else")
    later = Browser(hub)
    come_back(later, "s-2")
    assert later.client.get("/v1/whoami").json()["account"] == "grace"


def test_nobody_is_taken_for_an_account_by_name_or_address(hub: Hub, provider: str) -> None:
    make_account(hub, "anna", Role.ADMIN)
    known(provider, "s-3", preferred_username="anna", email="anna@hub.test")
    browser = Browser(hub)
    come_back(browser, "s-3")
    who = browser.client.get("/v1/whoami").json()
    assert who["account"].startswith("anna-") and who["roles"] == ["researcher"]


def test_an_operator_links_an_account(hub: Hub, provider: str) -> None:
    make_account(hub, "anna", Role.ADMIN)
    with writing(hub.engine) as session:
        oidc.link(session, hub, account="anna", issuer=provider, subject="s-4", actor="operator")
    browser = Browser(hub)
    come_back(browser, "s-4")
    assert browser.client.get("/v1/whoami").json()["account"] == "anna"
    with writing(hub.engine) as session:
        accounts.disable(session, hub, name="anna", actor="operator")
    assert come_back(Browser(hub), "s-4").status_code == 403


def test_where_no_accounts_are_made_strangers_are_refused(
    opened: Callable[..., Hub], settings: dict[str, str]
) -> None:
    hub = opened(**settings, oidc_new_accounts="no")
    assert come_back(Browser(hub), "s-5").status_code == 403
    with reading(hub.engine) as session:
        assert accounts.accounts(session) == []


def test_a_log_in_that_was_denied_is_none(browser: Browser) -> None:
    back = at_provider(browser.look("/login/oidc").headers["location"], "s-6", action="deny")
    answer = browser.look(back.removeprefix(BASE) if back.startswith(BASE) else back)
    assert answer.status_code == 403
    assert browser.look("/me").status_code == 303


def test_what_came_back_once_works_no_second_time(browser: Browser) -> None:
    back = at_provider(browser.look("/login/oidc").headers["location"], "s-7").removeprefix(BASE)
    assert [browser.look(back).status_code for _ in range(2)] == [303, 403]


def test_a_log_in_that_another_browser_began_is_refused(hub: Hub, browser: Browser) -> None:
    back = at_provider(browser.look("/login/oidc").headers["location"], "s-8").removeprefix(BASE)
    victim = Browser(hub)
    victim.look("/login")
    assert victim.look(back).status_code == 403
    assert victim.look("/me").status_code == 303


def test_a_log_in_that_took_too_long_is_refused(hub: Hub, browser: Browser) -> None:
    back = at_provider(browser.look("/login/oidc").headers["location"], "s-9").removeprefix(BASE)
    clock: Any = hub.clock
    clock.advance(601)
    assert browser.look(back).status_code == 403


def test_another_code_than_that_of_this_log_in_is_refused(browser: Browser) -> None:
    back = at_provider(browser.look("/login/oidc").headers["location"], "s-10")
    other = at_provider(browser.look("/login/oidc").headers["location"], "s-11")
    state = parse_qs(urlsplit(other).query)["state"][0]
    code = parse_qs(urlsplit(back).query)["code"][0]
    # The verifier of one log-in does not fit the code of the other (PKCE).
    assert browser.look(f"{oidc.CALLBACK}?state={state}&code={code}").status_code == 403


def test_a_provider_s_account_has_no_password(hub: Hub, browser: Browser, provider: str) -> None:
    known(provider, "s-12", preferred_username="pat")
    come_back(browser, "s-12")
    for word in ("", "pat", "None"):
        assert Browser(hub).log_in("pat", word or "x").status_code == 401


def test_an_account_with_a_second_factor_is_asked_for_it_here_too(hub: Hub, provider: str) -> None:
    known(provider, "s-13", preferred_username="sam")
    come_back(Browser(hub), "s-13")
    with writing(hub.engine) as session:
        totp = pyotp.TOTP(second_factors.begin(session, hub, "sam").secret)
    clock: Any = hub.clock
    second_factors.confirm(hub, "sam", totp.at(int(clock.now().timestamp())))
    assert come_back(Browser(hub), "s-13").headers["location"] == "/login/code"


def test_without_a_provider_there_is_none(opened: Callable[..., Hub]) -> None:
    browser = Browser(opened())
    assert browser.look("/login/oidc").status_code == 404
    assert "institution" not in browser.look("/login").text


def test_a_provider_that_does_not_answer_is_said(opened: Callable[..., Hub]) -> None:
    hub = opened(oidc_issuer="http://127.0.0.1:9", oidc_client_id="fairbank-hub")
    with pytest.raises(OidcUnreachable):
        oidc.begin(hub)


def test_an_issuer_that_is_not_the_one_named_is_refused(opened: Callable[..., Hub], provider: str) -> None:
    hub = opened(oidc_issuer=f"{provider}/", oidc_client_id="fairbank-hub")
    with pytest.raises(OidcUnreachable):
        oidc.begin(hub)


def test_a_secret_that_others_can_read_is_refused(
    opened: Callable[..., Hub], settings: dict[str, str]
) -> None:
    Path(settings["oidc_client_secret_file"]).chmod(0o644)
    with pytest.raises(FairbankError, match="read by others"):
        oidc.begin(opened(**settings))


def test_an_issuer_without_encryption_is_refused(opened: Callable[..., Hub]) -> None:
    with pytest.raises(FairbankError, match="https"):
        oidc.begin(opened(oidc_issuer="http://sso.example.org", oidc_client_id="fairbank-hub"))


# -- the command line ----------------------------------------------------------------------------------------------


class Api:
    """The client of the command line, on the application itself."""

    base_url = BASE

    def __init__(self, browser: Browser) -> None:
        self._client = browser.client

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._client.post(path, json=body)
        if answer.status_code >= 400:
            raise RemoteError.from_problem(answer.json())
        return dict(answer.json())


def show(browser: Browser, subject: str) -> Callable[[str], None]:
    """Return what a person does in the browser that the command line opened."""

    def act(address: str) -> None:
        begun = browser.look(address.removeprefix(BASE)).headers["location"]
        back = browser.look(at_provider(begun, subject).removeprefix(BASE)).headers["location"]
        assert back.startswith("http://127.0.0.1:")
        threading.Thread(target=httpx.get, args=(back,), daemon=True).start()

    return act


def never() -> str:
    raise AssertionError("no code is asked for")


def test_the_command_line_logs_in_through_a_browser(browser: Browser, provider: str) -> None:
    known(provider, "s-20", preferred_username="cleo")
    api: Any = Api(browser)
    answer = browser_login.log_in(api, code=None, ask=never, show=show(browser, "s-20"), wait_s=30)
    assert answer["account"] == "cleo"
    headers = {"Authorization": f"Bearer {answer['token']}"}
    assert browser.client.get("/v1/whoami", headers=headers).json()["account"] == "cleo"


def test_the_command_line_asks_for_the_second_factor(hub: Hub, browser: Browser, provider: str) -> None:
    known(provider, "s-21", preferred_username="dora")
    come_back(browser, "s-21")
    with writing(hub.engine) as session:
        totp = pyotp.TOTP(second_factors.begin(session, hub, "dora").secret)
    clock: Any = hub.clock
    second_factors.confirm(hub, "dora", totp.at(int(clock.now().timestamp())))
    clock.advance(60)
    api: Any = Api(browser)
    ask = lambda: totp.at(int(clock.now().timestamp()))  # noqa: E731
    answer = browser_login.log_in(api, code=None, ask=ask, show=show(browser, "s-21"), wait_s=30)
    assert (answer["account"], answer["limited_to"]) == ("dora", None)


def test_the_result_is_only_for_who_began(hub: Hub, browser: Browser) -> None:
    challenge = oidc.challenge_of("v" * 43)
    begun = browser.look(f"/login/oidc?port=40000&challenge={challenge}").headers["location"]
    back = browser.look(at_provider(begun, "s-22").removeprefix(BASE)).headers["location"]
    code = parse_qs(urlsplit(back).query)["code"][0]
    with pytest.raises(OidcRefused):
        oidc.exchange(hub, oidc.Exchange(code=code, verifier="w" * 43))
    assert oidc.exchange(hub, oidc.Exchange(code=code, verifier="v" * 43)).account.has(Role.RESEARCHER)
    with pytest.raises(OidcRefused):
        oidc.exchange(hub, oidc.Exchange(code=code, verifier="v" * 43))


def test_a_log_in_that_is_yet_to_be_fetched_ends_with_the_others(hub: Hub, provider: str) -> None:
    known(provider, "s-23", preferred_username="tess")
    browser = Browser(hub)
    begun = browser.look(f"/login/oidc?port=4711&challenge={oidc.challenge_of('v' * 43)}").headers["location"]
    back = browser.look(at_provider(begun, "s-23").removeprefix(BASE)).headers["location"]
    code = parse_qs(urlsplit(back).query)["code"][0]
    with writing(hub.engine) as session:
        logins.log_out_everywhere(session, hub, name="tess", actor="anna")
    with pytest.raises(OidcRefused):
        oidc.exchange(hub, oidc.Exchange(code=code, verifier="v" * 43))


# -- what a token may not say --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "one", "use": "sig"}, private=True)


def keycloak(**changes: Any) -> dict[str, Any]:
    """Return claims as Keycloak writes them."""
    now = int(NOW.timestamp())
    said = {
        "exp": now + 300,
        "iat": now,
        "auth_time": now - 1,
        "jti": "6a1f0c1e-2c39-4b3a-9c3b-0d1b7b9c2a11",
        "iss": ISSUER,
        "aud": "fairbank-hub",
        "sub": "f:0f9c:ada",
        "typ": "ID",
        "azp": "fairbank-hub",
        "nonce": "n-1",
        "sid": "5d0c",
        "acr": "1",
        "email_verified": True,
        "preferred_username": "ada",
        "name": "Ada Lovelace",
        "realm_access": {"roles": ["admin"]},
        **changes,
    }
    return {name: value for name, value in said.items() if value is not None}


def checked(token: str, *keys: Any, newer: Any = None) -> id_tokens.Identity:
    def known_keys(*, anew: bool) -> KeySet:
        return KeySet([newer] if anew and newer is not None else list(keys))

    return id_tokens.check(token, known_keys, Expected(ISSUER, "fairbank-hub", "n-1", NOW))


def signed(claims: dict[str, Any], key: Any, algorithm: str = "RS256", **header: Any) -> str:
    written = {"alg": algorithm, "kid": "one", **header}
    return jwt.encode(written, claims, key, algorithms=[algorithm])


def test_what_keycloak_says_is_understood_and_gives_no_role(key: RSAKey) -> None:
    identity = checked(signed(keycloak(), key), key)
    assert (identity.subject, identity.claims["preferred_username"]) == ("f:0f9c:ada", "ada")
    assert not identity.is_strong
    assert checked(signed(keycloak(amr=["pwd", "otp"]), key), key).is_strong


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://sso.example.org/realms/other"},
        {"iss": None},
        {"aud": "another-client"},
        {"aud": ["fairbank-hub", "another"], "azp": "another"},
        {"aud": ["fairbank-hub", "another"], "azp": None},
        {"azp": "another"},
        {"aud": None},
        {"exp": int((NOW - timedelta(seconds=61)).timestamp())},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"iat": int((NOW + timedelta(seconds=61)).timestamp())},
        {"iat": int((NOW - timedelta(minutes=12)).timestamp())},
        {"iat": None},
        {"nbf": int((NOW + timedelta(minutes=2)).timestamp())},
        {"nonce": "n-2"},
        {"nonce": None},
        {"nonce": 1},
        {"sub": None},
        {"sub": ""},
        {"sub": "s" * 256},
    ],
    ids=str,
)
def test_a_claim_that_does_not_hold_is_refused(key: RSAKey, changes: dict[str, Any]) -> None:
    with pytest.raises(OidcRefused):
        checked(signed(keycloak(**changes), key), key)


@pytest.mark.parametrize("changes", [{"exp": int(NOW.timestamp()) - 30}, {"iat": int(NOW.timestamp()) + 30}])
def test_clocks_may_differ_by_a_minute(key: RSAKey, changes: dict[str, Any]) -> None:
    assert checked(signed(keycloak(**changes), key), key).subject


def part(value: bytes | dict[str, Any]) -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(content).rstrip(b"=").decode()


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_the_public_key_is_no_secret_to_sign_with(key: RSAKey, algorithm: str) -> None:
    signed_part = f"{part({'alg': algorithm, 'kid': 'one'})}.{part(keycloak())}"
    for public in (key.as_pem(private=False), key.as_der(private=False)):
        mac = hmac.new(public, signed_part.encode(), f"sha{algorithm[2:]}").digest()
        with pytest.raises(OidcRefused):
            checked(f"{signed_part}.{part(mac)}", key)


def test_a_token_that_nobody_signed_is_refused(key: RSAKey) -> None:
    for algorithm in ("none", "None", "NONE", ""):
        for signature in ("", "AAAA"):
            with pytest.raises(OidcRefused):
                checked(f"{part({'alg': algorithm, 'kid': 'one'})}.{part(keycloak())}.{signature}", key)


def test_a_key_that_the_token_brings_along_is_not_asked(key: RSAKey) -> None:
    own = RSAKey.generate_key(2048, {"kid": "one"}, private=True)
    for header in (
        {"jwk": own.as_dict(private=False)},
        {"jku": "https://attacker.example/jwks"},
        {"x5u": "https://attacker.example/cert"},
    ):
        with pytest.raises(OidcRefused):
            checked(signed(keycloak(), own, **header), key)


def test_a_key_of_another_kind_is_refused(key: RSAKey) -> None:
    other = ECKey.generate_key("P-256", {"kid": "one"}, private=True)
    with pytest.raises(OidcRefused):
        checked(signed(keycloak(), other, "ES256"), key)


def test_keys_are_read_again_when_a_token_names_a_new_one(key: RSAKey) -> None:
    new = RSAKey.generate_key(2048, {"kid": "two", "use": "sig"}, private=True)
    token = signed(keycloak(), new, kid="two")
    assert checked(token, key, newer=new).subject
    with pytest.raises(OidcRefused):
        checked(token, key)


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "x" * 70_000, "é.é.é", "e30.e30.e30"])
def test_what_is_no_token_is_refused(key: RSAKey, token: str) -> None:
    with pytest.raises(OidcRefused):
        checked(token, key)


@pytest.mark.parametrize("place", range(0, 300, 13))
def test_a_token_with_a_changed_character_is_refused(key: RSAKey, place: int) -> None:
    token = signed(keycloak(), key)
    other = "A" if token[place] != "A" else "B"
    with pytest.raises(OidcRefused):
        checked(token[:place] + other + token[place + 1 :], key)
