"""How many subjects two sites have in common: two real nodes, a hub that learns nothing, and who may ask how often."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.federated_jobs.conftest import DATASET, FakeSeries, Federation, Site
from typer.testing import CliRunner

from fairbank import audit
from fairbank.cli import node_overlaps
from fairbank.cli.main import app
from fairbank.database import reading, writing
from fairbank.errors import FairbankError, MissingExtra, RemoteError
from fairbank.federated_jobs.hub.store import OverlapRow
from fairbank.federated_jobs.node import overlap_secrets
from fairbank.federated_jobs.node.overlaps import OverlapDesk, count_of, overlaps_here
from fairbank.federated_jobs.node.store import OverlapHereRow
from fairbank.federated_jobs.overlaps import intersecting
from fairbank.federated_jobs.overlaps.errors import (
    IdentifiersRefused,
    OverlapMessageRefused,
    OverlapNotFound,
    OverlapRefused,
)
from fairbank.federated_jobs.overlaps.identifiers import blinded, read_identifiers
from fairbank.federated_jobs.overlaps.messages import OverlapClaim, OverlapStep
from fairbank.ontology.counts import Count
from fairbank.release.errors import NodeSuspendedHere
from fairbank.release.suspension import suspend

PROJECT = "lung-2026"
MARK = "PLANTED"


def numbers(first: int, last: int) -> dict[str, str]:
    """Return a table of identifiers: subject i has the planted number i."""
    return {f"subject-{i}": f"{MARK}{i:06d}".casefold() for i in range(first, last)}


def people(fed: Federation, name: str, first: int, last: int) -> None:
    """Let a site have exactly these subjects, whose consent holds."""
    fed.sites[name].index.series[DATASET] = [
        FakeSeries(f"9.{i}", f"subject-{i}", f"sha256:{i:064x}", fed.folder / "none")
        for i in range(first, last)
    ]


def pin(site: Site, *peers: Site) -> None:
    lines = [f'[[peer]]\nnode = "{peer.name}"\nkey = "{peer.node.key.key_id}"\n' for peer in peers]
    policy = site.node.settings.home / "policy.toml"
    policy.write_text('schema = "site-policy/1"\n' + "".join(lines))
    policy.chmod(0o600)


def desk(fed: Federation, name: str) -> OverlapDesk:
    site = fed.sites[name]
    return OverlapDesk(site.node, site.outbox, site.index)


def ask(fed: Federation, **changes: Any) -> str:
    usual = {"dataset": DATASET, "peer_dataset": DATASET, "project": PROJECT, "by": "eve", "signer": None}
    return desk(fed, "east").ask("north", **{**usual, **changes})


def answer(fed: Federation, name: str, overlap: str, table: dict[str, str], **changes: Any) -> int:
    usual = {"dataset": DATASET, "project": PROJECT, "by": "bob", "signer": None}
    made = desk(fed, name)
    made.poll()
    return made.answer(overlap, table, **{**usual, **changes})


def outcome(fed: Federation, name: str, overlap: str) -> tuple[str, Count | None]:
    (row,) = [row for row in overlaps_here(fed.sites[name].node) if row.id == overlap]
    return row.state, count_of(row)


@pytest.fixture
def two(start: Callable[..., Federation]) -> Federation:
    """Two sites that have pinned each other, with 40 and 50 subjects of whom 20 are the same; and a third."""
    fed = start("east", "north", "west")
    people(fed, "east", 0, 40)
    people(fed, "north", 20, 70)
    east, north = fed.sites["east"], fed.sites["north"]
    pin(east, north)
    pin(north, east)
    return fed


def counted(fed: Federation, east: dict[str, str], north: dict[str, str]) -> str:
    overlap = ask(fed)
    answer(fed, "north", overlap, north)
    answer(fed, "east", overlap, east)
    desk(fed, "north").poll()
    desk(fed, "east").poll()
    return overlap


def test_both_sites_get_the_same_count_and_the_hub_sees_no_identifier(two: Federation) -> None:
    overlap = counted(two, numbers(0, 40), numbers(20, 70))
    for name in ("east", "north"):
        assert outcome(two, name, overlap) == ("done", Count.exact(20))
        assert list(overlap_secrets.folder(two.sites[name].node).iterdir()) == []
    kept = b"".join(path.read_bytes() for path in two.hub.settings.home.rglob("*") if path.is_file())
    assert MARK.encode() not in kept and MARK.lower().encode() not in kept
    assert PROJECT.encode() not in kept
    with reading(two.hub.engine) as session:
        row = session.get_one(OverlapRow, overlap)
        assert (row.step, row.asker, row.answerer) == (4, "east", "north")
    for name in ("east", "north"):
        node = two.sites[name].node
        home = b"".join(path.read_bytes() for path in node.settings.home.rglob("*") if path.is_file())
        assert MARK.lower().encode() not in home, "no identifier is kept at the sites either"
        with reading(node.engine) as session:
            acts = set(session.scalars(select(audit.NodeAudit.act)))
        assert {"overlap.answer", "overlap.tell"} <= acts


def test_a_small_overlap_is_fewer_than_k_at_both(two: Federation) -> None:
    people(two, "north", 37, 70)
    overlap = counted(two, numbers(0, 40), numbers(37, 70))
    assert {outcome(two, name, overlap)[1] for name in ("east", "north")} == {Count.below(5)}


def test_an_overlap_of_nearly_all_is_withheld_too(two: Federation) -> None:
    people(two, "north", 0, 42)
    overlap = counted(two, numbers(0, 40), numbers(0, 42))
    assert {outcome(two, name, overlap)[1] for name in ("east", "north")} == {Count.below(5)}


def test_whoever_withdrew_is_in_no_set(two: Federation) -> None:
    overlap = ask(two)
    people(two, "north", 30, 70)
    assert answer(two, "north", overlap, numbers(20, 70)) == 40
    people(two, "east", 0, 38)
    assert answer(two, "east", overlap, numbers(0, 40)) == 38
    desk(two, "north").poll()
    assert outcome(two, "north", overlap) == ("done", Count.exact(8))


def test_two_datasets_are_counted_once_for_a_project_whoever_asks(two: Federation) -> None:
    counted(two, numbers(0, 40), numbers(20, 70))
    with pytest.raises(OverlapRefused):
        ask(two)
    with pytest.raises(OverlapRefused):
        desk(two, "north").ask(
            "east", dataset=DATASET, peer_dataset=DATASET, project=PROJECT, by="bob", signer=None
        )
    # A hub that forgot lets neither site be asked again: each keeps its own word.
    with writing(two.hub.engine) as session:
        for row in session.scalars(select(OverlapRow)):
            session.delete(row)
    with pytest.raises(OverlapRefused):
        ask(two)
    assert ask(two, project="another") != ""


def test_a_site_says_no_and_nothing_of_its_set_leaves(two: Federation) -> None:
    overlap = ask(two)
    north = desk(two, "north")
    north.poll()
    north.decline(overlap, by="bob", signer=None)
    desk(two, "east").poll()
    assert outcome(two, "east", overlap) == ("declined", None)
    with reading(two.sites["north"].node.engine) as session:
        assert session.get_one(OverlapHereRow, overlap).run is False
    with pytest.raises(OverlapRefused):
        answer(two, "north", overlap, numbers(20, 70))
    assert ask(two) != overlap, "what was declined may be asked again"


def test_a_third_node_neither_sees_nor_changes_an_overlap(two: Federation) -> None:
    overlap = ask(two)
    answer(two, "north", overlap, numbers(20, 70))
    west = two.sites["west"]
    listed = west.outbox.control("POST", "/v1/nodes/west/overlaps", OverlapClaim())
    assert listed["overlaps"] == []
    for message in (OverlapStep(step=3, parcel="AAAA"), OverlapStep(declined=True)):
        with pytest.raises(RemoteError) as refused:
            west.outbox.control("POST", f"/v1/nodes/west/overlaps/{overlap}/steps", message)
        assert refused.value.status == 404
        with pytest.raises(RemoteError):
            west.outbox.control("POST", f"/v1/nodes/east/overlaps/{overlap}/steps", message)
    assert outcome(two, "north", overlap)[0] == "sent"


def test_who_is_not_pinned_is_neither_asked_nor_heard(two: Federation) -> None:
    pin(two.sites["east"])
    with pytest.raises(OverlapRefused, match="not pinned"):
        ask(two)
    pin(two.sites["east"], two.sites["north"])
    pin(two.sites["north"], two.sites["west"])
    ask(two)
    desk(two, "north").poll()
    assert overlaps_here(two.sites["north"].node) == []


def test_a_hub_that_swaps_a_message_ends_the_overlap_and_it_is_not_begun_again(two: Federation) -> None:
    overlap = ask(two)
    answer(two, "north", overlap, numbers(20, 70))
    with writing(two.hub.engine) as session:
        row = session.get_one(OverlapRow, overlap)
        row.step, row.parcel = 3, row.parcel
    desk(two, "north").poll()
    assert outcome(two, "north", overlap) == ("failed", None)
    with pytest.raises(OverlapRefused):
        desk(two, "north").ask(
            "east", dataset=DATASET, peer_dataset=DATASET, project=PROJECT, by="bob", signer=None
        )


@pytest.mark.parametrize("changes", [{"dataset": "other"}, {"project": "other"}])
def test_a_person_answers_what_was_asked_and_nothing_else(two: Federation, changes: dict[str, str]) -> None:
    overlap = ask(two)
    if "dataset" in changes:
        index = two.sites["north"].index
        index.series["other"] = index.series[DATASET]
    with pytest.raises(OverlapRefused):
        answer(two, "north", overlap, numbers(20, 70), **changes)
    with pytest.raises(OverlapRefused):
        answer(two, "east", overlap, numbers(0, 40))
    with pytest.raises(OverlapRefused):
        answer(two, "north", overlap, numbers(20, 23))
    with reading(two.sites["north"].node.engine) as session:
        assert session.get_one(OverlapHereRow, overlap).run is False


def test_what_nobody_answered_in_time_is_over(two: Federation) -> None:
    overlap = ask(two)
    desk(two, "north").poll()
    two.clock.advance(29 * 86_400 + 60)
    with pytest.raises(OverlapRefused):
        answer(two, "north", overlap, numbers(20, 70))
    desk(two, "east").poll()
    assert outcome(two, "east", overlap)[0] == "failed"


def test_a_suspended_node_lets_nothing_leave(two: Federation) -> None:
    overlap = ask(two)
    desk(two, "north").poll()
    node = two.sites["north"].node
    suspend(node, by="eve", signer=None)
    with pytest.raises(NodeSuspendedHere):
        desk(two, "north").answer(
            overlap, numbers(20, 70), dataset=DATASET, project=PROJECT, by="bob", signer=None
        )


def test_a_hub_or_a_peer_of_an_earlier_version_is_said_to_be_one(
    two: Federation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OverlapNotFound):
        pin(two.sites["east"], two.sites["west"])
        policy = two.sites["east"].node.settings.home / "policy.toml"
        policy.write_text(policy.read_text().replace('"west"', '"nobody"'))
        desk(two, "east").ask(
            "nobody", dataset=DATASET, peer_dataset=DATASET, project=PROJECT, by="eve", signer=None
        )
    assert overlaps_here(two.sites["east"].node) == [], "what was not asked can be asked again"

    def gone(*_: Any, **__: Any) -> None:
        error = RemoteError("Not found.")
        error.status = 404
        raise error

    made = desk(two, "east")
    monkeypatch.setattr(type(made.outbox), "ask", gone)
    with pytest.raises(OverlapNotFound, match="overlaps"):
        made.poll()


def test_an_agent_goes_on_by_itself_once_people_have_answered(two: Federation) -> None:
    overlap = ask(two)
    answer(two, "north", overlap, numbers(20, 70))
    answer(two, "east", overlap, numbers(0, 40))
    for name in ("north", "east"):
        two.sites[name].agent.answer_counts()
    assert outcome(two, "east", overlap) == ("done", Count.exact(20))


def test_a_blinded_set_is_only_as_large_as_it_says() -> None:
    items = blinded([f"{i:08d}" for i in range(30)], b"p" * 32)
    secret, asked = intersecting.request(items)
    with pytest.raises(OverlapMessageRefused):
        intersecting.respond(items, asked, of=10)
    with pytest.raises(OverlapMessageRefused):
        intersecting.respond(items, b"junk", of=10)
    setup, response = intersecting.respond(items[:12], asked, of=30)
    assert intersecting.size(secret, setup, response) == 12
    with pytest.raises(OverlapMessageRefused):
        intersecting.size(secret, b"junk", response)
    assert all(each.encode() not in asked for each in items)


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2\n",
        "subject,identifier\ns,12345\n",
        "subject,identifier\ns,123456\ns,123457\n",
        "subject,identifier\n,1\n",
    ],
)
def test_a_table_that_cannot_be_meant_is_refused_without_quoting_it(tmp_path: Path, text: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(text)
    with pytest.raises(IdentifiersRefused) as refused:
        read_identifiers(table)
    assert "12345" not in json.dumps([refused.value.what, refused.value.why, refused.value.todo])
    table.write_text("subject,identifier\ns-1, 12-34.56 \n")
    assert read_identifiers(table) == {"s-1": "123456"}


def test_without_the_library_nothing_is_answered(two: Federation, monkeypatch: pytest.MonkeyPatch) -> None:
    overlap = ask(two)

    def missing() -> None:
        raise MissingExtra.named("psi", needed_for="Counting an overlap")

    monkeypatch.setattr(intersecting, "require_library", missing)
    with pytest.raises(FairbankError, match="'psi'"):
        answer(two, "north", overlap, numbers(20, 70))


def test_people_do_all_of_it_by_commands(
    two: Federation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed(name: str, *words: str) -> str:
        monkeypatch.setattr(node_overlaps, "node", lambda ctx: two.sites[name].node)
        monkeypatch.setattr(node_overlaps, "_desk", lambda opened: desk(two, name))
        done = CliRunner().invoke(app, ["node", "overlap", *words])
        assert done.exit_code == 0, done.output
        return done.stdout + done.stderr

    tables = {}
    for name, table in (("east", numbers(0, 45)), ("north", numbers(20, 70))):
        tables[name] = tmp_path / f"{name}.csv"
        rows = (f"{subject},{identifier}\n" for subject, identifier in table.items())
        tables[name].write_text("subject,identifier\n" + "".join(rows))
    meant = ("--dataset", DATASET, "--project", PROJECT)
    asked = typed("east", "ask", "north", *meant, "--peer-dataset", DATASET)
    (overlap,) = [word.strip(".:") for word in asked.split() if word.count("-") == 4]
    assert "decide" in typed("north", "list")
    said = typed("north", "answer", overlap, *meant, "--identifiers", str(tables["north"]))
    assert "learns how many of them are here" in said and "50 subjects are in the set" in said
    said = typed("east", "answer", overlap, *meant, "--identifiers", str(tables["east"]))
    assert "40 subjects are in the set; 5 lines of the table are left out" in said
    typed("north", "list")
    (row,) = json.loads(typed("east", "list", "--format", "json"))
    assert (row["state"], row["subjects in common"]) == ("done", "20")
