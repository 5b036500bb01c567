"""The command lines by which container engines are started: what each must, and must never, say."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fairbank.federated_jobs.node.container_argv import (
    ContainerPlan,
    Engine,
    container_argv,
    out_of_memory_argv,
    remove_argv,
)
from fairbank.federated_jobs.node.errors import SandboxUnusable
from fairbank.federated_jobs.node.sandbox_policy import JobFolder, SandboxPolicy

IMAGE = "localhost/tool@sha256:" + "a" * 64
POLICY = SandboxPolicy(memory_bytes=1 << 30, max_processes=32, cpus=2, gpus=(1, 3), cpu_s=90)


def plan(engine: Engine, **changes: object) -> ContainerPlan:
    made = ContainerPlan(
        engine=engine,
        program=Path(f"/usr/bin/{engine.value}"),
        image=IMAGE if engine is not Engine.APPTAINER else "/images/a.sif",
        command=("/bin/tool", "--all"),
        name="fairbank-j",
        policy=POLICY,
        folder=JobFolder(Path("/home/node/jobs/j/worker")),
        uid=200_001,
        root=True,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # what a test changes


COMMON = (
    "--name=fairbank-j", "--pull=never", "--network=none", "--read-only", "--cap-drop=ALL",
    "--security-opt=no-new-privileges", "--user=200001:200001", "--memory=1073741824b",
    "--memory-swap=1073741824b", "--pids-limit=32", "--cpus=2", "--ulimit=core=0:0", "--ulimit=nproc=32:32",
    "--ulimit=cpu=90:90", "--ipc=private", "--stop-signal=SIGKILL", "--log-driver=none", "--entrypoint=/bin/tool",
    "--mount=type=bind,source=/home/node/jobs/j/worker/inputs,destination=/inputs,readonly",
    "--mount=type=bind,source=/home/node/jobs/j/worker/scratch,destination=/outputs",
)  # fmt: skip
APPTAINER = (
    "--containall", "--cleanenv", "--no-home", "--net", "--network=none", "--no-privs", "--nv",
    "--security=uid:200001,gid:200001",
    "--env=CUDA_VISIBLE_DEVICES=1,3",
    "--mount=type=bind,source=/home/node/jobs/j/worker/inputs,destination=/inputs,ro",
    "--mount=type=bind,source=/home/node/jobs/j/worker/scratch,destination=/outputs",
)  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "says", "ends_with"),
    [
        (Engine.DOCKER, (*COMMON, '--gpus="device=1,3"'), (IMAGE, "--all")),
        (
            Engine.PODMAN,
            (*COMMON, "--device=nvidia.com/gpu=1", "--device=nvidia.com/gpu=3", "--http-proxy=false"),
            (IMAGE, "--all"),
        ),
        (Engine.APPTAINER, APPTAINER, ("/images/a.sif", "/bin/tool", "--all")),
    ],
)
def test_each_engine_is_told_every_limit(engine, says, ends_with):
    argv = container_argv(plan(engine))
    assert set(says) <= set(argv)
    assert tuple(argv[-len(ends_with) :]) == ends_with


@pytest.mark.parametrize("engine", list(Engine))
def test_no_engine_is_told_what_opens_a_container(engine):
    text = " ".join(container_argv(plan(engine)))
    for forbidden in (
        "--privileged", "--network=host", "--pid=host", "--ipc=host", "docker.sock", "--cap-add", "unconfined",
        "--fakeroot", "--writable", "--allow-setuid", "--volume", "--env-host", "--env-file", "seccomp=",
    ):  # fmt: skip
        assert forbidden not in text


@pytest.mark.parametrize("engine", list(Engine))
def test_without_gpus_none_is_passed_through(engine):
    text = " ".join(container_argv(plan(engine, policy=replace(POLICY, gpus=()))))
    assert not any(word in text for word in ("gpu", "--nv", "nvidia", "CUDA"))


@pytest.mark.parametrize("engine", list(Engine))
def test_no_container_runs_as_root(engine):
    with pytest.raises(SandboxUnusable):
        container_argv(plan(engine, uid=0))


def test_apptainer_is_another_user_inside_and_keeps_to_limits_of_the_kernel():
    argv = container_argv(plan(Engine.APPTAINER, limit_memory=True))
    before = argv[: argv.index("/usr/bin/apptainer")]
    assert before[0] == "/usr/bin/prlimit" and "--data=1073741824:1073741824" in before
    assert "--nproc=32:32" in before and "--cpu=90:90" in before
    assert "--userns" not in argv
    as_user = container_argv(plan(Engine.APPTAINER, root=False, uid=1000))
    assert "--userns" in as_user and not any(word.startswith("--security") for word in as_user)


def test_rootless_podman_keeps_the_users_id_and_sets_no_limit_that_counts_all_their_processes():
    argv = container_argv(plan(Engine.PODMAN, root=False, uid=1000))
    assert "--userns=keep-id" in argv and "--user=1000:1000" in argv
    assert not any(word.startswith("--ulimit=nproc") for word in argv)
    assert "--userns=keep-id" not in container_argv(plan(Engine.PODMAN))


@pytest.mark.parametrize("engine", list(Engine))
def test_a_path_that_would_add_a_mount_is_refused(engine):
    odd = JobFolder(Path("/home/x,source=/etc/jobs/j/worker"))
    with pytest.raises(SandboxUnusable):
        container_argv(plan(engine, folder=odd))


def test_a_container_is_ended_by_its_name():
    assert remove_argv(Engine.PODMAN, Path("/p"), "n") == ["/p", "rm", "--force", "--volumes", "n"]
    assert remove_argv(Engine.APPTAINER, Path("/p"), "n") is None
    assert out_of_memory_argv(Engine.APPTAINER, Path("/p"), "n") is None
    assert (out_of_memory_argv(Engine.DOCKER, Path("/p"), "n") or [])[-1] == "n"
