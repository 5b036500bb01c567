"""Words on single files beside those on their groups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fairbank.database import connect, writing
from fairbank.deid.decisions import DecisionTable, ItemDecision, Verdict
from fairbank.deid.store import DecisionRow, decisions_of
from fairbank.deid.work_rows import ItemDecisionRow

GROUP = "pixels-review|US|Philips|V5|480x640"
EARLY = datetime(2026, 1, 1, tzinfo=UTC)
LATE = EARLY + timedelta(hours=1)


@pytest.mark.parametrize(
    ("single", "of_group", "single_is_later", "holds"),
    [
        ("release", "keep-held", True, "release"),
        ("release", "keep-held", False, "keep-held"),
        ("keep-held", "release", True, "keep-held"),
        ("keep-held", "release", False, "keep-held"),
        ("keep-held", "discard", False, "discard"),
    ],
)
def test_the_later_word_holds_but_none_lets_go_what_one_keeps(
    single: str, of_group: str, single_is_later: bool, holds: str, tmp_path: Path
) -> None:
    first, second = (LATE, EARLY) if single_is_later else (EARLY, LATE)
    engine = connect(f"sqlite:///{tmp_path / 'node.db'}")
    DecisionRow.metadata.create_all(engine)
    said = {"project": "all", "grp": GROUP, "reason": "", "agent": "ada"}
    with writing(engine) as session:
        session.add(DecisionRow(verdict=of_group, at=second, **said))
        session.add(ItemDecisionRow(item_key="a", verdict=single, areas=[], at=first, **said))
        session.flush()
        table = decisions_of(session, "all")
    assert table.for_item("a").of(GROUP) == holds
    assert table.for_item("b").of(GROUP) == of_group


def test_a_series_goes_only_if_the_same_was_said_of_each_of_its_files() -> None:
    go, stay = ItemDecision("face|CT", Verdict.RELEASE), ItemDecision("face|CT", Verdict.KEEP_HELD)
    table = DecisionTable({}, {"a": go, "b": go, "c": stay})
    assert table.for_series(["a", "b"]).of("face|CT") is Verdict.RELEASE
    for items in (["a", "b", "c"], ["a", "d"], []):
        assert table.for_series(items).of("face|CT") is None
