"""How long lists about access take to answer, and how fast the audit log is verified, at the size of years.

10,000 requests of 50 researchers about 40 datasets of four nodes, in every state, each with one to three legs, sealed
version, history, and votes where it is in review; 10,000 jobs; 100,000 entries of the audit log; what of this the hub
wrote itself, and what is written directly, says `parts.access_requests`. A hub process (`fairbank hub run`) then
answers over loopback, on one connection, once it has caught up with all that was written without it: a researcher's
own, what waits for a committee member and with whom each vote stands, and all of them for an administrator; first
pages, pages far in, filtered ones, and the pages for people.
Times are of the wall, as somebody waits; beside them what the hub's process worked for an answer, which says more where
other programs share the processors. The bound is `/v1/whoami`: what any answer costs that needs an account.
`fairbank audit show` reads the database itself and is measured without HTTP, apart from the command's start.

Goals: every list page below 50 ms (95th percentile); the audit log verified at 200,000 entries or more per processor
second, by the chain alone and as a whole (guards, pages, chain, checkpoints), as `fairbank audit verify` does it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from fairbank import audit
from fairbank.catalogue.context import init_hub
from fairbank.clock import SystemClock
from fairbank.database import connect, reading
from fairbank.demo.processes import Processes, free_port
from fairbank.settings import Settings
from parts import access_audit
from parts.access_requests import BASE, dataset_iri, fill

GOAL_MS, GOAL_ENTRIES_PER_S = 50.0, 200_000
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_JUMP = "offset"
# Name, who asks, address.
LISTS = (
    ("requester", "researcher", "/v1/lists/requests?"),
    ("requester_grants", "researcher", "/v1/lists/grants?"),
    ("requester_jobs", "researcher", "/v1/jobs?"),
    ("requester_models", "researcher", "/v1/models?"),
    ("requester_page", "researcher", "/requests?"),
    ("member", "member", "/v1/lists/requests?"),
    ("member_waiting", "member", "/v1/lists/legs?state=in_review&"),
    ("member_reviews", "member", f"/v1/reviews?{_JUMP}&"),
    ("member_notices", "member", "/v1/notices?"),
    ("member_committees", "member", "/v1/committees?"),
    ("admin", "admin", "/v1/lists/requests?"),
    ("admin_state", "admin", "/v1/lists/requests?state=in_review&"),
    ("admin_dataset", "admin", f"/v1/lists/requests?dataset={dataset_iri(7)}&"),
    ("admin_text", "admin", "/v1/lists/requests?q=nodule+99&"),
    ("admin_grants", "admin", "/v1/lists/grants?"),
    ("admin_reviews", "admin", f"/v1/reviews?{_JUMP}&"),
    ("admin_page", "admin", "/requests?"),
    ("admin_grants_page", "admin", "/grants?"),
    ("admin_accounts", "admin", "/v1/accounts?"),
    ("auditor_audit", "auditor", "/v1/audit?"),
    ("auditor_audit_act", "auditor", "/v1/audit?act=leg.approve&"),
    ("auditor_audit_actor", "auditor", "/v1/audit?actor=account-7&"),
    ("auditor_audit_target", "auditor", "/v1/audit?target=0193e6a0-2222-7abc-8def-000000000777&"),
)
_SHOWN: dict[str, audit.Wanted] = {
    "newest": audit.Wanted(),
    "act": audit.Wanted(act="vote.cast"),
    "noun": audit.Wanted(act="leg."),
    "actor": audit.Wanted(actor="account-7"),
    "target": audit.Wanted(target="0193e6a0-2222-7abc-8def-000000000777"),
}


def measure(requests: int, asked: int, entries: int) -> dict[str, Any]:
    """Return the figures, the goals, and whether they are met."""
    begun = time.monotonic()
    figures: dict[str, Any] = {"requests": requests, "asked": asked}
    with tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder:
        settings = replace(Settings(), home=Path(folder) / "hub")
        hub = init_hub(settings, SystemClock(), public_base_iri=BASE)
        tokens = fill(hub, requests=requests, entries=entries)
        hub.queries.close()
        hub.engine.dispose()
        figures["filled_s"] = round(time.monotonic() - begun, 1)
        figures |= _shown(settings.home / "hub.db", asked)
        with Processes(Path(folder) / "logs") as processes:
            figures |= _served(processes, settings.home, tokens, asked)
    with tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder:
        figures |= access_audit.measure(Path(folder), entries=entries)
    figures["whole_run_s"] = round(time.monotonic() - begun, 1)
    met = {name: value < GOAL_MS for name, value in figures.items() if name.endswith("_p95_ms")}
    goals: dict[str, str] = dict.fromkeys(met, f"< {GOAL_MS:.0f}")
    for name in ("verify_entries_per_s", "verify_whole_entries_per_s"):
        goals[name] = f">= {GOAL_ENTRIES_PER_S:,}"
        met[name] = figures[name] >= GOAL_ENTRIES_PER_S
    return {"figures": figures, "goals": goals, "met": met}


def _served(processes: Processes, home: Path, tokens: dict[str, str], asked: int) -> dict[str, Any]:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    # The bench asks as fast as it can, from one address.
    given = ["--set", f"hub_port={port}", "--set", "limits_origin_requests=0"]
    processes.start("hub", ["fairbank", "--home", str(home), *given, "hub", "run"])
    with httpx.Client(base_url=address, timeout=60) as client:
        processes.wait_until("hub", lambda: _answers(client))
        pid = processes.pid("hub")
        figures: dict[str, Any] = {
            "hub_at_rest_after_s": _at_rest(pid),
            "bound_median_ms": _median(_times(client, tokens["member"], ["/v1/whoami"], asked)),
        }
        for name, who, path in LISTS:
            addresses = _addresses(client, tokens[who], path)
            _get(client, tokens[who], addresses[0])
            worked = _processor_s(pid)
            took = _times(client, tokens[who], addresses, asked)
            figures[f"{name}_p95_ms"] = _p95(took)
            figures[f"{name}_median_ms"] = _median(took)
            figures[f"{name}_hub_worked_ms"] = round((_processor_s(pid) - worked) * 1000 / asked, 2)
            print(f"{name}: {figures[f'{name}_p95_ms']} ms", file=sys.stderr, flush=True)
    return figures


def _at_rest(pid: int) -> float:
    """Wait until a hub has caught up with what was written before it started; return how long that took, in seconds."""
    started = time.monotonic()
    while True:
        before = _processor_s(pid)
        time.sleep(2.0)
        if _processor_s(pid) - before < 0.1:
            return round(time.monotonic() - started, 1)
        if time.monotonic() - started > 300:
            raise SystemExit("the hub has been busy with itself for five minutes")


def _answers(client: httpx.Client) -> bool:
    with suppress(httpx.HTTPError):
        return client.get("/healthz").status_code == 200
    return False


def _addresses(client: httpx.Client, token: str, path: str, most: int = 20) -> list[str]:
    """Return the addresses of pages one after the other, as somebody follows them."""
    if _JUMP in path:
        return [path.replace(_JUMP, f"limit=50&offset={50 * page}") for page in range(most)]
    found = [path]
    while len(found) < most:
        answer = _get(client, token, found[-1])
        listed = answer.json() if "json" in answer.headers["content-type"] else {}
        if path.startswith("/v1/audit"):
            mark = listed["entries"][-1]["seq"] if len(listed["entries"]) == 200 else None
        else:
            mark = listed.get("next")
        if mark is None:
            break
        found.append(f"{path}after={mark}")
    return found


def _times(client: httpx.Client, token: str, addresses: list[str], asked: int) -> list[float]:
    """Return how long each answer took, milliseconds of the wall."""
    took = []
    for place in range(asked):
        started = time.perf_counter()
        _get(client, token, addresses[place % len(addresses)])
        took.append((time.perf_counter() - started) * 1000)
    return took


def _get(client: httpx.Client, token: str, path: str) -> httpx.Response:
    answer = client.get(path, headers={"Authorization": f"Bearer {token}"})
    if answer.status_code != 200:
        raise SystemExit(f"{path} answered {answer.status_code}: {answer.text}")
    return answer


def _shown(database: Path, asked: int) -> dict[str, Any]:
    """Measure what `fairbank audit show` asks of the database."""
    engine = connect(f"sqlite:///{database}")
    figures = {}
    for name, wanted in _SHOWN.items():
        took = []
        for _ in range(asked):
            started = time.perf_counter()
            with reading(engine) as session:
                audit.entries(session, audit.HubAudit, wanted, limit=50, newest=True)
            took.append((time.perf_counter() - started) * 1000)
        figures[f"audit_show_{name}_p95_ms"] = _p95(took)
        figures[f"audit_show_{name}_median_ms"] = _median(took)
    engine.dispose()
    return figures


def _processor_s(pid: int) -> float:
    """Return the processor seconds that a process has worked so far (utime and stime of proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _p95(took: list[float]) -> float:
    return round(statistics.quantiles(took, n=20)[-1], 2)


def _median(took: list[float]) -> float:
    return round(statistics.median(took), 2)


def _main(measured: Callable[..., dict[str, Any]]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--asked", type=int, default=100, help="how often each list is asked for")
    parser.add_argument("--entries", type=int, default=100_000, help="entries of the audit log")
    given = parser.parse_args()
    found = measured(given.requests, given.asked, given.entries)
    print(json.dumps(found, indent=None if given.json else 2))


if __name__ == "__main__":
    _main(measure)
