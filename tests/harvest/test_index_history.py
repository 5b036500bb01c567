"""What an index that an older fairbank made becomes when its database is brought up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, Table, insert, select
from sqlalchemy.engine import Engine

from fairbank import migrations
from fairbank.database import connect

NARROWER_BANDS = "8c2f6d10b7e4"
IMAGING_FACTS = "4e9a71c35d08"


@pytest.fixture(autouse=True)
def _in_earnest(monkeypatch: pytest.MonkeyPatch, upgrade_in_earnest: Callable[..., None]) -> None:
    monkeypatch.setattr(migrations, "upgrade", upgrade_in_earnest)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


def before(engine: Engine, revision: str) -> None:
    """Bring a base to the step before a revision of the node's history."""
    migrations.upgrade(engine, "node")
    script = ScriptDirectory.from_config(migrations.configuration("node"))
    later = [step.revision for step in script.iterate_revisions("head", revision, inclusive=True)]
    migrations.downgrade(engine, "node", steps=len(later))


def table(engine: Engine, name: str) -> Table:
    return Table(name, MetaData(), autoload_with=engine)


def placeholders(columns: Table) -> dict[str, Any]:
    """Return a value for each column that must have one."""
    found: dict[str, Any] = {}
    for column in columns.columns:
        if column.nullable or column.primary_key:
            continue
        kind = column.type.python_type
        found[column.name] = {str: "-", int: 1, dict: {}, bool: False}.get(kind)
        if column.name in ("seen", "recorded_at"):
            found[column.name] = datetime(2026, 1, 1, tzinfo=UTC)
    return found


def test_series_get_their_narrower_band_from_the_thickness_in_the_index(engine: Engine) -> None:
    before(engine, NARROWER_BANDS)
    thick = {
        "a": (1.5, "1.5-3"),
        "b": (2.0, "1.5-3"),
        "c": (2.75, "1.5-3"),
        "d": (3.0, "3-5"),
        "e": (None, "unknown"),
    }
    series = table(engine, "harvest_series")
    with engine.begin() as connection:
        for uid, (mm, band) in thick.items():
            values = placeholders(series) | {
                "series_uid": uid, "slice_thickness_mm": mm, "slice_thickness": band, "quality": {},
            }  # fmt: skip
            connection.execute(insert(series).values(values))
    migrations.upgrade(engine, "node")
    series = table(engine, "harvest_series")
    with engine.connect() as connection:
        rows = connection.execute(select(series.c.series_uid, series.c.slice_thickness)).all()
    found = {row[0]: row[1] for row in rows}
    assert found == {"a": "1.5-2", "b": "2-2.5", "c": "2.5-3", "d": "3-5", "e": "unknown"}


def test_series_of_an_older_index_know_nothing_new_and_are_read_again(engine: Engine) -> None:
    before(engine, IMAGING_FACTS)
    series, facts = table(engine, "harvest_series"), table(engine, "deid_facts")
    with engine.begin() as connection:
        connection.execute(insert(series).values(placeholders(series) | {"quality": {}, "stat_token": "abc"}))
        connection.execute(insert(facts).values(placeholders(facts) | {"project": "p", "series_uid": "u"}))
    migrations.upgrade(engine, "node")
    series, facts = table(engine, "harvest_series"), table(engine, "deid_facts")
    with engine.connect() as connection:
        row = connection.execute(select(series)).mappings().one()
        sheet = connection.execute(select(facts)).mappings().one()
    words = ("slice_spacing", "model", "field_strength", "kernel", "laterality")
    assert {row[word] for word in words} == {"unknown"}
    assert (row["stat_token"], row["study_day"], row["annotations"]) == ("", None, {})
    assert (sheet["study_day"], sheet["annotations"]) == (None, None)
