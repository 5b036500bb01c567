"""A hub as it is after some months: requests in every state, votes, grants, a job and its model, comments, notices.

Everything that somebody wrote and not everybody may read holds a word of its own, and `Written` says who may read it.
What can be written over routes is; a model and notices are rows, as the hub itself makes them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.testclient import TestClient
from tests.catalogue.conftest import BASE, Person, TestNode, make_record
from tests.catalogue.granting import a_request
from tests.web.filled_jobs import fill_jobs

from fairbank import audit_checkpoints
from fairbank.catalogue import accounts, facet_reading
from fairbank.catalogue.accounts import Role
from fairbank.catalogue.context import Hub, init_hub
from fairbank.catalogue.governance.store import NoticeRow
from fairbank.catalogue.identity import page_keys, roles, tokens
from fairbank.catalogue.identity.model import TokenScope
from fairbank.clock import FixedClock, iso
from fairbank.database import writing
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.hub.store import ModelRow
from fairbank.federated_jobs.manifest import draft
from fairbank.ontology.count_questions import CountQuestion
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Person as Named
from fairbank.ontology.signed_objects import Purpose, Selector, Visa, VisaDataset
from fairbank.settings import Settings
from fairbank.signing import seal
from fairbank.web.hub_app import create_app

LUNGS, BRAINS, HEARTS = (f"{BASE}/datasets/{name}" for name in ("alpha/lungs", "alpha/brains", "beta/hearts"))
A_PDF = b"%PDF-1.7\n"
A_MODEL = "sha256:" + "5" * 64
# Whoever may read every request that was submitted.
OVERSEERS = frozenset({"anna", "ursula", "robin"})
# The committees of the two nodes, and their curators.
OF_ALPHA, OF_BETA = frozenset({"carla", "dora", "colin"}), frozenset({"kurt"})
LENAS_PASSPHRASE = "nine quiet herons"
CURATORS = {"alpha": "cora", "beta": "carl"}
PEOPLE: dict[str, tuple[Role, ...]] = {
    "rita": (Role.RESEARCHER,),
    "otto": (Role.RESEARCHER,),
    "lena": (Role.RESEARCHER,),
    "carla": (Role.COMMITTEE,),
    "dora": (Role.COMMITTEE,),
    "colin": (Role.COMMITTEE,),
    "kurt": (Role.COMMITTEE,),
    "cora": (),
    "carl": (),
    "anna": (Role.ADMIN,),
    "ursula": (Role.AUDITOR,),
    "nora": (),
    "robin": (Role.ADMIN,),
}


@dataclass(frozen=True)
class Written:
    """A private text: the word in it that is nowhere else, what it is, and who may read it."""

    word: str
    what: str
    readers: frozenset[str]


@dataclass
class Filled:
    """The hub, who is at it, the ids of what is there by the name of the parameter that routes take, and the texts."""

    hub: Hub
    app: Any
    people: dict[str, Person] = field(default_factory=dict)
    nodes: dict[str, TestNode] = field(default_factory=dict)
    ids: dict[str, list[str]] = field(default_factory=dict)
    # Of each request: its legs, visa and documents.
    parts: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    envelopes: dict[str, list[bytes]] = field(default_factory=dict)
    written: list[Written] = field(default_factory=list)
    # Jobs and models that `filled_jobs` adds, by its names for them, and the permit that the jobs run under.
    jobs: dict[str, str] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    permit: str = ""
    # What is written after the word of each text, by what it is; and what records say beside what is usual.
    adds: Callable[[str], str] = lambda what: ""
    describes: Callable[[], dict[str, Any]] = dict

    def __post_init__(self) -> None:
        self.client = TestClient(self.app, base_url=BASE)

    # -- what people do --------------------------------------------------------------------------------------------

    def say(self, what: str, readers: Collection[str]) -> str:
        """Return a word for a text, and note who may read it."""
        word = f"only-{len(self.written):03d}-" + what.replace(" ", "-")
        self.written.append(Written(word, what, frozenset(readers)))
        return word + self.adds(what)

    def publish(self, node: str, dataset: str) -> None:
        """Let a node publish a collection."""
        sealed = make_record(node, dataset, **self.describes()).seal(self.nodes[node].key)
        answer = self.nodes[node].release(sealed, door_class="record", output=f"record-{dataset}")
        assert answer.status_code == 200, answer.text

    def call(self, who: str, method: str, path: str, body: dict[str, Any] | bytes | None = None) -> Any:
        """Send what has to be accepted, and return the answer."""
        content = json.dumps(body) if isinstance(body, dict) else body
        answer = self.client.request(method, path, content=content, headers=self.people[who].headers)
        assert answer.status_code < 300, (who, method, path, answer.text)
        return answer.json() if answer.content else None

    def note(self, name: str, given: str) -> str:
        self.ids.setdefault(name, []).append(given)
        return given

    def readers_of(self, who: str, node: str) -> frozenset[str]:
        """Return who has a part in a submitted request of somebody's to a node."""
        seats = OF_ALPHA if node == "alpha" else OF_BETA
        return frozenset({who, CURATORS[node]}) | seats | OVERSEERS

    def submitted(self, who: str, iri: str, state: str, **changes: Any) -> str:
        """Submit a request whose texts are its own, and return its id."""
        node = iri.split("/")[-2]
        readers = self.readers_of(who, node)
        asker = self.people[who]
        request = a_request(
            self.hub,
            asker,
            [iri],
            title=self.say(f"title of what is {state}", readers),
            purpose=Purpose(
                data_use=("DUO:0000006",), statement=self.say(f"purpose of what is {state}", readers)
            ),
            people=(
                Named(
                    name=self.say(f"colleague in what is {state}", readers),
                    organisation="University",
                    role="analyst",
                ),
            ),
            output_classes=(OutputClass.MEASUREMENTS, OutputClass.MODEL_UPDATE),
            **changes,
        )
        envelope = request.seal(asker.key)
        self.call(who, "POST", "/v1/requests", envelope)
        self.envelopes.setdefault("request", []).append(envelope)
        self.note("request_id", request.id)
        self.call(
            who,
            "POST",
            f"/v1/requests/{request.id}/comments",
            {"schema": "comment/1", "text": self.say(f"comment on what is {state}", readers)},
        )
        self.parts[request.id] = {"leg": self.legs(who, request.id), "state": [state]}
        return request.id

    def legs(self, who: str, request: str) -> list[str]:
        seen = self.call(who, "GET", f"/v1/requests/{request}")
        found = [leg["id"] for leg in seen["legs"]]
        for leg in found:
            if leg not in self.ids.get("leg", []):
                self.note("leg", leg)
                self.note("leg_id", leg)
        return found

    def propose(self, who: str, request: str, **terms: Any) -> None:
        until = iso(self.hub.clock.now() + timedelta(days=30))
        families = {"tool_families": ["benchmark"], "maximum_runs": 20}
        body = {"schema": "proposal/1", "terms": {"until": until, **families, **terms}}
        for leg in self.parts[request]["leg"]:
            self.call(who, "POST", f"/v1/reviews/{leg}/proposal", body)

    def vote(self, who: str, request: str, word: str, readers: frozenset[str]) -> None:
        said = self.say(f"vote of {who} on what is {self.parts[request]['state'][0]}", readers)
        body = {"schema": "votes/1", "ids": self.parts[request]["leg"], "word": word, "comment": said}
        answer = self.call(who, "POST", "/v1/reviews/votes", body)
        assert all(each["status"] == "ok" for each in answer["results"]), answer

    def decide(self, request: str, word: str = "approve", *, told: bool = True, **terms: Any) -> None:
        """Let two of alpha's committee say the same and so decide, and the third before them the contrary.

        Args:
            told: the reasons of the two are in the letter to the requester, as they are until something later is
                decided.
        """
        self.propose("carla", request, **terms)
        against = "decline" if word == "approve" else "approve"
        self.vote("colin", request, against, OF_ALPHA | OVERSEERS)
        for member in ("carla", "dora"):
            self.vote(member, request, word, OF_ALPHA | OVERSEERS | ({"rita"} if told else set()))

    def grant(self, who: str, request: str) -> None:
        (visa, *_) = self.call(who, "GET", f"/v1/requests/{request}")["grants"]
        self.note("visa_id", visa["id"])
        self.parts[request]["visa_id"] = [visa["id"]]

    def document(self, who: str, request: str, readers: frozenset[str], *, kind: str = "other") -> str:
        name = self.say("name of a document", readers)
        content = A_PDF + self.say("content of a document", readers).encode() + b"\n%%EOF\n"
        path = f"/v1/requests/{request}/documents?name={quote(name)}.pdf&kind={kind}"
        digest: str = self.call(who, "POST", path, content)["digest"]
        self.note("digest", digest)
        self.parts.setdefault(request, {}).setdefault("digest", []).append(digest)
        return digest


def fill(home: Path, **wording: Any) -> Filled:
    """Make the hub of this folder and everything in it; `wording` is `adds` and `describes` of what is filled."""
    unlimited = replace(
        Settings(home=home), limits_account_requests=0, limits_origin_requests=0, limits_node_requests=0
    )
    hub = init_hub(unlimited, FixedClock(), public_base_iri=BASE)
    filled = Filled(hub, create_app(hub), **wording)
    _nodes(filled)
    _people(filled)
    _committees(filled)
    _drafts(filled)
    _decided(filled)
    _of_another(filled)
    _job(filled)
    _notices(filled)
    fill_jobs(filled, (LUNGS, HEARTS))
    return filled


def _nodes(filled: Filled) -> None:
    for iri in (LUNGS, BRAINS, HEARTS):
        *_, name, dataset = iri.split("/")
        node = filled.nodes.get(name) or TestNode(filled.hub, filled.client, name).enrol()
        filled.nodes[name] = node
        filled.publish(name, dataset)
    filled.ids |= {"node": ["alpha", "beta"], "dataset": ["lungs", "brains", "hearts"]}


def _people(filled: Filled) -> None:
    hub = filled.hub
    for name, held in PEOPLE.items():
        filled.people[name] = Person(hub, name, *held)
        filled.note("account", name)
        with writing(hub.engine) as session:
            # Nobody's token ends within the test.
            filled.people[name].token = accounts.issue_token(session, hub, name=name, hours=24 * 365).token
    with writing(hub.engine) as session:
        for node, name in CURATORS.items():
            roles.give(session, hub, account=name, role=Role.CURATOR, node=node, actor="operator")
        wish = tokens.NewToken(name="reads", scopes=(TokenScope.READ,), days=300)
        filled.people["robin"].token = tokens.make(session, hub, account="robin", wish=wish)[1]
        lena = accounts.find(session, "lena")
    # The one whose key the hub keeps.
    page_keys.make(hub, lena, LENAS_PASSPHRASE, replace=True)
    for name in ("rita", "carla"):
        # Addresses are written to and never shown, not even to herself.
        address = filled.say(f"mail address of {name}", (name,))
        filled.call(
            name, "PUT", "/v1/notices/address", {"schema": "address/1", "email": f"{address}@mail.test"}
        )
    token = {"schema": "new-token/1", "name": filled.say("name of a token", {"rita"}), "scopes": ["read"]}
    filled.note("token_id", filled.call("rita", "POST", "/v1/account/tokens", token)["id"])


def _committees(filled: Filled) -> None:
    for node, members in (("alpha", ("carla", "dora", "colin")), ("beta", ("kurt",))):
        wish = {
            "schema": "committee/1",
            "title": f"Access to {node}{filled.adds('committee')}",
            "quorum": min(2, len(members)),
        }
        made = filled.note("committee", filled.call("anna", "POST", "/v1/committees", wish)["id"])
        scope = {"schema": "committee-scope/1", "node": node}
        filled.call("anna", "POST", f"/v1/committees/{made}/scopes", scope)
        for place, name in enumerate(members):
            seat = {"schema": "committee-member/1", "chair": place == 0}
            filled.call("anna", "PUT", f"/v1/committees/{made}/members/{name}", seat)


def _drafts(filled: Filled) -> None:
    for who in ("rita", "otto"):
        wish = {
            "schema": "request-draft/1",
            "title": filled.say(f"title of a draft of {who}", {who}),
            "statement": filled.say(f"purpose of a draft of {who}", {who}),
            "datasets": [LUNGS],
        }
        made = filled.note("request_id", filled.call(who, "POST", "/v1/requests/drafts", wish)["id"])
        filled.parts[made] = {"leg": []}
        filled.document(who, made, frozenset({who}))


def _decided(filled: Filled) -> None:
    """Let requests of rita's come into every state."""
    call, seen = filled.call, filled.readers_of("rita", "alpha")
    committee = OF_ALPHA | OVERSEERS

    waiting = filled.submitted("rita", LUNGS, "in review")
    filled.propose("carla", waiting)
    # Colin has a conflict of interest here: from then on the committee's own words are not for him, and why he has it
    # is for nobody.
    conflict = {"schema": "conflict/1", "reason": filled.say("conflict of colin", ())}
    call("colin", "POST", f"/v1/reviews/{filled.parts[waiting]['leg'][0]}/conflict", conflict)
    filled.vote("carla", waiting, "approve", committee - {"colin"})
    said = {
        "schema": "comment/1",
        "audience": "committee",
        "text": filled.say("comment to the committee", committee - {"colin"}),
    }
    call("carla", "POST", f"/v1/requests/{waiting}/comments", said)
    filled.document("rita", waiting, seen)

    returned = filled.submitted("rita", LUNGS, "returned")
    note = {"schema": "command/1", "note": filled.say("why it was returned", seen)}
    leg = filled.parts[returned]["leg"][0]
    call("carla", "POST", f"/v1/requests/{returned}/legs/{leg}/commands/return", note)

    filled.decide(filled.submitted("rita", LUNGS, "declined"), "decline")

    agreed = filled.submitted("rita", BRAINS, "waiting for conditions")
    title = filled.say("title of an agreement", seen | {"lena"})
    condition = filled.say("condition", seen | {"lena"})
    filled.decide(agreed, conditions=[condition], agreement={"countersigner": "lena", "title": title})
    # Who countersigns has a part in the request.
    _also_for(filled, agreed, "waiting for conditions", "lena")

    for state in ("granted", "revoked", "completed", "paused"):
        granted = filled.submitted("rita", LUNGS, state)
        filled.decide(granted, told=state != "revoked")
        filled.grant("rita", granted)
        if state == "revoked":
            why = {"schema": "revocation/1", "reason": filled.say("why it was revoked", seen)}
            call("carla", "POST", f"/v1/grants/{filled.parts[granted]['visa_id'][0]}/revoke", why)
        elif state == "completed":
            report = {"schema": "closing-report/1", "summary": filled.say("closing report", seen)}
            call("rita", "POST", f"/v1/requests/{granted}/closing-report", report)
            call("rita", "POST", f"/v1/requests/{granted}/complete")
        elif state == "paused":
            why = {"schema": "command/1", "note": filled.say("why it was paused", seen)}
            call("rita", "POST", f"/v1/requests/{granted}/commands/pause", why)

    withdrawn = filled.submitted("rita", LUNGS, "withdrawn")
    call("rita", "POST", f"/v1/requests/{withdrawn}/withdraw")


def _also_for(filled: Filled, request: str, state: str, name: str) -> None:
    filled.written = [
        replace(each, readers=each.readers | {name})
        if each.what.endswith(f"what is {state}") and not each.what.startswith("vote")
        else each
        for each in filled.written
    ]


def _of_another(filled: Filled) -> None:
    """Let otto ask beta, whose committee has one member: one request waits, one is granted."""
    waiting = filled.submitted("otto", HEARTS, "in review at beta")
    said = {
        "schema": "comment/1",
        "audience": "committee",
        "text": filled.say("comment to the committee of beta", OF_BETA | OVERSEERS),
    }
    filled.call("kurt", "POST", f"/v1/requests/{waiting}/comments", said)
    granted = filled.submitted("otto", HEARTS, "granted at beta")
    filled.propose("kurt", granted)
    filled.vote("kurt", granted, "approve", OF_BETA | OVERSEERS | {"otto"})
    filled.grant("otto", granted)


def _job(filled: Filled) -> None:
    """Submit a job of rita's, give it a model, and let her ask for a live count."""
    hub, rita = filled.hub, filled.people["rita"]
    granted = next(request for request, of in filled.parts.items() if of.get("state") == ["granted"])
    (grant, *_) = filled.call("rita", "GET", f"/v1/requests/{granted}")["grants"]
    _, sealed = Visa.open(json.dumps(grant["envelope"]).encode(), trusted=None)
    title = filled.say("title of a job", {"rita"} | OVERSEERS)
    manifest = draft(sealed, tool_named("noop"), {}, clock=hub.clock, title=title)
    job = filled.note("job_id", filled.call("rita", "POST", "/v1/jobs", manifest.seal(rita.key))["id"])
    later = draft(sealed, tool_named("noop"), {}, clock=hub.clock, title="Once more")
    filled.envelopes["job"] = [manifest.seal(rita.key), later.seal(rita.key)]
    digest = filled.note("digest", A_MODEL)
    with writing(hub.engine) as session:
        session.add(
            ModelRow(
                digest=digest,
                job=job,
                round=1,
                size_bytes=1,
                provenance={
                    "code": manifest.code.model_dump(mode="json"),
                    "datasets": [LUNGS],
                    "nodes": ["alpha"],
                },
                created=hub.clock.now(),
            )
        )
    question = CountQuestion(
        id=hub.clock.new_id(),
        requester_key=rita.key.key_id,
        requester_account="rita",
        # The node is told this, and of accounts only who asked.
        datasets=(
            VisaDataset(
                iri=LUNGS, selector=Selector(manufacturer=(filled.say("what is counted", ("rita",)),))
            ),
        ),
        created=iso(hub.clock.now()),
    )
    filled.envelopes["count"] = [question.seal(rita.key)]
    filled.call("rita", "POST", "/v1/counts", filled.envelopes["count"][0])
    filled.note("question", question.id)
    filled.envelopes["key"] = [seal("account-key", {"schema": "account-key/1"}, rita.key)]


def _notices(filled: Filled) -> None:
    now = filled.hub.clock.now()
    with writing(filled.hub.engine) as session:
        for name in ("rita", "otto", "carla", "nora"):
            session.add(
                NoticeRow(
                    id=filled.hub.clock.new_id(),
                    key=f"of the test for {name}",
                    account=name,
                    request=None,
                    subject=filled.say(f"subject of a notice to {name}", {name}),
                    text=filled.say(f"text of a notice to {name}", {name}),
                    made=now,
                )
            )


class Kept:
    """The hub as it was when this was made, to be put back after whatever has been changed."""

    def __init__(self, filled: Filled) -> None:
        self._filled = filled
        self._file = filled.hub.settings.home / "hub.db"
        self._kept = sqlite3.connect(":memory:", check_same_thread=False)
        with closing(sqlite3.connect(self._file)) as now:
            now.backup(self._kept)
        self._watch = sqlite3.connect(self._file, check_same_thread=False)
        self._seen = self._version()
        self._files = {path: path.read_bytes() for path in self._folders() if path.is_file()}

    def put_back(self) -> bool:
        """Put everything back if the database was written to; return whether it was."""
        if self._version() == self._seen:
            return False
        with closing(sqlite3.connect(self._file, timeout=30)) as now:
            now.execute("PRAGMA synchronous=OFF")
            self._kept.backup(now)
        for path in self._folders():
            if path.is_file() and path not in self._files:
                path.unlink()
        for path, content in self._files.items():
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        # What a process remembers of a log and of the catalogue, which only ever grow, would be ahead of them.
        audit_checkpoints._TREES.clear()
        facet_reading._KEPT.clear()
        self._seen = self._version()
        return True

    def close(self) -> None:
        self._kept.close()
        self._watch.close()

    def _version(self) -> int:
        # Changes with each commit of another connection (https://www.sqlite.org/pragma.html#pragma_data_version).
        version: int = self._watch.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _folders(self) -> list[Path]:
        home = self._filled.hub.settings.home
        return [path for path in home.rglob("*") if path.parent != home and "rdf" not in path.parts]
