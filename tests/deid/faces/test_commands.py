"""`fairbank deid faces`: decided with a person's key, shown, and looked at what an older fairbank has stored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairbank.clock import SystemClock
from fairbank.database import reading, writing
from fairbank.deid.errors import FaceDecisionDamaged
from fairbank.deid.faces.policy_store import may_leave, policy_of
from fairbank.deid.identity import IDENTITY_FILE
from fairbank.deid.policies import FacePolicy
from fairbank.deid.store import ItemRow
from fairbank.harvest.runs import PullOrder
from fairbank.release.node import Node, init_node
from fairbank.settings import load
from fairbank.signing import SigningKey

from .phantom import Head, Scan, write_series

Run = Callable[..., Any]


@pytest.fixture
def site(tmp_path: Path) -> Node:
    return init_node(load(flags={"home": tmp_path / "home"}, environ={})[0], SystemClock(), name="alpha")


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, Path]:
    SigningKey.generate().save(tmp_path / "ada.pem", passphrase="long enough")
    (tmp_path / "phrase").write_text("long enough\n")
    return tmp_path / "ada.pem", tmp_path / "phrase"


def decision(policy: str, key: Path, phrase: Path) -> tuple[str | Path, ...]:
    said = ("--reason", "vote 17", "--by", "Ada Lovelace", "--key", key, "--passphrase-file", phrase)
    return ("deid", "faces", "set", "neuro", policy, *said)


def test_a_decision_is_signed_and_shown(fairbank: Run, site: Node, key: tuple[Path, Path]) -> None:
    fairbank(*decision("in-situ", *key)).ok()
    with reading(site.engine) as session:
        assert policy_of(session, "neuro") is FacePolicy.IN_SITU
    shown = fairbank("deid", "faces", "show", "--format", "json").ok().out
    assert "Ada Lovelace" in shown and "in-situ" in shown and "vote 17" in shown


def test_an_unknown_policy_is_misuse(fairbank: Run, site: Node, key: tuple[Path, Path]) -> None:
    fairbank(*decision("blur", *key)).refused("'blur' is not one of hold, deface, in-situ", code=2)


def test_a_key_without_a_passphrase_decides_nothing(fairbank: Run, site: Node, tmp_path: Path) -> None:
    SigningKey.generate().save(tmp_path / "open.pem")
    fairbank(*decision("in-situ", tmp_path / "open.pem", tmp_path / "none")).refused("FB-DEID-040", code=1)
    with reading(site.engine) as session:
        assert policy_of(session, "neuro") is FacePolicy.HOLD


def test_stored_series_are_looked_at_once(fairbank: Run, site: Node) -> None:
    for name, scan in (("h", Scan(pixel_mm=4.0, slice_mm=4.0)), ("s", None)):
        folder = site.settings.store_path / "neuro" / name
        paths = write_series(folder, Head(), scan or Scan(pixel_mm=4.0, slice_mm=30.0))
        with writing(site.engine) as session:
            for path in paths:
                session.add(
                    ItemRow(project="neuro", item_key=str(path), profile="basic", tool="t", status="ok", agent="a",
                            subject="A2", series_uid=f"2.25.{name == 'h':d}", sop_uid=path.name,
                            path=str(path.relative_to(site.settings.store_path)), finished_at=site.clock.now())
                )  # fmt: skip
    told = fairbank("deid", "faces", "look", "neuro", "--format", "json").ok().out
    assert '"series": 2' in told and '"heads": 1' in told and '"never to leave": 1' in told
    with reading(site.engine) as session:
        assert not may_leave(session, "neuro", "2.25.1")
        assert may_leave(session, "neuro", "2.25.0")
    assert '"series": 0' in fairbank("deid", "faces", "look", "neuro", "--format", "json").ok().out


def test_where_persons_are_named_only_they_decide_and_pulls_follow(
    fairbank: Run, site: Node, key: tuple[Path, Path], tmp_path: Path
) -> None:
    order = PullOrder("archive", "NEURO", "neuro", "curator")
    phrase = key[1]
    eve = (
        fairbank("deid", "person", "key", tmp_path / "eve.pem", "--passphrase-file", phrase).ok().out.strip()
    )
    fairbank("deid", "person", "add", "eve", eve).ok()
    fairbank(*decision("in-situ", *key)).refused("FB-DEID-027", code=1)
    assert order.decided(site).method.faces is FacePolicy.HOLD
    fairbank(*decision("in-situ", tmp_path / "eve.pem", phrase)).ok()
    decided = order.decided(site)
    assert decided.method.faces is FacePolicy.IN_SITU and decided.method.digest != order.method.digest
    fairbank("deid", "person", "remove", "eve").ok()
    with pytest.raises(FaceDecisionDamaged):
        order.decided(site)


def test_the_sites_own_defacer_is_part_of_the_method(tmp_path: Path) -> None:
    command = "pydeface {input} --outfile {output}"
    settings = load(flags={"home": tmp_path / "home", "deface_command": command}, environ={})[0]
    node = init_node(settings, SystemClock(), name="alpha")
    assert PullOrder("archive", "NEURO", "neuro", "curator").decided(node).method.deface_command == command
    assert not (node.settings.home / IDENTITY_FILE).exists()


def test_a_run_at_the_node_takes_no_more_than_was_decided(
    fairbank: Run, site: Node, key: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    run = ("deid", "run", tmp_path / "in", "--project", "neuro")
    fairbank(*run, "--faces", "in-situ").refused("FB-DEID-044", code=1)
