"""Which tools fit which datasets, by what the catalogue holds, for the eyes of who asks; and the commands of tools."""

from __future__ import annotations

import json

import pytest
from tests.federated_jobs.catalogue_rows import dataset_row, iri
from tests.federated_jobs.conftest import _free_port, serve
from tests.federated_jobs.test_tool_registry import Registry

from fairbank.catalogue.store import DatasetRow, DistributionRow, StratumRow
from fairbank.database import writing
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.node.site_policy import publishers_of
from fairbank.federated_jobs.tool_review import CRITERIA
from fairbank.web.hub_app import create_app


@pytest.fixture
def fed(start):
    made = start("east", "north")
    cells = {
        "east": [("CT", "CHEST", "1-1.5", 12, "exact")],
        "north": [("MR", "HEAD", "<1", None, "below-k")],
    }
    with writing(made.hub.engine) as session:
        for name, rows in cells.items():
            session.add(dataset_row(name, made.clock.now()))
            session.flush()
            for modality, part, band, series, status in rows:
                session.add(
                    StratumRow(
                        iri=iri(name), modality=modality, body_part=part, manufacturer="GE", slice_thickness=band,
                        series=series, series_status=status, studies=series, studies_status=status,
                        subjects=series, subjects_status=status,
                    )
                )  # fmt: skip
            session.add(
                DistributionRow(
                    iri=iri(name), attribute="contrast", value="no", how_known="header", subjects=9,
                    subjects_status="exact",
                )
            )  # fmt: skip
    return made


@pytest.fixture
def registry(fed):
    return Registry(fed)


def matches(registry: Registry, query: str, by: str | None = None) -> dict[str, dict[str, str]]:
    told = registry.get(f"/v1/tools/matches?{query}", by)
    assert told.status_code == 200, told.text
    return {one.get("tool") or one["dataset"]: one for one in told.json()["matches"]}


def test_a_dataset_is_matched_with_every_tool(registry):
    east, north = (matches(registry, f"dataset={iri(name)}") for name in ("east", "north"))
    assert east["lung-densitometry"]["fits"] == "yes"
    assert east["lung-densitometry"]["review"] == "not-in-registry"
    assert north["lung-densitometry"]["fits"] == "no"
    assert north["lung-densitometry"]["why"] == "It has no series of CT; its record lists MR."
    assert north["image-quality"]["fits"] == "yes"
    assert "SEG" in east["radiomics"]["why"]


def test_a_tool_is_matched_with_every_dataset_that_is_seen(registry):
    assert {key: one["fits"] for key, one in matches(registry, "tool=lung-densitometry").items()} == {
        iri("east"): "yes",
        iri("north"): "no",
    }
    with writing(registry.fed.hub.engine) as session:
        session.get_one(DatasetRow, iri("east")).visibility = "hidden"
    assert list(matches(registry, "tool=lung-densitometry", "ada")) == [iri("north")]
    assert list(matches(registry, "tool=lung-densitometry", "rita")) == [iri("east"), iri("north")]
    assert registry.get(f"/v1/tools/matches?dataset={iri('east')}", "ada").status_code == 404


def test_what_a_publisher_sealed_is_what_is_matched_and_what_was_revoked_is_not(registry):
    asked = registry.manifest(tool="noop").inputs.model_copy(update={"modality": ("MR",)})
    registry.accepted(inputs=asked)
    assert matches(registry, "tool=noop")[iri("east")]["fits"] == "no"
    registry.act("revoke", "ada")
    assert registry.get("/v1/tools/matches?tool=noop").json()["code"] == "FB-JOBS-261"
    assert "noop" not in matches(registry, f"dataset={iri('east')}")


def test_one_thing_is_matched_at_a_time(registry):
    assert registry.get("/v1/tools/matches").status_code == 400
    assert registry.get(f"/v1/tools/matches?tool=noop&dataset={iri('east')}").status_code == 400


@pytest.fixture
def run(fairbank, registry, tmp_path, monkeypatch):
    """Run a command as somebody who is logged in: as ada, who publishes, or as rita, who reviews."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}"
    server, thread = serve(create_app(registry.fed.hub), port)
    monkeypatch.setenv("FAIRBANK_HUB_URL", url)
    for name in ("ada", "rita"):
        keys = tmp_path / name / "keys"
        registry.keys[name].save(keys / "requester.pem")
        (keys / "token").write_text(f"{registry.tokens[name]}\n{url}\n")
        (keys / "token").chmod(0o600)
    yield lambda who, *words: fairbank(*words, home=tmp_path / who)
    server.should_exit = True
    thread.join(timeout=30)


def test_a_tool_is_drafted_edited_submitted_reviewed_and_shown_by_commands(run, registry, tmp_path):
    file = tmp_path / "tool.json"
    run("ada", "tool", "draft", "noop", "--publisher", "Example University", "--out", file).ok()
    written = json.loads(file.read_text())
    written["validation"] = [{"data": "Made-up weights", "measure": "largest error", "value": "0"}]
    file.write_text(json.dumps(written))
    assert "submitted" in run("ada", "tool", "submit", file).ok().out
    run("rita", "tool", "review", "noop", "--version", "1.0.0", "--accept").refused(
        "FB-JOBS-263", "code, inputs"
    )
    answers = [word for key in CRITERIA for word in ("--criterion", f"{key}=yes:It was looked at.")]
    assert (
        "accepted"
        in run("rita", "tool", "review", "noop", "--version", "1.0.0", *answers, "--accept").ok().out
    )
    listed = json.loads(run("ada", "tool", "list", "--format", "json").ok().out)
    (noop,) = [one for one in listed if one["name"] == "noop"]
    assert (noop["review"], noop["publisher"]) == ("accepted", "Example University")
    shown = run("ada", "tool", "show", "noop").ok().out
    for said in ("accepted since", registry.keys["ada"].key_id, "largest error 0", "yes: It was looked at."):
        assert said in shown
    run("ada", "tool", "revoke", "noop", "--version", "1.0.0", "--why", "Weights were added twice.").ok()
    assert "Weights were added twice." in run("ada", "tool", "show", "noop").ok().out


def test_a_sealed_manifest_is_saved_as_a_site_reads_it(run, registry, tmp_path):
    registry.accepted()
    file = tmp_path / "noop.json"
    said = run("ada", "tool", "save", "noop", "--version", "1.0.0", "--out", file).ok().err
    key = registry.keys["ada"].key_id
    assert key in said
    code = tool_named("noop").code()
    assert publishers_of(code, [file.read_bytes()], pinned={key}) == {key}
    run("ada", "tool", "save", "noop", "--version", "2", "--out", tmp_path / "none").refused("FB-JOBS-261")


def test_a_builtin_tool_is_submitted_as_it_describes_itself_and_matched(run):
    assert "submitted" in run("ada", "tool", "submit", "--builtin", "lung-densitometry").ok().out
    assert "no series of CT" in run("ada", "tool", "matches", iri("north")).ok().out
    table = run("rita", "tool", "matches", "--tool", "lung-densitometry").ok().out
    assert "that it measures" in table


def test_without_a_hub_the_installed_tools_are_shown_and_it_is_said(fairbank, monkeypatch):
    monkeypatch.setenv("FAIRBANK_HUB_URL", "http://127.0.0.1:9")
    for words in (("tool", "list"), ("tool", "show", "noop")):
        shown = fairbank(*words).ok()
        assert "weight" in shown.out
        assert "does not answer" in shown.err
    fairbank("tool", "show", "nothing").refused("FB-JOBS-014")


@pytest.mark.parametrize("answer", ["code", "code=perhaps:It was read.", "code=yes"])
def test_an_answer_of_another_form_is_refused(run, answer):
    run("rita", "tool", "review", "noop", "--version", "1.0.0", "--criterion", answer, "--accept").refused(
        "FB-JOBS-263"
    )
