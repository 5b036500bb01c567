"""What the audit log costs: verifying it, adding to it, proving and exporting it; beside what nobody could do without.

The bound is what any chain costs at least: SQLite hands over each entry's bytes, and SHA-256 reads them. Appending is
measured against a bare INSERT of the same row, in the same kind of transaction. All in processor seconds of one core.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from sqlalchemy.engine import Engine

from fairbank import audit, audit_checkpoints, audit_export, migrations
from fairbank.audit import HubAudit
from fairbank.clock import Clock, SystemClock, iso
from fairbank.database import connect, reading, writing
from fairbank.signing import SigningKey, canonical

ENTRIES = 100_000
GOAL_PER_S = 200_000
_TRIES = 3
_ACTS = (
    "leg.approve",
    "vote.cast",
    "job.submit",
    "release.receive",
    "site.approved",
    "round.close",
    "account.login",
)


def measure(folder: Path, *, entries: int = ENTRIES) -> dict[str, Any]:
    """Fill a log, measure it, and return the figures by name."""
    engine, clock, key = connect(f"sqlite:///{folder}/hub.db"), SystemClock(), SigningKey.generate()
    migrations.upgrade(engine, "hub")
    fill(engine, clock, entries)
    figures: dict[str, Any] = {"entries": entries}
    _fill_bare(folder / "bare.db", engine)
    with reading(engine) as session:
        verify_s = _best(lambda: audit.verify(session, HubAudit))
    bound_s = _best(lambda: _bare_read(folder / "bare.db"))
    figures["verify_entries_per_s"] = round(entries / verify_s)
    figures["bound_entries_per_s"] = round(entries / bound_s)
    figures["verify_over_bound"] = round(verify_s / bound_s, 2)
    figures["seal_s"] = round(_once(lambda: _seal(engine, key, clock)), 3)
    with reading(engine) as session:
        whole_s = _best(lambda: audit_checkpoints.verify_whole(session, HubAudit, trusted=[key.key_id]))
    figures["verify_whole_entries_per_s"] = round(entries / whole_s)
    figures |= _appends(engine, folder / "bare.db", clock)
    figures |= _proofs(engine, entries)
    figures |= _export(engine, key)
    engine.dispose()
    figures["goal_met"] = figures["verify_entries_per_s"] >= GOAL_PER_S
    return figures


def fill(engine: Engine, clock: Clock, entries: int) -> None:
    """Append so many chained entries to a hub's log, ten thousand a transaction, past `audit.record`."""
    plain = HubAudit.metadata.tables["audit"]
    with reading(engine) as session:
        newest = audit.head(session, HubAudit)
    previous, moment = newest.hash, clock.now()
    at = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    rows: list[dict[str, Any]] = []
    for seq in range(newest.seq + 1, newest.seq + entries + 1):
        act = _ACTS[seq % len(_ACTS)]
        detail = {
            "request": f"0193e6a0-1111-7abc-8def-{seq % 10_000:012d}",
            "dataset": f"https://hub.example.org/datasets/biobank-{seq % 7}/set-{seq % 40}",
            "digest": f"sha256:{seq:064x}",
        }
        row = {
            "seq": seq, "actor": f"account-{seq % 300}", "act": act,
            "target": f"0193e6a0-2222-7abc-8def-{seq:012d}", "previous": previous,
        }  # fmt: skip
        entry = audit.entry_bytes(at=iso(at), detail=canonical(detail).decode(), **row)  # type: ignore[arg-type]  # by name
        previous = audit.entry_hash(entry)
        rows.append({**row, "at": at, "detail": detail, "hash": previous})
        if len(rows) == 10_000 or seq == newest.seq + entries:
            with writing(engine) as session:
                session.connection().execute(insert(plain), rows)
            rows = []


def _fill_bare(file: Path, engine: Engine) -> None:
    with reading(engine) as session, sqlite3.connect(file) as bare:
        bare.execute("PRAGMA journal_mode=WAL")
        bare.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, entry BLOB NOT NULL)")
        after = 0
        while found := audit.entries(session, HubAudit, audit.Wanted(), after=after, limit=5000):
            bare.executemany(
                "INSERT INTO entries VALUES (?, ?)", [(row.seq, _bytes_of(row)) for row in found]
            )
            after = found[-1].seq
    bare.close()


def _bytes_of(row: Any) -> bytes:
    return audit.entry_bytes(
        seq=row.seq, at=iso(row.at), actor=row.actor, act=row.act, target=row.target,
        detail=canonical(row.detail).decode(), previous=row.previous,
    )  # fmt: skip


def _bare_read(file: Path) -> None:
    sha256 = hashlib.sha256
    bare = sqlite3.connect(file)
    for (entry,) in bare.execute("SELECT entry FROM entries ORDER BY seq"):
        sha256(entry).hexdigest()
    bare.close()


def _seal(engine: Engine, key: SigningKey, clock: SystemClock) -> None:
    audit_checkpoints.keep(engine, HubAudit, key=key, log="https://hub.example.org", clock=clock)


def _appends(engine: Engine, bare_file: Path, clock: SystemClock, *, times: int = 2000) -> dict[str, Any]:
    """Measure what an entry adds to a transaction that writes anyway, and the same row put in without a chain."""
    with writing(engine) as session:
        took = []
        for number in range(times):
            begun = time.process_time_ns()
            audit.record(
                session, HubAudit, clock=clock, actor="account-1", act="leg.approve", target=f"leg-{number}",
                detail={"request": "0193e6a0", "state": "approved", "version": 1},
            )  # fmt: skip
            took.append(time.process_time_ns() - begun)
    bare = sqlite3.connect(bare_file, isolation_level=None)
    bare.execute("BEGIN IMMEDIATE")
    plain = []
    for number in range(times):
        begun = time.process_time_ns()
        bare.execute("INSERT INTO entries VALUES (NULL, ?)", (b"x" * 350 + str(number).encode(),))
        plain.append(time.process_time_ns() - begun)
    bare.execute("ROLLBACK")
    bare.close()
    return {
        "append_us_median": round(statistics.median(took) / 1000, 1),
        "bare_insert_us_median": round(statistics.median(plain) / 1000, 1),
    }


def _proofs(engine: Engine, entries: int) -> dict[str, Any]:
    with reading(engine) as session:
        tree = audit_checkpoints.tree_of(engine, session, HubAudit)
    took = []
    for first in range(1, entries, max(1, entries // 500)):
        begun = time.process_time_ns()
        proof = tree.consistency(first, entries)
        took.append(time.process_time_ns() - begun)
    return {"proof_us_median": round(statistics.median(took) / 1000, 1), "proof_hashes": len(proof)}


def _export(engine: Engine, key: SigningKey) -> dict[str, Any]:
    _seal(engine, key, SystemClock())
    file = io.BytesIO()
    with reading(engine) as session:
        sealed = audit_checkpoints.newest(session, HubAudit)
        assert sealed is not None
        written = _once(lambda: audit_export.write_log(session, HubAudit, file, checkpoint=sealed))
    verified = _once(
        lambda: audit_export.verify_log(file.getvalue().splitlines(keepends=True), trusted=[key.key_id])
    )
    return {
        "export_s": round(written, 2),
        "export_mb": round(file.tell() / 1e6, 1),
        "verify_export_s": round(verified, 2),
    }


def _best(act: Callable[[], object]) -> float:
    return min(_once(act) for _ in range(_TRIES))


def _once(act: Callable[[], object]) -> float:
    begun = time.process_time()
    act()
    return time.process_time() - begun


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description="Measure the audit log.")
    parser.add_argument("--entries", type=int, default=ENTRIES)
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as folder:
        print(json.dumps(measure(Path(folder), entries=parser.parse_args().entries)))


if __name__ == "__main__":
    main()
