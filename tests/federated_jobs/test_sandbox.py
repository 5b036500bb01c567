"""A job's sandbox, against the real bubblewrap."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from fairbank.federated_jobs.node import sandbox as sandbox_module
from fairbank.federated_jobs.node.errors import NoFreeUid, SandboxMissing, StagingRefused
from fairbank.federated_jobs.node.probe import ProbeReport
from fairbank.federated_jobs.node.sandbox import Sandbox
from fairbank.federated_jobs.node.sandbox_argv import Interpreter, SandboxPlan, sandbox_argv
from fairbank.federated_jobs.node.sandbox_baits import laid_out
from fairbank.federated_jobs.node.sandbox_cgroup import CgroupTree, JobGroup, make_job_group
from fairbank.federated_jobs.node.sandbox_policy import JobFolder, Protection, SandboxMode, SandboxPolicy
from fairbank.federated_jobs.node.sandbox_seccomp import filter_file, this_machine
from fairbank.federated_jobs.node.sandbox_staging import (
    SeriesToStage,
    Taken,
    hand_over,
    stage_series,
    take_from_scratch,
)
from fairbank.federated_jobs.node.sandbox_uid import lease_uid
from fairbank.signing import sha256_digest

AS_ROOT = os.geteuid() == 0
POLICY = SandboxPolicy(max_processes=16)
NO_CGROUPS = CgroupTree("", "")

needs_bubblewrap = [
    pytest.mark.sandbox,
    pytest.mark.skipif(not Path("/usr/bin/bwrap").exists(), reason="bubblewrap is not installed"),
]


def probed(
    tmp_path: Path,
    *without: Protection,
    policy: SandboxPolicy = POLICY,
    cgroups: CgroupTree | None = None,
) -> ProbeReport:
    """Run the probe in a real sandbox that lacks some protections."""
    home = tmp_path / "node-home"
    home.mkdir()
    key = home / "node.key"
    key.write_text("secret")
    key.chmod(0o600)
    sandbox = Sandbox(policy, node_key=key, hidden=[home], cgroups=cgroups, without=frozenset(without))
    with laid_out() as baits:
        started = sandbox.start(JobFolder(tmp_path / "job"), "fairbank.federated_jobs.node.probe")
        expected = started.expectations(baits, node_key=key, hidden=[home])
        started.stdin.write(json.dumps(asdict(expected)).encode())
        started.stdin.close()
        printed = started.stdout.read()
    started.close(grace_s=10)
    assert printed, started.stderr_tail()
    return ProbeReport.from_json(json.loads(printed))


class TestProbe:
    pytestmark = needs_bubblewrap

    def test_every_assertion_holds_in_the_whole_sandbox(self, tmp_path: Path) -> None:
        report = probed(tmp_path)
        assert report.failed == ()
        assert report.passed

    def test_every_assertion_holds_where_no_control_group_can_be_made(self, tmp_path: Path) -> None:
        assert probed(tmp_path, cgroups=NO_CGROUPS).failed == ()

    @pytest.mark.parametrize(
        ("missing", "assertions"),
        [
            (
                Protection.NETWORK,
                {"only_loopback", "no_host_loopback", "no_abstract_socket", "own_namespaces"},
            ),
            (Protection.PROCESSES, {"own_namespaces"}),
            (Protection.IPC, {"own_namespaces"}),
            (Protection.HOST_NAME, {"own_namespaces"}),
            (Protection.FORK_LIMIT, {"fork_limited"}),
            (Protection.CLEAN_ENVIRONMENT, {"environment_clean"}),
            (Protection.NO_CAPABILITIES, {"no_capabilities"}),
            (Protection.EMPTY_RUN, {"run_empty"}),
            (Protection.SYSTEM_CALLS, {"calls_filtered"}),
        ],
        ids=lambda value: value.value if isinstance(value, Protection) else "",
    )
    def test_an_assertion_fails_when_its_protection_is_removed(
        self, tmp_path: Path, missing: Protection, assertions: set[str]
    ) -> None:
        assert assertions <= set(probed(tmp_path, missing).failed)

    def test_a_missing_memory_limit_is_noticed(self, tmp_path: Path) -> None:
        report = probed(tmp_path, Protection.MEMORY_LIMIT, cgroups=NO_CGROUPS)
        assert report.failed == ("memory_limited",)

    @pytest.mark.skipif(not AS_ROOT, reason="only root gives a job a uid of its own")
    def test_a_job_that_stays_root_is_noticed(self, tmp_path: Path) -> None:
        assert "not_root" in probed(tmp_path, Protection.OWN_UID).failed

    @pytest.mark.skipif(not AS_ROOT, reason="only root may read every file of the host")
    def test_the_host_file_system_is_noticed(self, tmp_path: Path) -> None:
        failed = set(probed(tmp_path, Protection.PRIVATE_ROOT, Protection.OWN_UID).failed)
        assert {"key_unreadable", "host_paths_hidden", "no_host_socket"} <= failed

    @pytest.mark.skipif(not AS_ROOT, reason="another uid cannot write to the inputs anyway")
    def test_writable_inputs_are_noticed(self, tmp_path: Path) -> None:
        failed = probed(tmp_path, Protection.READ_ONLY_INPUTS, Protection.OWN_UID).failed
        assert "inputs_read_only" in failed

    @pytest.mark.skipif(not AS_ROOT, reason="only root may play another user")
    def test_every_assertion_holds_for_a_node_that_is_not_root(self) -> None:
        # Debian's own Python: an interpreter below root's home is out of reach for another user.
        system_python = Path("/usr/bin/python3")
        if not system_python.exists():
            pytest.skip("no system Python")
        tmp = Path(tempfile.mkdtemp())
        try:
            assert _probed_as_user(tmp, system_python).failed == ()
        finally:
            shutil.rmtree(tmp)


def _probed_as_user(tmp: Path, python: Path) -> ProbeReport:
    tmp.chmod(0o755)
    source = tmp / "lib" / "fairbank"
    installed = Interpreter.of_this_process().source
    for name in ("__init__.py", "federated_jobs/__init__.py", "federated_jobs/node/__init__.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    shutil.copy(installed / "federated_jobs/node/probe.py", source / "federated_jobs/node/probe.py")
    key = tmp / "node.key"
    key.write_text("secret")
    folder = JobFolder(tmp / "job").create()
    for path in (key, folder.root, folder.inputs, folder.incoming, folder.scratch):
        os.chown(path, 70001, 70001)
    plan = SandboxPlan(
        policy=POLICY,
        folder=folder,
        interpreter=Interpreter(executable=python, folders=(), source=source),
        uid=None,
        limit_memory=True,
        call_filter=filter_file(machine) if (machine := this_machine()) else None,
    )
    command = sandbox_argv(plan, [str(python), "-s", "-P", "-m", "fairbank.federated_jobs.node.probe"])
    as_user = ["/usr/bin/setpriv", "--reuid=70001", "--regid=70001", "--clear-groups", "--", *command]
    with laid_out() as baits:
        started = sandbox_module.SandboxedProcess(
            process=subprocess.Popen(["/usr/bin/true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE),
            plan=plan,
            places=sandbox_module.Places(),
            confined=True,
            group=JobGroup((), None, None),
            lease=None,
        )
        expected = started.expectations(baits, node_key=key, hidden=[tmp / "job"])
        started.close(grace_s=5)
        done = subprocess.run(
            as_user,
            input=json.dumps(asdict(expected)).encode(),
            capture_output=True,
            cwd="/",
            pass_fds=() if plan.call_filter is None else (plan.call_filter,),
        )
        if plan.call_filter is not None:
            os.close(plan.call_filter)
    assert done.stdout, done.stderr
    return ProbeReport.from_json(json.loads(done.stdout))


class TestPrograms:
    def test_strict_mode_says_what_to_install_when_bubblewrap_is_missing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sandbox_module, "BWRAP", str(tmp_path / "bwrap"))
        with pytest.raises(SandboxMissing) as refused:
            Sandbox(POLICY, node_key=tmp_path / "key").start(JobFolder(tmp_path / "job"), "x")
        assert "apt-get install bubblewrap" in refused.value.todo

    def test_permissive_mode_runs_without_bubblewrap_and_reports(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sandbox_module, "BWRAP", str(tmp_path / "bwrap"))
        report = probed(tmp_path, policy=replace(POLICY, mode=SandboxMode.PERMISSIVE))
        assert {"own_namespaces", "host_paths_hidden", "no_host_loopback"} <= set(report.failed)


@pytest.mark.skipif(not AS_ROOT, reason="only root leases user ids")
class TestUids:
    def test_no_two_live_jobs_share_a_uid(self, tmp_path: Path) -> None:
        policy = replace(POLICY, first_uid=210_000, uid_count=3)
        leases = [lease_uid(policy, leases=tmp_path) for _ in range(3)]
        assert len({lease.uid for lease in leases}) == 3
        with pytest.raises(NoFreeUid):
            lease_uid(policy, leases=tmp_path)
        leases[1].release()
        again = lease_uid(policy, leases=tmp_path)
        assert again.uid == leases[1].uid
        for lease in (leases[0], leases[2], again):
            lease.release()

    def test_a_uid_with_a_live_process_is_passed_over(self, tmp_path: Path) -> None:
        policy = replace(POLICY, first_uid=211_000, uid_count=2)
        command = ["/usr/bin/setpriv", "--reuid=211000", "--clear-groups", "--regid=211000", "--", "/bin/cat"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(b"x")
            process.stdin.flush()
            assert process.stdout.read(1) == b"x"
            lease = lease_uid(policy, leases=tmp_path)
            process.stdin.close()
        assert lease.uid == 211_001
        lease.release()


class TestControlGroups:
    V2 = "0::/system.slice/fairbank.service/node\n"

    def _mounts(self, root: Path, kind: str, options: str) -> str:
        return f"30 25 0:26 / {root} rw,nosuid shared:4 - {kind} {kind} {options}\n"

    def test_version_2_limits_memory_and_tasks_beside_the_nodes_own_leaf(self, tmp_path: Path) -> None:
        own = tmp_path / "system.slice/fairbank.service"
        (own / "node").mkdir(parents=True)
        tree = CgroupTree(self.V2, self._mounts(tmp_path, "cgroup2", "rw"))
        assert tree.own_folder(None) == own / "node"
        (own / "cgroup.subtree_control").write_text("cpu memory pids")
        group = make_job_group(POLICY, tree)
        assert group.memory is not None
        assert group.memory == group.pids
        assert group.memory.parent == own
        assert (group.memory / "memory.max").read_text() == str(POLICY.memory_bytes)
        assert (group.memory / "pids.max").read_text() == str(POLICY.max_processes + 2)

    def test_version_2_without_delegation_makes_no_group(self, tmp_path: Path) -> None:
        (tmp_path / "system.slice/fairbank.service/node").mkdir(parents=True)
        tree = CgroupTree(self.V2, self._mounts(tmp_path, "cgroup2", "rw"))
        assert make_job_group(POLICY, tree) == JobGroup((), None, None)

    def test_version_1_makes_one_group_per_controller_below_the_nodes_own(self, tmp_path: Path) -> None:
        for controller in ("memory", "pids"):
            (tmp_path / controller / "own").mkdir(parents=True)
        membership = "4:memory:/own\n8:pids:/own\n"
        mounts = "".join(self._mounts(tmp_path / c, "cgroup", f"rw,{c}") for c in ("memory", "pids"))
        group = make_job_group(POLICY, CgroupTree(membership, mounts))
        assert group.memory is not None and group.pids is not None
        assert group.memory.parent == tmp_path / "memory/own"
        assert (group.memory / "memory.limit_in_bytes").read_text() == str(POLICY.memory_bytes)
        assert (group.pids / "pids.max").read_text() == str(POLICY.max_processes + 2)

    def test_a_container_sees_its_own_part_of_the_tree(self, tmp_path: Path) -> None:
        mounts = f"30 25 0:26 /docker/abc {tmp_path} ro - cgroup cgroup rw,memory\n"
        assert CgroupTree("4:memory:/docker/abc/x\n", mounts).own_folder("memory") == tmp_path / "x"

    def test_without_control_groups_there_is_an_empty_group(self) -> None:
        assert make_job_group(POLICY, NO_CGROUPS) == JobGroup((), None, None)

    def test_an_out_of_memory_kill_is_read_from_either_version(self, tmp_path: Path) -> None:
        group = JobGroup((tmp_path,), tmp_path, None)
        assert not group.out_of_memory()
        (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
        assert group.out_of_memory()
        (tmp_path / "memory.oom_control").unlink()
        (tmp_path / "memory.events").write_text("oom 1\noom_kill 0\n")
        assert not group.out_of_memory()


class TestStaging:
    def test_files_are_staged_in_order_under_opaque_names(self, tmp_path: Path) -> None:
        source = tmp_path / "research-store"
        source.mkdir()
        for name in ("b.dcm", "a.dcm"):
            (source / name).write_text(name)
            (source / name).chmod(0o600)
        folder = JobFolder(tmp_path / "job")
        total = stage_series([SeriesToStage("u1", "s1", (source / "b.dcm", source / "a.dcm"))], folder)
        staged = folder.inputs / "u1"
        assert [f.read_text() for f in sorted(staged.iterdir())] == ["b.dcm", "a.dcm"]
        assert total == 10
        assert all(f.stat().st_mode & 0o777 == 0o444 for f in staged.iterdir())
        assert folder.root.stat().st_mode & 0o077 == 0
        assert (source / "a.dcm").stat().st_mode & 0o777 == 0o600

    def test_staging_again_leaves_nothing_of_the_first_time(self, tmp_path: Path) -> None:
        file = tmp_path / "a.dcm"
        file.touch()
        folder = JobFolder(tmp_path / "job")
        stage_series([SeriesToStage("u1", "s1", (file,))], folder)
        stage_series([SeriesToStage("u2", "s1", (file,))], folder)
        assert sorted(p.name for p in folder.inputs.iterdir()) == ["manifest.json", "u2"]

    def test_handing_over_a_file_never_writes_into_an_older_one(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path / "job").create()
        older, newer = tmp_path / "older", tmp_path / "newer"
        for file in (older, newer):
            file.write_text(file.name)
            file.chmod(0o644)
        os.link(older, folder.incoming / ".global.part")
        assert hand_over(newer, folder, name="global").read_text() == "newer"
        assert older.read_text() == "older"

    @pytest.mark.parametrize("name", ["../etc", "a/b", "", "DOE JANE", "1.2.840"])
    def test_a_name_that_is_not_opaque_is_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(StagingRefused):
            stage_series([SeriesToStage(name, "s1", ())], JobFolder(tmp_path / "job"))

    def test_a_missing_file_is_refused_without_its_path(self, tmp_path: Path) -> None:
        gone = tmp_path / "DOE_JANE.dcm"
        with pytest.raises(StagingRefused) as refused:
            stage_series([SeriesToStage("u1", "s1", (gone,))], JobFolder(tmp_path / "job"))
        assert "DOE" not in str(refused.value)

    def test_links_pipes_and_large_files_are_not_taken_from_scratch(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path / "job").create()
        secret = tmp_path / "secret"
        secret.write_text("secret")
        (folder.scratch / "link").symlink_to(secret)
        os.link(secret, folder.scratch / "hard")
        os.mkfifo(folder.scratch / "pipe")
        (folder.scratch / "large").write_bytes(b"x" * 100)
        for name in ("link", "hard", "pipe", "large", "../secret", "gone"):
            with pytest.raises(StagingRefused):
                take_from_scratch(folder, name, to=tmp_path / "taken", max_bytes=50)
        assert take_from_scratch(folder, "large", to=tmp_path / "taken", max_bytes=100).size_bytes == 100

    def test_the_head_of_a_file_can_be_replaced_while_it_is_taken(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path / "job").create()
        (folder.scratch / "update").write_bytes(b"OLDtensors")
        taken = take_from_scratch(
            folder, "update", to=tmp_path / "taken", max_bytes=10, head=lambda read: b"new:" + read(3).lower()
        )
        assert (tmp_path / "taken").read_bytes() == b"new:oldtensors"
        # What was read is what the job wrote, not what came of it.
        assert taken == Taken(sha256_digest(b"OLDtensors"), 10)

    def test_nothing_is_left_of_a_file_that_cannot_be_taken(self, tmp_path: Path) -> None:
        folder = JobFolder(tmp_path / "job").create()
        (folder.scratch / "update").write_bytes(b"x" * 100)
        with pytest.raises(StagingRefused):
            take_from_scratch(
                folder, "update", to=tmp_path / "taken", max_bytes=50, head=lambda read: read(8)
            )
        assert not (tmp_path / "taken").exists()
