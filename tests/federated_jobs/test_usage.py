"""What jobs cost: measured at the site, told coarsely, kept by job, site and requester."""

from __future__ import annotations

import os
import subprocess
import sys

from fairbank.catalogue import accounts, blobs
from fairbank.catalogue.accounts import Role
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub.store import JobRow, UpdateRow
from fairbank.federated_jobs.node.spent import Spent, coarse, measured, processor_seconds
from fairbank.federated_jobs.node.store import WorkRow


def costs(fed, seconds: float) -> None:
    for site in fed.sites.values():

        def work(task) -> None:
            task.spent.cpu_s += seconds
            task.spent.gpu_s += 2 * seconds

        site.runner.before = work


def test_a_job_s_costs_are_kept_by_site_and_told_coarsely(fed):
    costs(fed, 3.4)
    job = fed.run(rounds=2)
    rows = {row["node"]: row for row in fed.get(f"/v1/jobs/{job}/usage").json()["sites"]}
    assert sorted(rows) == ["east", "north", "west"]
    with reading(fed.hub.engine) as session:
        sent = sum(row.size_bytes for row in session.query(UpdateRow) if row.node == "east")
    model = blobs.path_of(fed.hub, fed.model(job)).stat().st_size
    east = rows["east"]
    assert (east["account"], east["jobs"], east["rounds"]) == ("ada", 1, 2)
    # 3.4 s of each round are told as 5, and 6.8 as 10.
    assert (east["cpu_s"], east["gpu_s"]) == (10, 20)
    # The first round starts from the seed, the second from the first one's model.
    assert (east["bytes_up"], east["bytes_down"]) == (sent, model)
    with reading(fed.sites["east"].node.engine) as session:
        assert [row.cpu_s for row in session.query(WorkRow)] == [3.4, 3.4]
        assert [row.spent_told for row in session.query(WorkRow)] == [True, True]


def test_a_requester_sees_her_own_costs_and_an_administrator_everybody_s(start):
    fed = start("east")
    costs(fed, 1.0)
    fed.run()
    of_bob = fed.run()
    with writing(fed.hub.engine) as session:
        session.get_one(JobRow, of_bob).account = "bob"
        accounts.create_account(
            session, fed.hub, name="root", password="correct horse battery", roles=[Role.ADMIN]
        )
        token = accounts.issue_token(session, fed.hub, name="root", hours=1).token
    own = [(row["account"], row["jobs"]) for row in fed.get("/v1/usage").json()["sites"]]
    assert own == [("ada", 1)]
    assert fed.get(f"/v1/jobs/{of_bob}/usage").status_code == 404
    fed.token = token
    every = [(row["account"], row["jobs"]) for row in fed.get("/v1/usage").json()["sites"]]
    assert every == [("ada", 1), ("bob", 1)]
    assert fed.get(f"/v1/jobs/{of_bob}/usage").json()["sites"][0]["cpu_s"] == 1


def test_the_processor_time_of_a_process_and_its_children_is_read():
    busy = "import time\nwhile time.process_time() < 0.2: pass\nprint('done', flush=True)\ninput()"
    # The child of a shell: what counts is the whole tree.
    shell = ["sh", "-c", f'"{sys.executable}" -c "$0"; true', busy]
    with subprocess.Popen(shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        assert process.stdout.readline().strip() == "done"
        assert processor_seconds(process.pid) >= 0.15
        process.communicate("\n")
    assert processor_seconds(process.pid) == 0.0
    assert processor_seconds(os.getpid()) > 0.0


def test_what_a_failure_used_counts_too():
    spent, used = Spent(), iter((1.0, 4.5))
    try:
        with measured(spent, lambda: next(used), gpus=0):
            raise OSError
    except OSError:
        pass
    assert spent == Spent(3.5, 0.0)


def test_seconds_are_told_in_coarse_steps():
    told = {coarse(each / 10) for each in range(5000)}
    assert told == {0, 1, 2, 5, 10, 20, 50, 100, 200, 500}
