"""The registry of tools at a hub: who may submit, review, deprecate and revoke what, and what comes of it."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from fairbank import audit
from fairbank.catalogue import accounts
from fairbank.catalogue.accounts import Role
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.errors import ReviewIncomplete
from fairbank.federated_jobs.hub.tool_store import ToolVersionRow
from fairbank.federated_jobs.tool_manifests import LARGEST_BYTES, builtin_manifest
from fairbank.federated_jobs.tool_review import (
    CRITERIA,
    STEPS,
    CriterionAnswer,
    ToolCommand,
    ToolPart,
    ToolState,
    check_answers,
    commands_in,
    step,
)
from fairbank.ontology.tools import ToolManifest
from fairbank.signing import SigningKey

WORDS = "It was looked at."


class Registry:
    """What people do at the registry of a hub over its routes: ada publishes, rita and rolf are administrators."""

    def __init__(self, fed: Any) -> None:
        self.fed = fed
        self.keys = {"ada": fed.requester}
        self.tokens = {"ada": fed.token}
        for name, role in (
            ("bea", Role.RESEARCHER),
            ("rita", Role.ADMIN),
            ("rolf", Role.ADMIN),
            ("cara", Role.CURATOR),
        ):
            with writing(fed.hub.engine) as session:
                accounts.create_account(session, fed.hub, name=name, password=None, roles=[role])
                self.tokens[name] = accounts.issue_token(session, fed.hub, name=name, hours=24 * 365).token
            who = accounts.by_token(fed.hub, self.tokens[name])
            self.keys[name] = SigningKey.generate()
            proof = accounts.AccountKey(
                account=name, key=self.keys[name].key_id, hub=fed.hub.base_iri, created=iso(fed.clock.now())
            )
            accounts.register_key(fed.hub, who, proof.seal(self.keys[name]))

    def manifest(self, by: str = "ada", tool: str = "noop", **changes: Any) -> ToolManifest:
        made = builtin_manifest(
            tool_named(tool),
            publisher="Example",
            publisher_key=self.keys[by].key_id,
            created=iso(self.fed.clock.now()),
        )
        return made.model_copy(update=changes)

    def submit(self, by: str = "ada", *, key: SigningKey | None = None, draft: bool = False, **changes: Any):
        envelope = self.manifest(by, **changes).seal(key or self.keys[by])
        return self.send("POST", f"/v1/tools{'?draft=true' if draft else ''}", by, envelope)

    def act(
        self,
        command: str,
        by: str,
        *,
        unmet: tuple[str, ...] = (),
        name: str = "noop",
        version: str = "1.0.0",
        **body: Any,
    ) -> httpx.Response:
        if command in ("accept", "return") and "answers" not in body:
            body["answers"] = [
                {"criterion": key, "met": key not in unmet, "words": f"{WORDS} {key}"} for key in CRITERIA
            ]
        if command in ("deprecate", "revoke"):
            body.setdefault("words", "A number was wrong.")
        content = json.dumps({"schema": "tool-command/1", **body}).encode()
        return self.send("POST", f"/v1/tools/{name}/{version}/commands/{command}", by, content)

    def accepted(self, **changes: Any) -> None:
        assert self.submit(**changes).status_code == 201
        name = changes.get("tool", "noop")
        assert self.act("take-up", "rita", name=name).status_code == 200
        assert self.act("accept", "rita", name=name).status_code == 200

    def get(self, path: str, by: str | None = None) -> httpx.Response:
        return self.send("GET", path, by)

    def send(self, method: str, path: str, by: str | None, content: bytes | None = None) -> httpx.Response:
        headers = {"Content-Type": "application/json"}
        if by is not None:
            headers["Authorization"] = f"Bearer {self.tokens[by]}"
        return httpx.request(
            method, self.fed.url + path, content=content, headers=headers, timeout=30, verify=False
        )

    def states(self, by: str | None) -> list[str]:
        return [one["state"] for one in self.get("/v1/tools", by).json()["registry"]]


@pytest.fixture
def fed(start):
    return start("east", "north")


@pytest.fixture
def registry(fed):
    return Registry(fed)


def code_of(answer: httpx.Response) -> str:
    assert answer.status_code >= 400, answer.text
    return str(answer.json()["code"])


def test_a_tool_goes_from_draft_to_revoked_and_each_step_is_audited(registry):
    assert registry.submit(draft=True).json()["state"] == "draft"
    assert registry.submit().json()["state"] == "submitted"
    assert registry.act("take-up", "rita").json()["state"] == "in-review"
    assert registry.act("accept", "rita").json()["state"] == "accepted"
    assert registry.act("deprecate", "ada").json()["state"] == "deprecated"
    assert registry.act("revoke", "rolf").json()["state"] == "revoked"
    with reading(registry.fed.hub.engine) as session:
        rows = session.scalars(select(audit.HubAudit).order_by(audit.HubAudit.seq)).all()
    acts = [(row.act, row.actor) for row in rows if row.act.startswith("tool.")]
    assert acts == [
        ("tool.draft", "ada"),
        ("tool.submit", "ada"),
        ("tool.take-up", "rita"),
        ("tool.accept", "rita"),
        ("tool.deprecate", "ada"),
        ("tool.revoke", "rolf"),
    ]


def test_the_registry_shows_the_seal_the_publisher_the_review_and_the_validation(registry):
    registry.accepted(tool="radiomics")
    told = registry.get("/v1/tools/radiomics").json()
    (version,) = told["versions"]
    manifest, seal = ToolManifest.open_own(version["envelope"].encode())
    assert seal.signer == registry.keys["ada"].key_id == version["publisher_key"]
    assert seal.digest == version["digest"]
    assert manifest.payload() == version["manifest"]
    assert version["manifest"]["validation"][0]["value"] == "94"
    assert [one["criterion"] for one in version["review"]] == list(CRITERIA)
    assert all(one["met"] and one["words"].startswith(WORDS) for one in version["review"])
    assert (version["reviewer"], version["account"]) == ("rita", "ada")
    assert told["installed"]["digest"] == version["code"]


def test_the_same_manifest_again_is_the_same_version(registry):
    envelope = registry.manifest().seal(registry.keys["ada"])
    answers = [registry.send("POST", "/v1/tools", "ada", envelope) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    registry.act("take-up", "rita")
    assert registry.send("POST", "/v1/tools", "ada", envelope).json()["state"] == "in-review"
    assert registry.states("ada") == ["in-review"]


def test_a_draft_may_be_replaced_and_a_version_that_was_accepted_never(registry):
    first = registry.submit(draft=True).json()["digest"]
    second = registry.submit(draft=True, title="Another title").json()["digest"]
    assert first != second
    assert registry.states("ada") == ["draft"]
    registry.accepted(title="Another title")
    again = registry.submit(title="A third title")
    assert code_of(again) == "FB-JOBS-262"
    assert "new version" in again.json()["todo"]
    assert registry.get("/v1/tools/noop").json()["versions"][0]["digest"] == second


def test_a_returned_version_is_corrected_and_what_was_said_of_it_stays(registry):
    envelope = registry.manifest().seal(registry.keys["ada"])
    registry.send("POST", "/v1/tools", "ada", envelope)
    registry.act("take-up", "rita")
    assert registry.act("return", "rita", unmet=("validation",)).json()["state"] == "returned"
    assert code_of(registry.send("POST", "/v1/tools", "ada", envelope)) == "FB-JOBS-260"
    registry.fed.clock.advance(1)
    registry.accepted(title="Said more clearly")
    assert registry.states("ada") == ["accepted", "returned"]
    newest, old = registry.get("/v1/tools/noop", "ada").json()["versions"]
    assert [one["criterion"] for one in old["review"] if not one["met"]] == ["validation"]
    assert all(one["met"] for one in newest["review"])


def test_nobody_reviews_what_they_published(registry):
    registry.submit("rita")
    assert code_of(registry.act("take-up", "rita")) == "FB-JOBS-264"
    registry.act("take-up", "rolf")
    assert code_of(registry.act("accept", "rita")) == "FB-JOBS-264"
    assert registry.act("accept", "rolf").status_code == 200


def test_another_account_with_the_publisher_s_key_is_no_second_pair_of_eyes(registry):
    registry.submit("ada")
    with writing(registry.fed.hub.engine) as session:
        row = session.scalars(select(ToolVersionRow)).one()
        row.publisher_key = registry.keys["rita"].key_id
    assert code_of(registry.act("take-up", "rita")) == "FB-JOBS-264"


@pytest.mark.parametrize("by", ["bea", "cara"])
@pytest.mark.parametrize("command", ["take-up", "accept", "return", "deprecate", "revoke"])
def test_who_is_neither_publisher_nor_administrator_decides_nothing(registry, command, by):
    registry.accepted()
    expected = 409 if by == "bea" and command in ("deprecate", "revoke") else 403
    assert registry.act(command, by).status_code == expected
    assert registry.states(None) == ["accepted"]


def test_without_an_account_nothing_is_done(registry):
    registry.accepted()
    envelope = registry.manifest().seal(registry.keys["ada"])
    assert registry.send("POST", "/v1/tools", None, envelope).status_code == 401
    for command in ("take-up", "accept", "return", "deprecate", "revoke"):
        assert (
            registry.send("POST", f"/v1/tools/noop/1.0.0/commands/{command}", None, b"{}").status_code == 401
        )
    assert registry.states(None) == ["accepted"]


def test_a_draft_is_not_submitted_without_its_manifest(registry):
    registry.submit(draft=True)
    assert code_of(registry.act("submit", "ada")) == "FB-JOBS-262"
    assert registry.states("ada") == ["draft"]


def test_a_curator_may_not_submit(registry):
    assert registry.submit("cara").status_code == 403


def test_before_it_is_accepted_a_tool_is_shown_to_its_publisher_and_administrators_alone(registry):
    registry.submit()
    assert [registry.states(by) for by in ("ada", "rita", "bea", None)] == [
        ["submitted"],
        ["submitted"],
        [],
        [],
    ]
    assert registry.get("/v1/tools/noop", "bea").json()["versions"] == []
    assert code_of(registry.act("revoke", "bea")) == "FB-JOBS-261"


def test_a_draft_is_shown_to_its_publisher_alone(registry):
    registry.submit(draft=True)
    assert [registry.states(by) for by in ("ada", "rita", None)] == [["draft"], [], []]


def test_every_state_refuses_what_the_table_does_not_have(registry):
    """Set the one version to each state, and try each command as each person: the table says what becomes of it."""
    registry.submit()
    for state, command, by in itertools.product(
        ToolState, ("take-up", "accept", "return", "deprecate", "revoke"), ("ada", "rita")
    ):
        with writing(registry.fed.hub.engine) as session:
            row = session.scalars(select(ToolVersionRow)).one()
            row.state = state.value
        part = ToolPart.PUBLISHER if by == "ada" else ToolPart.REVIEWER
        # An empty review gets no further than the table; what passes the table is told apart by its code.
        answer = registry.act(command, by, answers=[])
        found = step(state, ToolCommand(command))
        if found is not None and part in found.parts:
            verdict = command in ("accept", "return")
            assert (code_of(answer) == "FB-JOBS-263") if verdict else (answer.status_code == 200)
        else:
            assert answer.status_code in (403, 404, 409), (state, command, by)
            with reading(registry.fed.hub.engine) as session:
                assert session.scalars(select(ToolVersionRow.state)).one() == state.value


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"publisher_key": SigningKey.generate().key_id}, "FB-JOBS-260"),
        ({"key": SigningKey.generate()}, "FB-CORE-013"),
        ({"entry_point": "os:system"}, "FB-JOBS-260"),
        ({"code": tool_named("noop").code().model_copy(update={"version": "9.9.9"})}, "FB-JOBS-260"),
        ({"title": "<script>alert(1)</script>"}, "FB-ONT-002"),
    ],
    ids=["another-key-named", "sealed-by-another", "another-entry", "another-version", "html"],
)
def test_what_is_not_what_it_says_is_not_taken(registry, changes, code):
    assert code_of(registry.submit(**changes)) == code
    assert registry.states("ada") == []


def test_a_huge_manifest_is_not_taken(registry):
    assert code_of(registry.send("POST", "/v1/tools", "ada", b" " * (LARGEST_BYTES + 1))) == "FB-JOBS-260"


def test_a_name_has_one_publisher(registry):
    registry.submit("bea", draft=True)
    registry.submit("ada")
    assert code_of(registry.submit("bea")) == "FB-JOBS-260"
    registry.act("take-up", "rita")
    registry.act("accept", "rita")
    assert code_of(registry.submit("bea")) == "FB-JOBS-260"


def test_a_revoked_version_begins_no_new_job_and_is_not_published_again(registry):
    fed = registry.fed
    registry.accepted()
    running = fed.submit(fed.manifest(fed.visa()))
    registry.act("deprecate", "ada")
    fed.submit(fed.manifest(fed.visa()))
    registry.act("revoke", "ada", words="Weights were added twice.")
    answer = fed.post("/v1/jobs", fed.manifest(fed.visa()).seal(fed.requester))
    assert code_of(answer) == "FB-JOBS-265"
    assert "Weights were added twice." in answer.json()["title"]
    stopped = fed.get(f"/v1/jobs/{running}").json()
    assert (stopped["state"], stopped["reason"]) == ("failed", "tool_revoked")
    assert code_of(registry.submit(title="Again")) == "FB-JOBS-260"
    # Other code goes on.
    assert (
        fed.post("/v1/jobs", fed.manifest(fed.visa(), "slice-autoencoder").seal(fed.requester)).status_code
        == 201
    )


def test_an_end_needs_a_reason_in_words(registry):
    registry.accepted()
    assert code_of(registry.act("revoke", "ada", words=None)) == "FB-JOBS-263"
    assert code_of(registry.act("revoke", "ada", words="It <b>is</b> wrong.")) == "FB-ONT-002"
    assert code_of(registry.act("revoke", "ada", words="wrong")) == "FB-ONT-002"
    assert registry.states(None) == ["accepted"]


def answered(**changes: Any) -> list[CriterionAnswer]:
    return [CriterionAnswer(criterion=key, met=changes.get(key, True), words=WORDS) for key in CRITERIA]


@pytest.mark.parametrize(
    ("command", "answers"),
    [
        (ToolCommand.ACCEPT, []),
        (ToolCommand.ACCEPT, answered()[1:]),
        (ToolCommand.ACCEPT, [*answered(), answered()[0]]),
        (ToolCommand.ACCEPT, [*answered(), CriterionAnswer(criterion="charm", met=True, words=WORDS)]),
        (ToolCommand.ACCEPT, answered(code=False)),
        (ToolCommand.RETURN, answered()),
    ],
    ids=["none", "one-missing", "one-twice", "one-unknown", "accepted-though-unmet", "returned-though-met"],
)
def test_a_review_answers_each_criterion_once_and_its_verdict_follows(command, answers):
    with pytest.raises(ReviewIncomplete):
        check_answers(command, answers)


def test_every_state_can_be_reached_and_each_step_is_there_once():
    assert {after for *_, after in STEPS} == set(ToolState)
    assert len({(before, command) for before, command, *_ in STEPS}) == len(STEPS)
    assert commands_in(ToolState.REVOKED, ToolPart) == ()


def test_a_criterion_is_answered_in_a_sentence(registry):
    registry.submit()
    registry.act("take-up", "rita")
    short = [{"criterion": key, "met": True, "words": "yes"} for key in CRITERIA]
    assert code_of(registry.act("accept", "rita", answers=short)) == "FB-ONT-002"


def test_the_page_lists_the_criteria_and_states_of_the_code():
    page = (Path(__file__).resolve().parents[2] / "docs/reference/tool-registry.md").read_text(
        encoding="utf-8"
    )
    assert [key for key, text in CRITERIA.items() if f"| `{key}` | {text} |" not in page] == []
    assert [state for state in ToolState if f"`{state.value}`" not in page] == []
