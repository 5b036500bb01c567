"""The site's policy file: what it approves without asking, and everything because of which it approves nothing."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import select, update

from fairbank.audit import NodeAudit
from fairbank.clock import FixedClock
from fairbank.database import reading, writing
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.errors import SitePolicyRefused, SiteRefusal
from fairbank.federated_jobs.node.approval import authorise
from fairbank.federated_jobs.node.policy_file import FILE_NAME, MANIFESTS, accept, read_policy
from fairbank.federated_jobs.node.site_policy import Asked, covering, parse, publishers_of
from fairbank.federated_jobs.node.store import ApprovalRow, ReviewRow
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Code, Purpose, SiteApproval
from fairbank.ontology.tools import LegalStatus, ToolInputs, ToolManifest
from fairbank.release.errors import PersonNeeded
from fairbank.release.node import Node, init_node
from fairbank.release.people import add_person, retire, unlock
from fairbank.release.store import DecisionRow
from fairbank.settings import Settings
from fairbank.signing import SigningKey

REQUESTER, OTHER = SigningKey.generate().key_id, SigningKey.generate().key_id
PUBLISHER = SigningKey.generate()
CODE = Code(name="tool", family="measurements", version="1.0.0", digest="sha256:" + "1" * 64)
PHRASE = "correct horse"
TODAY = date(2026, 1, 5)


def written(**changes: object) -> str:
    """Return a policy of one rule; a change of None leaves the line out."""
    lines: dict[str, object] = {
        "name": '"of-the-consortium"',
        "requesters": f'["{REQUESTER}"]',
        "tools": f'["{CODE.digest}"]',
        "purposes": '["DUO:0000042"]',
        "until": "2026-06-30",
        **changes,
    }
    body = "\n".join(f"{name} = {value}" for name, value in lines.items() if value is not None)
    return f'schema = "site-policy/1"\n[[allow]]\n{body}\n'


def asked(**changes: object) -> Asked:
    whole = Asked(
        requester_key=REQUESTER,
        code=CODE,
        publishers=frozenset(),
        purpose=Purpose(data_use=("DUO:0000042",), statement="Research."),
        datasets=frozenset({"ct"}),
        outputs=frozenset({OutputClass.MEASUREMENTS}),
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


class TestRules:
    def test_what_every_line_covers_is_named_by_its_rule(self) -> None:
        rule = covering(parse(written()), asked(), today=TODAY)
        assert rule is not None and rule.name == "of-the-consortium"

    @pytest.mark.parametrize(
        "change",
        [
            {"requester_key": OTHER},
            {"code": CODE.model_copy(update={"digest": "sha256:" + "2" * 64})},
            {"purpose": Purpose(data_use=("DUO:0000042", "DUO:0000007"), statement="More.")},
            {"purpose": Purpose(data_use=("DUO:0000042",), statement="Sale.", commercial=True)},
            {"outputs": frozenset({OutputClass.MODEL_UPDATE})},
            {"datasets": frozenset()},
        ],
        ids=["requester", "code", "purpose", "commercial", "model update", "no dataset"],
    )
    def test_what_one_line_does_not_cover_waits_for_a_person(self, change: dict[str, object]) -> None:
        assert covering(parse(written()), asked(**change), today=TODAY) is None

    def test_a_rule_ends_with_its_last_day(self) -> None:
        policy = parse(written())
        assert covering(policy, asked(), today=date(2026, 6, 30)) is not None
        assert covering(policy, asked(), today=date(2026, 7, 1)) is None

    def test_a_rule_that_names_datasets_covers_no_other(self) -> None:
        policy = parse(written(datasets='["ct"]'))
        assert covering(policy, asked(), today=TODAY) is not None
        assert covering(policy, asked(datasets=frozenset({"ct", "mr"})), today=TODAY) is None

    def test_a_model_update_is_covered_where_it_is_named(self) -> None:
        update = asked(outputs=frozenset({OutputClass.MODEL_UPDATE}))
        assert covering(parse(written(outputs='["model-update"]')), update, today=TODAY) is not None

    def test_a_tool_counts_by_the_key_of_its_publisher(self) -> None:
        policy = parse(written(tools=None, publishers=f'["{PUBLISHER.key_id}"]'))
        assert covering(policy, asked(), today=TODAY) is None
        assert covering(policy, asked(publishers=frozenset({PUBLISHER.key_id})), today=TODAY) is not None


class TestPublishers:
    def test_a_manifest_counts_for_exactly_its_code_and_a_pinned_key(self) -> None:
        sealed = [b"no envelope", _tool().seal(PUBLISHER)]
        pinned = {PUBLISHER.key_id}
        assert publishers_of(CODE, sealed, pinned=pinned) == pinned
        other = CODE.model_copy(update={"digest": "sha256:" + "2" * 64})
        assert publishers_of(other, sealed, pinned=pinned) == frozenset()
        assert publishers_of(CODE, sealed, pinned={OTHER}) == frozenset()

    def test_who_seals_a_manifest_in_the_name_of_another_counts_nothing(self) -> None:
        forger = SigningKey.generate()
        sealed = [_tool().seal(forger)]
        assert publishers_of(CODE, sealed, pinned={PUBLISHER.key_id, forger.key_id}) == frozenset()


def _tool(code: Code = CODE) -> ToolManifest:
    return ToolManifest(
        code=code,
        title="A tool",
        description="Measures.",
        publisher="Example",
        publisher_key=PUBLISHER.key_id,
        entry_point="example.tool:TOOL",
        inputs=ToolInputs(),
        parameters={},
        outputs=tool_named("intensity-geometry").outputs,
        intended_use="Research.",
        legal_status=LegalStatus.RESEARCH_ONLY,
        licence="Apache-2.0",
        created="2026-01-05T00:00:00.000Z",
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("allow = [", "TOML"),
        ('schema = "site-policy/2"', "schema"),
        ("", "schema"),
        (written() + "surprise = 1\n", "surprise"),
        ("allow_everything = true\n" + written(), "allow_everything"),
        (written(requesters="[]"), "requesters"),
        (written(requesters=None), "requesters"),
        (written(requesters='["ada"]'), "requesters"),
        (written(requesters=f'"{REQUESTER}"'), "requesters"),
        (written(tools=None), "neither tools nor publishers"),
        (written(tools='["sha256:123"]'), "tools"),
        (written(purposes=None), "purposes"),
        (written(purposes='["research"]'), "purposes"),
        (written(until=None), "until"),
        (written(until='"soon"'), "until"),
        (written(until="2026-06-30T10:00:00Z"), "datetime"),
        (written(hold='"yes"'), "hold"),
        (written(outputs='["images"]'), "outputs"),
        (written() + written().partition("\n")[2], "same name"),
    ],
)
def test_a_policy_that_is_not_as_it_has_to_be_says_where(text: str, says: str) -> None:
    with pytest.raises(SitePolicyRefused) as caught:
        parse(text)
    assert says in caught.value.why


# -- the file -----------------------------------------------------------------------------------------------------


@pytest.fixture
def node(tmp_path: Path, clock: FixedClock) -> Node:
    return init_node(replace(Settings(), home=tmp_path / "node"), clock, name="east")


def put(node: Node, text: str = "", mode: int = 0o600) -> Path:
    path = node.settings.home / FILE_NAME
    path.write_text(text or written())
    path.chmod(mode)
    return path


def test_without_a_file_nothing_is_wrong_and_nothing_counts(node: Node) -> None:
    found = read_policy(node)
    assert (found.counts, found.problem) == (False, None)


def test_a_file_that_a_setting_names_has_to_be_there(node: Node, tmp_path: Path) -> None:
    named = replace(node, settings=replace(node.settings, node_policy_file=str(tmp_path / "gone.toml")))
    assert read_policy(named).problem is not None


@pytest.mark.parametrize("how", ["others may write", "a link", "a folder", "of another user", "no text"])
def test_a_file_that_is_not_the_operator_s_alone_counts_nothing(node: Node, tmp_path: Path, how: str) -> None:
    path = put(node, mode=0o620 if how == "others may write" else 0o600)
    assert how == "others may write" or read_policy(node).counts
    if how == "a link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    if how == "a folder":
        path.unlink()
        path.mkdir()
    if how == "of another user":
        if os.geteuid() != 0:
            pytest.skip("only root gives files away")
        os.chown(path, 70001, 70001)
    if how == "no text":
        path.write_bytes(b"\xff\xfe")
    found = read_policy(node)
    assert not found.counts
    assert found.problem is not None and found.problem.code == "FB-JOBS-183"


def test_once_persons_are_named_a_policy_counts_as_one_of_them_signed_it(node: Node) -> None:
    put(node)
    add_person(node, "ada", PHRASE)
    ada = unlock(node, "ada", PHRASE)
    assert not read_policy(node).counts
    with pytest.raises(PersonNeeded):
        accept(node, by="curator")
    assert accept(node, by="-", signer=ada).counts
    put(node, written(hold="true"))
    found = read_policy(node)
    assert not found.counts and found.problem is not None and "signed" in found.problem.why
    accept(node, by="-", signer=ada)
    add_person(node, "ben", PHRASE, by=ada)
    retire(node, "ada", by=unlock(node, "ben", PHRASE))
    assert not read_policy(node).counts


def test_there_is_nothing_to_sign_where_there_is_no_file(node: Node) -> None:
    with pytest.raises(SitePolicyRefused):
        accept(node, by="curator")


# -- jobs ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


def ours(fed, **changes) -> str:
    tool = tool_named("intensity-geometry")
    lines = {"requesters": f'["{fed.requester.key_id}"]', "tools": f'["{tool.digest}"]', **changes}
    return written(until="2099-01-01", **lines)


def state(site, job: str) -> str:
    with reading(site.node.engine) as session:
        return session.get_one(ReviewRow, job).state


def arrived(fed) -> str:
    job = fed.submit(fed.manifest(fed.visa(), "intensity-geometry"))
    fed.settle()
    return job


def test_a_job_that_the_policy_covers_runs_and_the_rule_is_named(fed, site):
    put(site.node, ours(fed))
    job = arrived(fed)
    assert fed.state(job) == "completed"
    digest = read_policy(site.node).digest
    with reading(site.node.engine) as session:
        row = session.get_one(ApprovalRow, job)
        consent, _ = SiteApproval.open(row.envelope, trusted=None)
        (audited,) = session.scalars(
            select(NodeAudit).where(NodeAudit.act == "job.approve", NodeAudit.target == job)
        )
    assert row.rule == "policy:of-the-consortium"
    assert consent.approved_by == f"rule of-the-consortium of the site's policy {digest}"
    assert audited.actor == consent.approved_by


@pytest.mark.parametrize("why", ["a requester that the hub invented", "a file that cannot be used"])
def test_what_the_policy_does_not_cover_waits_for_a_person(fed, site, why):
    put(site.node, ours(fed, requesters=f'["{OTHER}"]') if why.startswith("a requester") else "allow = [")
    assert state(site, arrived(fed)) == "pending_review"


def test_a_job_of_a_pinned_publisher_runs_and_its_outputs_wait_where_the_rule_says_so(fed, site):
    put(site.node, ours(fed, tools=None, publishers=f'["{PUBLISHER.key_id}"]', hold="true"))
    folder = site.node.settings.home / MANIFESTS
    folder.mkdir()
    (folder / "tool.json").write_bytes(_tool(tool_named("intensity-geometry").code()).seal(PUBLISHER))
    job = arrived(fed)
    assert fed.site_state(job, "east")[0] == "output_review"


def test_what_a_signed_policy_approved_runs_only_as_it_was_signed(fed, site):
    add_person(site.node, "ada", PHRASE)
    put(site.node, ours(fed))
    accept(site.node, by="-", signer=unlock(site.node, "ada", PHRASE))
    job = fed.submit(fed.manifest(fed.visa(), "intensity-geometry"))
    site.agent.step()
    assert state(site, job) == "approved"
    (site.node.settings.home / FILE_NAME).unlink()  # what was approved before goes on
    with writing(site.node.engine) as session:
        authorise(site.node, session, job, source=site.index)
    with writing(site.node.engine) as session:
        session.execute(update(DecisionRow).values(detail={"rules": []}))
    with writing(site.node.engine) as session, pytest.raises(SiteRefusal) as caught:
        authorise(site.node, session, job, source=site.index)
    assert caught.value.reason.value == "approval_invalid"
