"""Settings in the audit log: that they changed, and which, when a hub or an agent starts; never what they are."""

from __future__ import annotations

from dataclasses import fields

from sqlalchemy import select
from sqlalchemy.engine import Engine

from fairbank import audit
from fairbank.audit import AuditTable
from fairbank.clock import Clock
from fairbank.database import reading, writing
from fairbank.settings import Settings
from fairbank.signing import sha256_digest

ACT = "settings.change"
_WITH_PASSWORDS = frozenset({"hub_database", "node_database"})


def note_if_changed(
    engine: Engine, table: AuditTable, settings: Settings, *, clock: Clock, actor: str
) -> bool:
    """Log which settings are not what they are by default, if they differ from the last time; return whether.

    The digest is of all values but the addresses of databases, which may hold a password; other secrets are in files
    that settings only name.
    """
    chosen = {
        each.name: "" if each.name in _WITH_PASSWORDS else str(getattr(settings, each.name))
        for each in fields(settings)
        if getattr(settings, each.name) != each.default
    }
    digest = sha256_digest("\n".join(f"{name}={value}" for name, value in sorted(chosen.items())).encode())
    newest = select(table.detail).where(table.act == ACT).order_by(table.seq.desc()).limit(1)
    with reading(engine) as session:
        before = session.scalar(newest)
    if before is not None and before.get("digest") == digest:
        return False
    with writing(engine) as session:
        audit.record(
            session, table, clock=clock, actor=actor, act=ACT, target="settings",
            detail={"set": sorted(chosen), "digest": digest},
        )  # fmt: skip
    return True
