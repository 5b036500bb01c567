"""Grants as GA4GH visas: what they say, what a reader must refuse, and that nothing here runs by them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from fastapi.testclient import TestClient
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey
from sqlalchemy import select
from tests.federated_jobs.catalogue_rows import iri, legs
from tests.federated_jobs.conftest import BASE, refusal

from fairbank.catalogue import ga4gh_visas
from fairbank.catalogue.ga4gh_errors import Ga4ghKeyUnusable, Ga4ghVisaRefused
from fairbank.catalogue.governance.store import LegRow, RequestRow
from fairbank.database import writing
from fairbank.ontology.signed_objects import Visa
from fairbank.web.hub_app import create_app


@pytest.fixture(scope="module")
def made() -> list[RSAKey]:
    """The keys of hubs: to make one of 3,072 bits takes half a second."""
    return []


@pytest.fixture(autouse=True)
def keys_of_hubs(made: list[RSAKey], monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the hubs of each test the same keys in turn, no two of them the same one."""
    in_earnest, places = RSAKey.generate_key, count()

    def generate(bits: int) -> RSAKey:
        if bits != ga4gh_visas._KEY_BITS:
            return in_earnest(bits)
        place = next(places)
        if place == len(made):
            made.append(in_earnest(bits))
        return made[place]

    monkeypatch.setattr(RSAKey, "generate_key", generate)


@pytest.fixture
def fed(start: Any) -> Any:
    return start("east", "north")


@pytest.fixture
def granted(fed: Any) -> Any:
    visa = fed.visa()
    legs(fed, visa)
    return fed.grants[visa.digest]


@pytest.fixture
def web(fed: Any) -> Iterator[TestClient]:
    with TestClient(create_app(fed.hub), base_url=BASE) as client:
        yield client


def exported(web: TestClient, fed: Any, granted: Any, **query: str) -> Any:
    headers = {"Authorization": f"Bearer {fed.token}"}
    return web.get(f"/v1/grants/{granted.visa_id}/ga4gh", headers=headers, params=query)


def token(fed: Any, granted: Any, *, audience: str | None = None) -> str:
    visa, _ = Visa.open(granted.visa, trusted=None)
    found = ga4gh_visas.export(
        fed.hub, visa, account="ada", datasets=frozenset({iri("east")}), audience=audience
    )
    return found[0].token


def check(fed: Any, given: str, **expected: Any) -> ga4gh_visas.Verified:
    keys = expected.pop("keys", None) or ga4gh_visas.public_keys(fed.hub)
    wanted = {"issuer": BASE, "now": fed.clock.now(), **expected}
    return ga4gh_visas.verify(given, keys=keys, **wanted)


def parts(given: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = given.split(".")
    return tuple(json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims))  # type: ignore[return-value]


def packed(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    raw = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in raw)


def hub_key(fed: Any) -> RSAKey:
    key = RSAKey.import_key((fed.hub.settings.keys_path / "ga4gh.pem").read_bytes())
    key.ensure_kid()
    return key


# -- what is exported --------------------------------------------------------------------------------------------------


def test_an_export_has_a_token_for_each_dataset_that_is_granted(web, fed, granted):
    answer = exported(web, fed, granted)
    assert answer.status_code == 200, answer.text
    found = answer.json()["visas"]
    assert [one["dataset"] for one in found] == [iri("east"), iri("north")]
    keys = web.get("/v1/ga4gh/jwks").json()
    said = [check(fed, one["token"], keys=keys) for one in found]
    assert [(one.subject, one.dataset, one.source) for one in said] == [
        ("ada", iri(name), BASE) for name in ("east", "north")
    ]


def test_a_token_is_good_for_seven_days_at_most(fed, granted):
    given = token(fed, granted)
    fed.clock.advance(7 * 86_400 - 1)
    check(fed, given)
    fed.clock.advance(1)
    with pytest.raises(Ga4ghVisaRefused, match="expired"):
        check(fed, given)


def test_a_token_ends_with_the_grant_of_its_dataset(fed, granted):
    fed.clock.advance(19 * 86_400)
    visa, _ = Visa.open(granted.visa, trusted=None)
    found = ga4gh_visas.export(fed.hub, visa, account="ada", datasets=frozenset({iri("east")}))
    assert found[0].expires == fed.clock.now() + timedelta(days=1)


def test_the_key_is_not_the_root_key_and_its_private_half_stays(web, fed, granted):
    keys = web.get("/v1/ga4gh/jwks").json()["keys"]
    assert [set(key) for key in keys] == [{"kty", "n", "e", "kid", "use", "alg"}]
    path = fed.hub.settings.keys_path / "ga4gh.pem"
    assert path.stat().st_mode & 0o777 == 0o600
    assert web.get("/v1/ga4gh/jwks").json()["keys"] == keys


def test_a_key_file_that_others_can_read_is_not_used(fed, granted):
    token(fed, granted)
    (fed.hub.settings.keys_path / "ga4gh.pem").chmod(0o644)
    with pytest.raises(Ga4ghKeyUnusable):
        token(fed, granted)


def test_a_grant_that_was_taken_back_at_one_dataset_is_exported_without_it(web, fed, granted):
    with writing(fed.hub.engine) as session:
        session.scalars(select(LegRow).where(LegRow.dataset == iri("east"))).one().state = "revoked"
    assert [one["dataset"] for one in exported(web, fed, granted).json()["visas"]] == [iri("north")]


def test_a_paused_grant_is_not_exported(web, fed, granted):
    with writing(fed.hub.engine) as session:
        session.scalars(select(RequestRow)).one().state = "paused"
    assert exported(web, fed, granted).status_code == 404


def test_somebody_else_s_grant_is_not_exported(web, fed, granted):
    from fairbank.catalogue import accounts

    with writing(fed.hub.engine) as session:
        accounts.create_account(
            session, fed.hub, name="eve", password="correct horse battery", roles=[accounts.Role.RESEARCHER]
        )
        other = accounts.issue_token(session, fed.hub, name="eve", hours=1).token
    answer = web.get(f"/v1/grants/{granted.visa_id}/ga4gh", headers={"Authorization": f"Bearer {other}"})
    assert (answer.status_code, answer.json()["code"]) == (404, "FB-CAT-064")


# -- what a reader refuses ---------------------------------------------------------------------------------------------


def test_a_token_without_a_signature_is_refused(fed, granted):
    header, claims = parts(token(fed, granted))
    for word in ("none", "None", "NONE", ""):
        with pytest.raises(Ga4ghVisaRefused, match="signature"):
            check(fed, packed({**header, "alg": word}, claims))


@pytest.mark.parametrize("form", ["pem", "der", "jwk"])
def test_the_public_key_does_not_serve_as_the_secret_of_another_algorithm(fed, granted, form):
    header, claims = parts(token(fed, granted))
    key = hub_key(fed)
    public = {
        "pem": key.as_pem(private=False),
        "der": key.as_der(private=False),
        "jwk": json.dumps(key.as_dict(private=False)).encode(),
    }[form]
    import hashlib
    import hmac

    head = packed({**header, "alg": "HS256"}, claims).rpartition(".")[0]
    forged = hmac.new(public, head.encode(), hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(forged).rstrip(b"=").decode()
    with pytest.raises(Ga4ghVisaRefused, match="signature"):
        check(fed, f"{head}.{signature}")


def test_a_secret_in_a_key_set_is_not_a_key(fed, granted):
    header, claims = parts(token(fed, granted))
    secret = OctKey.import_key({"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": header["kid"]})
    forged = jwt.encode({**header, "alg": "HS256"}, claims, secret, algorithms=["HS256"])
    with pytest.raises(Ga4ghVisaRefused, match="signature"):
        check(fed, forged, keys={"keys": [secret.as_dict()]})


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
def test_an_algorithm_that_the_specification_does_not_name_is_refused(fed, granted, algorithm):
    header, claims = parts(token(fed, granted))
    other = jwt.encode({**header, "alg": algorithm}, claims, hub_key(fed), algorithms=[algorithm])
    with pytest.raises(Ga4ghVisaRefused, match="signature"):
        check(fed, other)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_an_address_of_keys_in_the_token_itself_is_not_read(fed, granted, monkeypatch, kind):
    """A forger names a key set of her own, or puts her key into the header."""
    header, claims = parts(token(fed, granted))
    mine = RSAKey.generate_key(2048) if kind == "rsa" else ECKey.generate_key("P-256")
    algorithm = "RS256" if kind == "rsa" else "ES256"

    def no_network(*args: Any, **options: Any) -> None:
        raise AssertionError("a token made the reader ask somebody")

    monkeypatch.setattr("socket.socket.connect", no_network)
    for extra in ({}, {"jwk": mine.as_dict(private=False)}):
        forged = jwt.encode(
            {**header, "alg": algorithm, "jku": "https://evil.test/jwks", **extra},
            claims,
            mine,
            algorithms=[algorithm],
        )
        with pytest.raises(Ga4ghVisaRefused, match="signature"):
            check(fed, forged)


def test_claims_that_were_changed_are_refused(fed, granted):
    head, _, signature = token(fed, granted).split(".")
    changed = {**parts(token(fed, granted))[1], "sub": "eve"}
    body = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    with pytest.raises(Ga4ghVisaRefused, match="signature"):
        check(fed, f"{head}.{body}.{signature}")


def signed(fed: Any, granted: Any, **changes: Any) -> str:
    header, claims = parts(token(fed, granted))
    new = {name: value for name, value in {**claims, **changes}.items() if value is not None}
    return jwt.encode(header, new, hub_key(fed), algorithms=["RS256"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "'exp' is no time"),
        ({"exp": "4102444800"}, "'exp' is no time"),
        ({"exp": True}, "'exp' is no time"),
        ({"iat": 4102444800}, "future"),
        ({"nbf": 4102444800}, "future"),
        ({"iss": "http://elsewhere.test"}, "another issuer"),
        ({"aud": "http://elsewhere.test"}, "another reader"),
        ({"aud": []}, "another reader"),
        ({"ga4gh_visa_v1": None}, "grants nothing"),
        ({"ga4gh_visa_v1": {"type": "ResearcherStatus", "value": "x", "source": "y"}}, "grants nothing"),
        ({"sub": ""}, "who may use what"),
    ],
)
def test_claims_that_do_not_hold_are_refused_though_the_key_is_right(fed, granted, changes, words):
    with pytest.raises(Ga4ghVisaRefused, match=words):
        check(fed, signed(fed, granted, **changes))


def test_a_token_for_one_reader_is_good_there_alone(fed, granted):
    given = token(fed, granted, audience="https://archive.example")
    assert check(fed, given, audience="https://archive.example").dataset == iri("east")
    for other in (None, "https://elsewhere.example"):
        with pytest.raises(Ga4ghVisaRefused, match="another reader"):
            check(fed, given, audience=other)
    with pytest.raises(Ga4ghVisaRefused, match="another reader"):
        check(fed, token(fed, granted), audience="https://archive.example")


@pytest.mark.parametrize("given", ["", "a", "a.b", "a.b.c", "a.b.c.d.e", "." * 20_000, "\x00.\x00.\x00"])
def test_what_is_no_token_is_refused(fed, granted, given):
    token(fed, granted)
    with pytest.raises(Ga4ghVisaRefused):
        check(fed, given)


# -- nothing runs by it ------------------------------------------------------------------------------------------------


def test_a_token_is_no_visa_at_a_node(fed, granted):
    """Whatever form it is put into, the chain of a job is not built on it."""
    from fairbank.federated_jobs.manifest import open_chain

    given = token(fed, granted)
    _, claims = parts(given)
    signature = given.rpartition(".")[2]
    wrapped = json.dumps(
        {
            "payload": base64.b64encode(json.dumps(claims).encode()).decode(),
            "payloadType": "application/vnd.fairbank.visa.v1+json",
            "signatures": [{"keyid": fed.hub.key.key_id, "sig": signature}],
        }
    ).encode()
    manifest = fed.manifest(Visa.open(granted.visa, trusted=None)[1]).seal(fed.requester)
    for visa in (given.encode(), wrapped):
        err = refusal(
            lambda visa=visa: open_chain(granted.request, visa, manifest, hub_key=fed.hub.key.key_id)
        )
        assert (err.reason.value, err.check.value) == ("visa_invalid", "visa-seal")


def test_a_token_opens_no_route_of_the_hub(web, fed, granted):
    headers = {"Authorization": f"Bearer {token(fed, granted)}"}
    for path in ("/v1/jobs", "/v1/grants", "/v1/requests", f"/v1/grants/{granted.visa_id}/ga4gh"):
        assert web.get(path, headers=headers).status_code == 401
    manifest = fed.manifest(Visa.open(granted.visa, trusted=None)[1]).seal(fed.requester)
    assert web.post("/v1/jobs", content=manifest, headers=headers).status_code == 401
