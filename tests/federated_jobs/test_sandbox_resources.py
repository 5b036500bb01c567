"""What one job may use: the site's settings, the quota of its scratch folder, its devices."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fairbank.federated_jobs.errors import SandboxSettingRefused
from fairbank.federated_jobs.node import sandbox_resources
from fairbank.federated_jobs.node.sandbox_argv import Interpreter, SandboxPlan, sandbox_argv
from fairbank.federated_jobs.node.sandbox_cgroup import CgroupTree, make_job_group
from fairbank.federated_jobs.node.sandbox_policy import MIB, JobFolder, SandboxMode, SandboxPolicy
from fairbank.federated_jobs.node.sandbox_resources import allowed_gpus, devices, sandbox_policy, wall_s
from fairbank.federated_jobs.node.sandbox_scratch import Quota, ScratchWatch, usage
from fairbank.ontology.signed_objects import Resources
from fairbank.settings import Settings

PLENTY = Quota(1 << 40, 1 << 30)
NO_PROCESS = (1 << 22) + 1  # above the largest number that the kernel gives


class TestPolicy:
    def test_a_job_gets_the_least_of_what_it_asks_for_and_what_the_site_allows(self) -> None:
        settings = replace(
            Settings(),
            sandbox_memory_bytes=1 << 30,
            sandbox_processes=32,
            sandbox_cpus=2,
            sandbox_cpu_s=60,
            sandbox_wall_s=100,
            sandbox_scratch_bytes=64 * MIB,
        )
        asked = Resources(memory_bytes=1 << 29, processes=64, wall_s=1000)
        policy = sandbox_policy(settings, asked)
        assert (policy.memory_bytes, policy.max_processes) == (1 << 29, 32)
        assert (policy.cpus, policy.cpu_s, policy.scratch_bytes) == (2, 60, 64 * MIB)
        assert policy.file_bytes == 64 * MIB  # no single file is larger than the quota
        assert wall_s(settings, asked) == 100
        assert wall_s(settings, Resources(wall_s=10)) == 10
        assert policy.mode is SandboxMode.STRICT

    def test_the_check_of_a_node_takes_what_the_site_sets(self) -> None:
        policy = sandbox_policy(replace(Settings(), sandbox_processes=100_000))
        assert (policy.max_processes, policy.gpus) == (100_000, ())

    def test_without_a_limit_of_processor_time_there_is_none(self) -> None:
        assert sandbox_policy(Settings(), Resources()).cpu_s is None

    @pytest.mark.parametrize(
        ("rule", "gpus"), [("all", (0, 1, 10)), ("none", ()), ("1 10", (1, 10)), ("7", ())]
    )
    def test_a_site_says_which_devices_jobs_see(self, rule: str, gpus: tuple[int, ...]) -> None:
        assert allowed_gpus(rule, (0, 1, 10)) == gpus

    @pytest.mark.parametrize("rule", ["", "some", "0,1", "-1", "²"])
    def test_another_rule_of_devices_is_refused(self, rule: str) -> None:
        with pytest.raises(SandboxSettingRefused):
            allowed_gpus(rule, (0, 1))

    def test_the_devices_of_a_machine_are_found_by_number(self, tmp_path: Path) -> None:
        for name in ("nvidia10", "nvidia0", "nvidiactl", "nvidia-uvm", "null"):
            (tmp_path / name).touch()
        assert devices(tmp_path) == (0, 10)

    def test_of_the_devices_the_least_used_are_given(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sandbox_resources, "devices", lambda: (0, 1, 2))
        two, settings = Resources(gpus=2), Settings()
        assert sandbox_policy(settings, two).gpus == (0, 1)
        assert sandbox_policy(settings, two, in_use={0: 1}).gpus == (1, 2)
        assert sandbox_policy(settings, two, in_use={0: 1, 1: 2, 2: 1}).gpus == (0, 2)


def command_line(policy: SandboxPolicy, tmp_path: Path) -> list[str]:
    plan = SandboxPlan(
        policy=policy,
        folder=JobFolder(tmp_path / "job"),
        interpreter=Interpreter.of_this_process(),
        uid=None,
        limit_memory=True,
    )
    return sandbox_argv(plan, ["true"])


def test_only_the_devices_of_a_job_are_bound(tmp_path: Path) -> None:
    line = command_line(SandboxPolicy(gpus=(1,)), tmp_path)
    bound = {line[place + 1] for place, word in enumerate(line) if word == "--dev-bind-try"}
    assert {"/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm"} <= bound
    assert "/dev/nvidia0" not in bound
    assert not any("nvidia" in word for word in command_line(SandboxPolicy(), tmp_path))


def test_processor_time_is_limited_by_the_kernel(tmp_path: Path) -> None:
    assert "--cpu=60:60" in command_line(SandboxPolicy(cpu_s=60), tmp_path)


def test_the_share_of_the_processors_is_limited_by_a_control_group(tmp_path: Path) -> None:
    own = tmp_path / "service"
    (own / "node").mkdir(parents=True)
    (own / "cgroup.subtree_control").write_text("cpu memory pids")
    mounts = f"30 25 0:26 / {tmp_path} rw,nosuid shared:4 - cgroup2 cgroup2 rw\n"
    group = make_job_group(SandboxPolicy(cpus=2), CgroupTree("0::/service/node\n", mounts))
    assert group.memory is not None
    assert (group.memory / "cpu.max").read_text() == "200000 100000"


class TestUsage:
    def test_blocks_are_counted_and_not_lengths(self, tmp_path: Path) -> None:
        (tmp_path / "inner").mkdir()
        (tmp_path / "inner" / "full").write_bytes(b"x" * MIB)
        with (tmp_path / "sparse").open("wb") as sparse:
            sparse.truncate(100 * MIB)
        os.link(tmp_path / "inner" / "full", tmp_path / "again")
        (tmp_path / "elsewhere").symlink_to("/usr")
        found = usage(tmp_path, NO_PROCESS, enough=PLENTY)
        assert MIB <= found.size_bytes < 2 * MIB
        assert found.files == 5

    @pytest.mark.parametrize("kept", ["open", "mapped"])
    def test_what_was_deleted_and_is_kept_is_counted(self, tmp_path: Path, kept: str) -> None:
        before = usage(tmp_path, os.getpid(), enough=PLENTY).size_bytes
        file = tmp_path / "gone"
        file.write_bytes(b"x" * 4 * MIB)
        with file.open("r+b") as opened:
            held = mmap.mmap(opened.fileno(), 0) if kept == "mapped" else opened
            if kept == "mapped":
                opened.close()
            file.unlink()
            found = usage(tmp_path, os.getpid(), enough=PLENTY)
            held.close()
        assert found.size_bytes - before >= 4 * MIB

    def test_what_a_child_keeps_is_counted(self, tmp_path: Path) -> None:
        code = (
            "import sys; f = open('gone', 'wb'); f.write(b'x' * (2 << 20)); f.flush();"
            "import os; os.unlink('gone'); print(flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path
        ) as child:
            assert child.stdout is not None and child.stdin is not None
            child.stdout.readline()
            found = usage(tmp_path, os.getpid(), enough=PLENTY)
            child.stdin.close()
        assert found.size_bytes >= 2 * MIB

    def test_counting_stops_as_soon_as_it_is_enough(self, tmp_path: Path) -> None:
        for name in range(20):
            (tmp_path / str(name)).touch()
        assert usage(tmp_path, os.getpid(), enough=Quota(MIB, 3)).files == 4

    def test_a_folder_that_is_gone_counts_nothing(self, tmp_path: Path) -> None:
        assert usage(tmp_path / "gone", os.getpid(), enough=PLENTY).files == 0


def test_who_passes_the_quota_is_told_on_once(tmp_path: Path) -> None:
    told: list[str] = []
    watch = ScratchWatch(tmp_path, Quota(MIB, 10), root=os.getpid(), exceeded=lambda: told.append("over"))
    (tmp_path / "large").write_bytes(b"x" * 2 * MIB)
    watch.start()
    assert watch.was_exceeded.wait(60)
    watch.stop()
    assert told == ["over"]
