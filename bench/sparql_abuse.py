"""What others notice while somebody abuses the SPARQL endpoint.

A hub as a process of its own on loopback, over 60 datasets (about 65,000 triples). Four users at four addresses ask
point queries, first alone, then while two attackers at two more addresses, four connections each, send queries that
cost without end (products, sorted, distinct, grouped and concatenated, long paths, patterns), and others that are huge.

Goals: the 99th percentile of the users' queries under attack is at most five times the idle one, and all are answered;
each query without end gets 503 or 504 within the limit and 1.5 s; no answer is 500 or above otherwise; no worker holds
more memory than the limit of a query and 96 MiB, which is what the engine has of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fairbank.demo.processes import free_port
from parts.published_catalogue import make_hub

DATASETS, USERS, ATTACKERS, CONNECTIONS = 60, 4, 2, 4
THINKING_S = 0.02
OWN_MEMORY = 96 * 2**20
GRACE_S, TIMES_IDLE = 1.5, 5.0
PRODUCT = "?a ?b ?c . ?d ?e ?f . ?g ?h ?i"
WITHOUT_END = {
    "cartesian": f"SELECT (COUNT(*) AS ?n) {{ {PRODUCT} }}",
    "order": f"SELECT * {{ {PRODUCT} }} ORDER BY ?f ?i ?c LIMIT 1",
    "distinct": f"SELECT (COUNT(*) AS ?n) {{ SELECT DISTINCT ?c ?f ?i {{ {PRODUCT} }} }}",
    "group_concat": f"SELECT (GROUP_CONCAT(STR(?f)) AS ?all) {{ {PRODUCT} }}",
    "groups": f"SELECT ?c ?f (COUNT(*) AS ?n) {{ {PRODUCT} }} GROUP BY ?c ?f ORDER BY ?n LIMIT 1",
    "path": "SELECT (COUNT(*) AS ?n) { ?a (!<urn:x>|^!<urn:x>)* ?b . ?b (!<urn:x>|^!<urn:x>)* ?c }",
    "patterns": f"ASK {{ {PRODUCT} FILTER (REGEX(CONCAT(STR(?c), STR(?f)), '(a+)+(b*)*$no')) }}",
}  # fmt: skip
TRICKS = {
    "huge values": "SELECT * { VALUES ?x { "
    + " ".join(f'"v{number}"' for number in range(11_000))
    + " } ?s ?p ?x }",
    "many patterns": "SELECT * { " + "?s ?p ?o . " * 9_000 + "}",
    "doubling": "SELECT (STRLEN(?x40) AS ?n) { BIND ('x' AS ?x0) "
    + " ".join(f"BIND (CONCAT(?x{n}, ?x{n}) AS ?x{n + 1})" for n in range(40))
    + "}",
    "deep": "ASK " + "{" * 30_000 + "}" * 30_000,
    "ten megabytes": "ASK { FILTER ('" + "x" * 10_000_000 + "' = '') }",
    "all rows": "SELECT * { ?s ?p ?o }",
}


def measure(seconds: float, *, limit_s: int) -> dict[str, object]:
    """Return the figures of one run, the goals, and whether they are met."""
    with tempfile.TemporaryDirectory(prefix="fairbank-bench-") as folder:
        home, port = Path(folder) / "hub", free_port()
        made = make_hub(home, datasets=DATASETS, hub_port=port)
        memory_bytes = made.settings.sparql_memory_bytes
        made.queries.close()
        made.engine.dispose()
        with running(home, port, limit_s) as hub:
            ask_as_users(port, 2.0)  # warm
            idle, _ = ask_as_users(port, seconds)
            with sampled(hub.pid) as memory, attacked(port, seconds + limit_s) as answers:
                time.sleep(0.5)
                busy, refused = ask_as_users(port, seconds)
    endless = [answer for answer in answers if answer["name"] in WITHOUT_END]
    statuses = {
        name: dict(Counter(answer["status"] for answer in answers if answer["name"] == name))
        for name in (*WITHOUT_END, *TRICKS)
    }
    slowest = max(answer["took_s"] for answer in answers)
    ratio = percentile(busy, 99) / percentile(idle, 99)
    figures = {
        "limit_s": limit_s,
        "idle_ms": {"p50": percentile(idle, 50), "p99": percentile(idle, 99), "queries": len(idle)},
        "attacked_ms": {"p50": percentile(busy, 50), "p99": percentile(busy, 99), "queries": len(busy)},
        "p99_ratio": round(ratio, 2),
        "users_refused": refused,
        "attacks": len(answers),
        "statuses": statuses,
        "slowest_s": round(slowest, 2),
        "largest_worker_mib": round(memory["worker"] / 2**20),
        "all_workers_mib": round(memory["workers"] / 2**20),
        "hub_mib": round(memory["hub"] / 2**20),
    }
    goals = {
        "p99_ratio": f"<= {TIMES_IDLE}",
        "users_refused": "0",
        "statuses": "503 or 504 for each query without end, and 500 for none",
        "slowest_s": f"<= {limit_s + GRACE_S}",
        "largest_worker_mib": f"<= {(memory_bytes + OWN_MEMORY) // 2**20}",
    }
    met = {
        "p99_ratio": ratio <= TIMES_IDLE,
        "users_refused": refused == 0,
        "statuses": {answer["status"] for answer in endless} <= {503, 504}
        and {answer["name"] for answer in endless} == set(WITHOUT_END)
        and all(answer["status"] in {200, 400, 413, 422, 503, 504} for answer in answers),
        "slowest_s": slowest <= limit_s + GRACE_S,
        "largest_worker_mib": memory["worker"] <= memory_bytes + OWN_MEMORY,
    }
    return {"figures": figures, "goals": goals, "met": met}


@contextlib.contextmanager
def running(home: Path, port: int, limit_s: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the hub until the end."""
    given = [f"hub_port={port}", f"sparql_timeout_s={limit_s}"]
    options = [word for one in given for word in ("--set", one)]
    hub = subprocess.Popen([sys.executable, "-m", "fairbank", "--home", str(home), *options, "hub", "run"])
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                if ask(http.client.HTTPConnection("127.0.0.1", port), "ASK {}")[0] == 200:
                    break
            time.sleep(0.1)
        yield hub
    finally:
        hub.terminate()
        hub.wait()


def ask_as_users(port: int, seconds: float) -> tuple[list[float], int]:
    """Return how many milliseconds each point query of all users took, and how many were not answered."""
    with multiprocessing.get_context("spawn").Pool(USERS) as pool:
        answers = pool.starmap(one_user, [(port, number, seconds) for number in range(USERS)])
    return [took for times, _ in answers for took in times], sum(refused for _, refused in answers)


def one_user(port: int, number: int, seconds: float) -> tuple[list[float], int]:
    """Ask for the titles of datasets, one after the other, with a moment in between."""
    connection = http.client.HTTPConnection("127.0.0.1", port, source_address=(f"127.0.1.{number + 1}", 0))
    times, refused, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        dataset = f"http://hub.test/datasets/north/set-{len(times) % DATASETS}"
        began = time.perf_counter()
        status, _ = ask(connection, f"SELECT ?t {{ <{dataset}> dct:title ?t }}")
        times.append((time.perf_counter() - began) * 1_000)
        refused += status != 200
        time.sleep(THINKING_S)
    return times, refused


@contextlib.contextmanager
def attacked(port: int, seconds: float) -> Iterator[list[dict[str, Any]]]:
    """Have attackers at work; what they were answered is in the list afterwards."""
    answers: list[dict[str, Any]] = []
    with multiprocessing.get_context("spawn").Pool(ATTACKERS) as pool:
        begun = pool.starmap_async(one_attacker, [(port, number, seconds) for number in range(ATTACKERS)])
        yield answers
        for each in begun.get():
            answers += each


def one_attacker(port: int, number: int, seconds: float) -> list[dict[str, Any]]:
    """Send all that costs, over and over, by several connections at once."""
    answers: list[dict[str, Any]] = []
    queries = [*WITHOUT_END.items(), *TRICKS.items()]
    end = time.monotonic() + seconds

    def attack(first: int) -> None:
        place = first
        while time.monotonic() < end:
            name, query = queries[place % len(queries)]
            place += 1
            connection = http.client.HTTPConnection(
                "127.0.0.1", port, source_address=(f"127.0.2.{number + 1}", 0)
            )
            began = time.monotonic()
            try:
                status, _ = ask(connection, query)
            except OSError:
                # A body that is too long is refused before it is read; the server then closes the connection.
                status = 413
            answers.append({"name": name, "status": status, "took_s": time.monotonic() - began})
            connection.close()
            # As anybody who was told to come again later, but sooner.
            time.sleep(0.1 if status == 503 else 0)

    step = len(queries) // CONNECTIONS
    threads = [threading.Thread(target=attack, args=(place * step + number,)) for place in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def ask(connection: http.client.HTTPConnection, query: str) -> tuple[int, bytes]:
    """Ask a query, by GET if it is short."""
    if len(query) < 2_000:
        connection.request("GET", "/sparql?query=" + quote(query))
    else:
        body = urlencode({"query": query})
        connection.request("POST", "/sparql", body, {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    return answer.status, answer.read()


@contextlib.contextmanager
def sampled(hub: int) -> Iterator[dict[str, int]]:
    """Note the largest resident memory of the hub, of a worker, and of all workers together."""
    most, ended = {"hub": 0, "worker": 0, "workers": 0}, threading.Event()

    def sample() -> None:
        while not ended.wait(0.05):
            workers = [resident(child) for child in children(hub)]
            most["hub"] = max(most["hub"], resident(hub))
            most["worker"] = max(most["worker"], *workers, 0)
            most["workers"] = max(most["workers"], sum(workers))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


def resident(pid: int) -> int:
    """Return the resident bytes of a process; 0 if it has ended."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return 0


def percentile(times: list[float], percent: int) -> float:
    """Return the time that so many per cent of all do not exceed, in milliseconds."""
    ordered = sorted(times)
    return round(ordered[min(len(ordered) * percent // 100, len(ordered) - 1)], 2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=15, help="how long the users ask, each time")
    parser.add_argument("--limit-s", type=int, default=5, help="time limit of a query")
    given = parser.parse_args()
    print(json.dumps(measure(given.seconds, limit_s=given.limit_s), indent=None if given.json else 2))
