"""An upgrade uses nobody by mistake: consents that name purposes cover none at first, years of descriptions count."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import command

from fairbank import migrations
from fairbank.database import connect, reading
from fairbank.harvest.consent_purposes import NOT_WORKED_OUT
from fairbank.harvest.consent_store import RetentionRow, StandingRow

BEFORE = "caf34a78a1c8"


def test_consents_that_name_purposes_cover_none_until_they_are_worked_out(database_url: str) -> None:
    engine = connect(database_url)
    migrations.upgrade(engine, "node")
    config = migrations.configuration("node")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, BEFORE)
        connection.commit()
    now = datetime(2026, 1, 1, tzinfo=UTC)
    with engine.begin() as connection:
        for project, codes in (("lung", '["DUO:0000006"]'), ("liver", "[]")):
            connection.execute(
                sa.text(
                    "INSERT INTO harvest_consents (id, consent_key, project, status, recorded, form, data_use,"
                    " imported) VALUES (:p, 'k', :p, 'given', '2025-01-01', '', :c, :n)"
                ),
                {"p": project, "c": codes, "n": now.isoformat()},
            )
            connection.execute(
                sa.text("INSERT INTO harvest_standings (project, subject, status) VALUES (:p, 's', 'given')"),
                {"p": project},
            )
        connection.execute(
            sa.text(
                "INSERT INTO harvest_datasets (slug, project, title, description, keywords, publisher, access_rights,"
                " collection_kind, data_use, stewardship, version, created, updated) VALUES ('lungs', 'lung', 't', 'd',"
                " '[]', 'p', 'NON_PUBLIC', 'test', '[]', '{\"retained_until\": 2030}', 0, :n, :n)"
            ),
            {"n": now.isoformat(sep=" ")},
        )
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    with reading(engine) as session:
        scopes = {row.project: row.scope for row in session.scalars(sa.select(StandingRow))}
        (ends,) = session.scalars(sa.select(RetentionRow))
    assert scopes == {"lung": NOT_WORKED_OUT, "liver": ""}
    assert (ends.project, ends.said_by, ends.ends.isoformat()) == ("lung", "lungs", "2031-01-01")
