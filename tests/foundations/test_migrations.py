"""The two histories: up, the same as the models, down a step, up again; on SQLite and PostgreSQL."""

from __future__ import annotations

import importlib.util
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Integer, MetaData, Table, insert, inspect, select, text
from sqlalchemy.engine import Engine

from fairbank import migrations
from fairbank.database import connect, writing
from fairbank.migrations.environment import is_ours

_REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _in_earnest(monkeypatch: pytest.MonkeyPatch, upgrade_in_earnest: Callable[..., None]) -> None:
    monkeypatch.setattr(migrations, "upgrade", upgrade_in_earnest)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "make_migration", _REPOSITORY / "tools" / "make_migration.py"
    )
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def own_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the histories without any step, used instead of the package's own."""
    copy = tmp_path / "migrations"
    shutil.copytree(_REPOSITORY / "src" / "fairbank" / "migrations", copy)
    for step in copy.glob("*/versions/*.py"):
        step.unlink()
    monkeypatch.setattr(migrations, "_HERE", copy)
    return copy


def differences(engine: Engine, wanted: MetaData) -> list[object]:
    """What a new step would have to change to bring the database to the models."""
    with engine.connect() as connection:
        options = {"compare_type": True, "include_name": is_ours}
        found = compare_metadata(MigrationContext.configure(connection, opts=options), wanted)
    return list(found)


@pytest.mark.parametrize("history", ["hub", "node"])
def test_a_base_brought_up_is_what_the_models_say(engine: Engine, history: migrations.History) -> None:
    migrations.upgrade(engine, history)
    assert differences(engine, migrations.metadata(history)) == []


@pytest.mark.parametrize("history", ["hub", "node"])
def test_every_history_goes_down_a_step_and_up_again(engine: Engine, history: migrations.History) -> None:
    if not migrations.has_versions(history):
        migrations.upgrade(engine, history)
        assert migrations.current(engine) is None
        return
    migrations.upgrade(engine, history)
    migrations.downgrade(engine, history)
    assert migrations.current(engine) != migrations.newest(history)
    migrations.upgrade(engine, history)
    assert migrations.current(engine) == migrations.newest(history)
    assert differences(engine, migrations.metadata(history)) == []


@pytest.mark.parametrize("history", ["hub", "node"])
def test_every_history_goes_all_the_way_down_and_up_again(
    engine: Engine, history: migrations.History
) -> None:
    migrations.upgrade(engine, history)
    while migrations.current(engine) is not None:
        migrations.downgrade(engine, history)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
    migrations.upgrade(engine, history)
    assert differences(engine, migrations.metadata(history)) == []


@pytest.mark.parametrize("history", ["hub", "node"])
def test_a_history_is_one_line_with_dated_names(history: migrations.History) -> None:
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(migrations.configuration(history))
    assert len(script.get_heads()) <= 1
    assert script.get_current_head() == migrations.newest(history)
    for step in script.walk_revisions():
        assert Path(step.path).name[:10].replace("_", "").isdigit(), step.path
        assert not step.is_merge_point


@pytest.mark.parametrize("history", ["hub", "node"])
def test_the_tool_writes_a_first_step_that_builds_the_models_on_every_database(
    engine: Engine, history: migrations.History, tool: ModuleType, own_history: Path
) -> None:
    step = tool.write_step(history, "first tables")
    assert step.parent == own_history / history / "versions"
    assert step.name.endswith("_first_tables.py")
    assert "fairbank" not in step.read_text(encoding="utf-8")
    migrations.upgrade(engine, history)
    assert differences(engine, migrations.metadata(history)) == []
    migrations.downgrade(engine, history)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version", "sqlite_sequence"}
    migrations.upgrade(engine, history)
    assert migrations.current(engine) == migrations.newest(history)


def test_a_base_that_is_up_to_date_is_left_alone(engine: Engine) -> None:
    migrations.upgrade(engine, "hub")
    before = sorted(inspect(engine).get_table_names())
    migrations.upgrade(engine, "hub")
    assert sorted(inspect(engine).get_table_names()) == before


def test_a_second_step_follows_the_first(engine: Engine, tool: ModuleType, own_history: Path) -> None:
    tool.write_step("hub", "first tables")
    first = migrations.newest("hub")
    migrations.upgrade(engine, "hub")
    tool.write_step("hub", "nothing new")
    second = migrations.newest("hub")
    assert second != first
    migrations.upgrade(engine, "hub")
    assert migrations.current(engine) == second
    migrations.downgrade(engine, "hub")
    assert migrations.current(engine) == first


def test_a_base_that_is_up_to_date_is_not_locked(engine: Engine, tool: ModuleType, own_history: Path) -> None:
    """A command starts while another process is writing."""
    tool.write_step("hub", "first tables")
    migrations.upgrade(engine, "hub")
    other = connect(engine.url.render_as_string(hide_password=False))
    with migrations._alone(engine):
        migrations.upgrade(other, "hub")
    other.dispose()


def test_a_base_of_a_newer_fairbank_is_refused(engine: Engine, tool: ModuleType, own_history: Path) -> None:
    tool.write_step("node", "first tables")
    migrations.upgrade(engine, "node")
    with writing(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'from-the-future'"))
    with pytest.raises(migrations.MigrationError) as refusal:
        migrations.upgrade(engine, "node")
    assert refusal.value.code == "FB-CORE-021"
    assert "newer" in str(refusal.value)


def test_a_step_that_fails_leaves_nothing_behind(engine: Engine, tool: ModuleType, own_history: Path) -> None:
    step = tool.write_step("hub", "first tables")
    broken = step.read_text(encoding="utf-8").replace(
        "def downgrade", '    raise RuntimeError("power cut")\n\n\ndef downgrade'
    )
    step.write_text(broken, encoding="utf-8")
    with pytest.raises(RuntimeError, match="power cut"):
        migrations.upgrade(engine, "hub")
    assert inspect(engine).get_table_names() == []


def test_two_processes_that_start_together_bring_a_base_up_once(
    engine: Engine, tool: ModuleType, own_history: Path
) -> None:
    tool.write_step("hub", "first tables")
    failures: list[BaseException] = []

    def bring_up() -> None:
        other = connect(engine.url.render_as_string(hide_password=False))
        try:
            migrations.upgrade(other, "hub")
        except BaseException as err:
            failures.append(err)
        finally:
            other.dispose()

    waiter = threading.Thread(target=bring_up)
    with migrations._alone(engine):
        waiter.start()
        waiter.join(0.2)
        assert waiter.is_alive(), "the second did not wait for the first"
    waiter.join(30)
    assert failures == []
    migrations.upgrade(engine, "hub")
    assert migrations.current(engine) == migrations.newest("hub")


def test_a_table_is_rebuilt_without_emptying_those_that_point_at_it(engine: Engine) -> None:
    tables = MetaData()
    parent = Table("parent", tables, Column("id", Integer, primary_key=True), Column("old", Integer))
    from sqlalchemy import ForeignKey

    child = Table(
        "child", tables, Column("parent", ForeignKey("parent.id", ondelete="CASCADE"), primary_key=True)
    )
    tables.create_all(engine)
    with writing(engine) as session:
        session.execute(insert(parent).values(id=1, old=1))
        session.execute(insert(child).values(parent=1))
    from alembic.operations import Operations

    with migrations._alone(engine) as connection:
        operations = Operations(MigrationContext.configure(connection))
        recreate = "always" if connection.dialect.name == "sqlite" else "auto"
        with operations.batch_alter_table("parent", recreate=recreate) as batch:
            batch.drop_column("old")
    with engine.connect() as connection:
        assert connection.execute(select(child)).all() == [(1,)]
