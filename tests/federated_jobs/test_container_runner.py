"""Tools that are containers, run at sites: by an engine that is a script, and by podman for real."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.federated_jobs.conftest import refusal
from tests.federated_jobs.containers import COUNTS, IMAGE, FakeEngine, Podman, container_manifest
from tests.federated_jobs.test_cohort_annotations import table_of
from tests.federated_jobs.test_tool_registry import Registry

from fairbank.errors import FairbankError
from fairbank.federated_jobs.code import tool_named
from fairbank.federated_jobs.container_tools import container_tool
from fairbank.federated_jobs.node import overlays
from fairbank.federated_jobs.node.cohort import Member
from fairbank.federated_jobs.node.container_argv import Engine
from fairbank.federated_jobs.node.container_runner import ContainerRunner
from fairbank.federated_jobs.node.containers_here import program_of
from fairbank.federated_jobs.node.errors import (
    ContainerFailed,
    ContainerRowsRefused,
    EngineMissing,
    ImageMissing,
    WorkerCancelled,
    WorkerCrashed,
    WorkerOutOfDisk,
    WorkerOutOfMemory,
    WorkerTimedOut,
)
from fairbank.federated_jobs.node.failure_words import reason_of
from fairbank.federated_jobs.node.progress import job_folder, progress_of
from fairbank.federated_jobs.node.reviewing import review
from fairbank.federated_jobs.node.runner import RoundTask
from fairbank.federated_jobs.node.runners import SiteRunner
from fairbank.federated_jobs.node.sandbox_staging import SeriesToStage
from fairbank.federated_jobs.reasons import Reason
from fairbank.ontology.signed_objects import Resources
from fairbank.web import publishing
from fairbank.web.api_client import HubApi


class Place:
    """A node with a runner, and a job for it."""

    def __init__(self, fed, folder: Path, engine, *, image: str = IMAGE, **settings) -> None:
        site = fed.add("east", sandbox_container_engine="podman", **settings)
        self.node, self.engine = site.node, engine
        self.runner = ContainerRunner(site.node, program=engine.program_of)
        tool = container_tool(container_manifest(fed.requester.key_id, image=image))
        manifest = fed.manifest(fed.visa(), tool, resources=Resources(wall_s=30))
        files = []
        for number in range(3):
            file = folder / f"{number}.dcm"
            file.write_bytes(b"x" * number)
            files.append(file)
        self.series = [
            SeriesToStage(f"s{number + 1:06d}", f"p{number % 2}", tuple(files[: number + 1]))
            for number in range(3)
        ]
        self.task = RoundTask(
            manifest=manifest,
            tool=tool,
            site="east",
            series=lambda: self.series,
            cohort_digest="sha256:" + "0" * 64,
            round=1,
            previous_round=0,
            global_model=None,
            folder=job_folder(site.node, manifest.id) / "products",
            members=tuple(
                Member("collection", f"1.{number}", f"p{number % 2}", "sha256:" + "0" * 64, folder)
                for number in range(3)
            ),
        )

    def run(self, **resources: int):
        manifest = self.task.manifest
        if resources:
            manifest = manifest.model_copy(update={"resources": Resources(**resources)})
        return self.runner.run(replace(self.task, manifest=manifest))

    def fails(self, kind: type[FairbankError], **resources: int) -> FairbankError:
        with pytest.raises(kind) as caught:
            self.run(**resources)
        return caught.value


@pytest.fixture
def place(start, tmp_path) -> Place:
    return Place(start(), tmp_path, FakeEngine(tmp_path / "engine"))


def rows_in(products) -> list[dict]:
    (product,) = products
    return json.loads(product.path.read_bytes())["rows"]


def test_rows_of_a_container_become_a_product_for_the_gate(place):
    products = place.run()
    rows = rows_in(products)
    assert [(row["row"], row["status"], row["files"], row["mean"]) for row in rows] == [
        ("s000001", "ok", 1, 1.23457), ("s000002", "ok", 2, 1.23457), ("s000003", "ok", 3, 1.23457)
    ]  # fmt: skip
    (product,) = products
    assert (product.output, product.subjects) == ("measurements", 2)
    assert [column.name for column in product.columns or ()] == ["row", "status", "reason", "files", "mean"]
    assert place.engine.calls == ["image", "rm", "run", "container", "rm"]
    assert place.runner.jobs() == []
    assert place.task.spent.cpu_s > 0


def test_the_container_finds_its_options_and_the_seed(place):
    place.engine.behave('(OUTPUTS / "rows.json").write_text((INPUTS / "job.json").read_text())')
    place.fails(ContainerRowsRefused)
    told = json.loads((job_folder(place.node, place.task.manifest.id) / "worker/inputs/job.json").read_text())
    assert told["parameters"] == {"level": 3, "mode": "fast"}
    assert (told["schema"], told["tool"], told["seed"]) == ("container-job/1", "counting", "0")


ROW = {"row": "s000001", "status": "ok", "reason": None, "files": 1, "mean": 1.0}


def written(rows: object, **other: object) -> str:
    text = json.dumps({"schema": "rows/1", "rows": rows, **other})
    return f'(OUTPUTS / "rows.json").write_text({text!r})'


@pytest.mark.parametrize(
    "behaviour",
    [
        '(OUTPUTS / "rows.json").write_text("no JSON")',
        '(OUTPUTS / "rows.json").write_text("[]")',
        '(OUTPUTS / "rows.json").write_text("[" * 100000)',
        written([{**ROW, "mean": float("nan")}]),
        written([ROW], note="Jane Doe"),
        written({"s000001": ROW}),
        written([{**ROW, "name": "Jane Doe"}]),
        written([{**ROW, "reason": "Jane Doe"}]),
        written([{**ROW, "row": "Jane-Doe"}]),
        written([{**ROW, "files": "1"}]),
        written([{**ROW, "files": 10**18}]),
        written([ROW, ROW]),
        written(["s000001"]),
    ],
)
def test_rows_that_are_not_what_was_sealed_are_refused_whole(place, behaviour):
    place.engine.behave(behaviour)
    err = place.fails(ContainerRowsRefused)
    assert "Doe" not in f"{err.what} {err.why}"
    assert reason_of(err) is Reason.CODE_FAILED
    assert list(place.task.folder.glob("*")) == []


def test_a_series_without_a_row_counts_as_left_out(place):
    place.engine.behave(written([ROW]))
    products = place.run()
    # Their rows say nothing but that, so they stay at the site.
    assert [(row["row"], row["status"]) for row in rows_in(products)] == [("s000001", "ok")]
    two = {"kind": "exact", "value": 2}
    left_out = {"reason": "other-reasons", "series": two, "subjects": two}
    assert json.loads(products[0].path.read_bytes())["exclusions"] == [left_out]
    assert products[0].subjects == 1


@pytest.mark.parametrize(
    ("behaviour", "kind", "reason"),
    [
        ("sys.exit(3)", ContainerFailed, Reason.CODE_FAILED),
        ("sys.exit(127)", ContainerFailed, Reason.CODE_FAILED),
        ("pass", ContainerFailed, Reason.CODE_FAILED),
        ('os.symlink("/etc/passwd", OUTPUTS / "rows.json")', ContainerFailed, Reason.CODE_FAILED),
        ('os.mkfifo(OUTPUTS / "rows.json")', ContainerFailed, Reason.CODE_FAILED),
        ('(OUTPUTS / "rows.json").write_bytes(bytes(2 << 20))', ContainerFailed, Reason.CODE_FAILED),
        ("sys.exit(139)", WorkerCrashed, Reason.WORKER_CRASHED),
        ("os.kill(os.getpid(), 11)", WorkerCrashed, Reason.WORKER_CRASHED),
        ("sys.exit(125)", EngineMissing, Reason.SANDBOX_UNAVAILABLE),
        ('(HERE / "oom").touch(); sys.exit(1)', WorkerOutOfMemory, Reason.OUT_OF_MEMORY),
        ("sys.exit(137)", WorkerOutOfMemory, Reason.OUT_OF_MEMORY),
    ],
)
def test_each_bad_end_has_the_word_that_the_sandbox_has_for_it(place, behaviour, kind, reason):
    place.engine.behave(behaviour)
    assert reason_of(place.fails(kind)) is reason
    assert place.engine.calls[-1] == "rm" and place.runner.jobs() == []


def test_the_end_of_what_a_container_prints_stays_at_the_node(place):
    place.engine.behave('sys.stderr.write("DOE^JANE " * 100_000 + "the end"); sys.exit(3)')
    err = place.fails(ContainerFailed)
    assert "DOE" not in f"{err.what} {err.why} {err.todo}"
    kept = job_folder(place.node, place.task.manifest.id) / "stderr"
    assert kept.read_bytes().endswith(b"the end") and kept.stat().st_size < 100_000
    assert kept.stat().st_mode & 0o777 == 0o600


def test_a_container_that_takes_too_long_is_ended_by_its_name(place):
    place.engine.behave("time.sleep(600)")
    err = place.fails(WorkerTimedOut, wall_s=1)
    assert reason_of(err) is Reason.TIMED_OUT
    assert place.engine.calls.count("rm") >= 2


def test_a_container_that_fills_the_disk_is_ended(start, tmp_path):
    engine = FakeEngine(tmp_path / "engine", '(OUTPUTS / "big").write_bytes(bytes(8 << 20)); time.sleep(600)')
    place = Place(start(), tmp_path, engine, sandbox_scratch_bytes=1 << 20)
    assert reason_of(place.fails(WorkerOutOfDisk)) is Reason.OUT_OF_DISK


def test_a_job_that_is_stopped_ends_its_container(place):
    place.engine.behave('(OUTPUTS / "progress").write_text("42"); (HERE / "begun").touch(); time.sleep(600)')
    ended: list[FairbankError] = []

    def run() -> None:
        ended.append(refusal(place.run))

    thread = threading.Thread(target=run)
    thread.start()
    job, pause = place.task.manifest.id, threading.Event()
    while (far := progress_of(place.node, job)) is None or far.percent != 42:
        pause.wait(0.02)
    assert place.runner.jobs() == [job]
    place.runner.cancel(job)
    thread.join(timeout=30)
    assert isinstance(ended[0], WorkerCancelled)
    place.runner.forget(job)
    assert not job_folder(place.node, job).exists()


def test_an_image_that_is_not_here_is_not_fetched(place):
    (place.engine.folder / "images").write_text("")
    err = place.fails(ImageMissing)
    assert IMAGE in err.what and reason_of(err) is Reason.SANDBOX_UNAVAILABLE
    assert place.engine.calls == ["image"]


def test_an_image_of_apptainer_is_a_file_with_that_digest(start, tmp_path):
    from fairbank.signing import sha256_digest

    digest = sha256_digest(b"an image")
    image = f"tool.sif@{digest}"
    place = Place(start(), tmp_path, FakeEngine(tmp_path / "engine"), image=image)
    settings = replace(
        place.node.settings, sandbox_container_engine="apptainer", sandbox_container_folder=str(tmp_path)
    )
    place.runner = ContainerRunner(replace(place.node, settings=settings), program=place.engine.program_of)
    place.fails(ImageMissing)
    (tmp_path / f"{digest[7:]}.sif").write_bytes(b"another image")
    place.fails(ImageMissing)
    (tmp_path / f"{digest[7:]}.sif").write_bytes(b"an image")
    # The script knows no 'exec' and ends at once, without rows: what matters is that it was started with the file.
    place.fails(ContainerFailed)
    calls = (place.engine.folder / "calls").read_text()
    assert f"{digest[7:]}.sif" in calls and '"exec"' in calls


def test_an_engine_that_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("fairbank.federated_jobs.node.containers_here.PLACES", (tmp_path,))
    assert "'apptainer' is not installed" in refusal(lambda: program_of(Engine.APPTAINER)).what


def test_pictures_of_a_container_are_kept_for_the_curator(place):
    png = 'b"\\x89PNG\\r\\n\\x1a\\n"'
    place.engine.behave(
        f'{COUNTS}\n(OUTPUTS / "overlays").mkdir(); (OUTPUTS / "overlays" / "s000001.png").write_bytes({png})'
    )
    place.run()
    assert (place.node.settings.home / overlays.FOLDER / place.task.manifest.id / "s000001.png").exists()


# -- from the registry to the result -----------------------------------------------------------------------------------


def accepted(fed, manifest):
    """Have a container reviewed and accepted at the hub; return its tool."""
    registry = Registry(fed)
    answer = registry.send("POST", "/v1/tools", "ada", manifest.seal(fed.requester))
    assert answer.status_code == 201, answer.text
    for command in ("take-up", "accept"):
        assert registry.act(command, "rita", name="counting").status_code == 200
    return container_tool(manifest)


def with_images(site, folder: Path) -> None:
    for place, one in enumerate(site.index.series["collection"]):
        target = folder / site.name / one.series_uid
        target.mkdir(parents=True)
        (target / "1.dcm").write_bytes(b"x" * place)
        site.index.series["collection"][place] = type(one)(
            one.series_uid, one.subject, one.content_digest, target
        )


def contained(site, engine) -> None:
    site.runner = SiteRunner(site.node, containers=ContainerRunner(site.node, program=engine.program_of))
    site.restart()


def test_a_container_goes_from_the_registry_to_a_result_of_two_sites(start, tmp_path):
    fed = start()
    manifest = container_manifest(fed.requester.key_id)
    for name in ("east", "north"):
        site = fed.add(name, sandbox_container_engine="podman")
        with_images(site, tmp_path / "images")
        contained(site, FakeEngine(tmp_path / name))
    early = fed.manifest(fed.visa(), container_tool(manifest), parameters={"level": 5})
    assert fed.post("/v1/jobs", early.seal(fed.requester)).json()["code"] == "FB-JOBS-014"
    tool = accepted(fed, manifest)
    job = fed.submit(fed.manifest(fed.visa(), tool, parameters={"level": 5}))
    fed.settle()
    east = fed.sites["east"]
    shown = review(east.node, job, source=east.index)
    assert shown.container["container"] == IMAGE and shown.container["engine"] == "podman"
    assert "no network" in shown.container["limits"]
    assert "mean (1)" in (shown.leaves[0].columns or ())
    for site in fed.sites.values():
        site.approve(job)
    fed.settle()
    assert fed.state(job) == "completed", [fed.site_state(job, name) for name in fed.sites]
    rows = table_of(fed, job)
    assert {row["site"] for row in rows} == {"east", "north"}
    assert {(row["status"], row["files"], row["mean"]) for row in rows} == {("ok", 1, 1.23457)}
    measured = fed.get("/v1/measurements", job=job)
    assert measured.status_code == 200


def test_a_publisher_drafts_a_container_and_a_researcher_finds_it(start, tmp_path, monkeypatch):
    fed = start()
    (tmp_path / "keys").mkdir()
    fed.requester.save(tmp_path / "keys" / "requester.pem")
    api = HubApi(fed.url, clock=fed.clock, home=tmp_path, token=fed.token)
    # It is registered; the hub of these tests has no routes of accounts.
    monkeypatch.setattr(api, "register_key", lambda: None)
    draft = publishing.container_draft("counting", IMAGE, publisher="Example")
    assert publishing.submit(api, json.loads(json.dumps(draft)))["state"] == "submitted"
    assert refusal(lambda: publishing.usable_tool(api, "counting")).code == "FB-JOBS-014"
    registry = Registry(fed)
    for command in ("take-up", "accept"):
        registry.act(command, "rita", name="counting")
    tool = publishing.usable_tool(api, "counting")
    assert tool.container is not None and tool.container.image == IMAGE
    assert publishing.usable_tool(api, "noop") == tool_named("noop")
    assert refusal(lambda: publishing.usable_tool(api, "no-such-tool")).code == "FB-JOBS-014"
    registry.act("revoke", "ada", name="counting")
    assert refusal(lambda: publishing.usable_tool(api, "counting")).code == "FB-JOBS-014"
    api.close()


def test_a_site_that_chose_no_engine_runs_no_container(start, tmp_path):
    fed = start("east")
    tool = accepted(fed, container_manifest(fed.requester.key_id))
    job = fed.submit(fed.manifest(fed.visa(), tool))
    fed.settle()
    assert fed.site_state(job, "east") == ("rejected", "policy_declined")


def test_a_container_whose_manifest_did_not_come_is_unknown_at_the_site(start, tmp_path):
    fed = start()
    site = fed.add("east", sandbox_container_engine="podman")
    tool = container_tool(container_manifest(fed.requester.key_id))
    job = fed.smuggle(fed.manifest(fed.visa(), tool))
    fed.settle()
    assert fed.site_state(job, "east") == ("rejected", "code_unknown")
    assert site.runner.calls == []


# -- for real ----------------------------------------------------------------------------------------------------------

# A shell and a few programs: the tool counts files, and tells in its numbers how it is confined.
TOOL = """#!/bin/sh
cannot() { "$@" 2>/dev/null && echo "could: $*" >&2 && exit 9; return 0; }
cannot sh -c 'echo x > /new'
cannot sh -c 'echo x > /inputs/new'
cannot sh -c 'echo x > /etc/new'
[ "$(id -u)" != 0 ] || exit 10
echo x > /tmp/new || exit 11
while read name rest; do case "$name" in
  CapEff:|CapPrm:|CapBnd:) [ "$rest" = 0000000000000000 ] || exit 12;;
  NoNewPrivs:) [ "$rest" = 1 ] || exit 13;;
esac; done < /proc/self/status
links=0; while read line; do links=$((links + 1)); done < /proc/net/dev
[ "$links" = 3 ] || exit 14
first=yes
{ printf '{"schema": "rows/1", "rows": ['
for folder in /inputs/*/; do
  name=${folder%/}; name=${name##*/}
  files=0; for file in "$folder"*; do files=$((files + 1)); done
  [ $first = yes ] || printf ', '; first=no
  printf '{"row": "%s", "status": "ok", "reason": null, "files": %s, "mean": 0.5}' "$name" "$files"
done
printf ']}'; } > /outputs/rows.json
"""


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    engine = Podman(tmp_path_factory.mktemp("podman") / "engine", TOOL)
    yield engine
    engine.remove()


@pytest.mark.podman
def test_podman_runs_a_container_that_cannot_do_more_than_it_may(podman, start, tmp_path):
    place = Place(start(), tmp_path, podman, image=podman.image)
    rows = rows_in(place.run())
    assert [(row["row"], row["files"]) for row in rows] == [("s000001", 1), ("s000002", 2), ("s000003", 3)]
    assert podman.call("ps", "--all", "--quiet") == ""


def other(podman: Podman, start, tmp_path, script: str) -> Place:
    """Return a job whose container runs another script of the same image."""
    place = Place(start(), tmp_path, podman, image=podman.image)
    made = place.task.tool.container
    tool = replace(place.task.tool, container=made.model_copy(update={"command": ("/bin/sh", "-c", script)}))
    place.task = replace(place.task, tool=tool)
    return place


@pytest.mark.podman
def test_podman_ends_a_container_that_takes_too_long_or_too_much_memory(podman, start, tmp_path):
    late = other(podman, start, tmp_path, "sleep 600")
    late.fails(WorkerTimedOut, wall_s=1)
    assert podman.call("ps", "--all", "--quiet") == ""
    # A line without an end, which a shell keeps in memory.
    greedy = "x=xxxxxxxxxxxxxxxx; while :; do x=$x$x; done"
    late.task = replace(
        late.task,
        tool=replace(
            late.task.tool,
            container=late.task.tool.container.model_copy(update={"command": ("/bin/sh", "-c", greedy)}),
        ),
    )
    late.fails(WorkerOutOfMemory, memory_bytes=1 << 28, wall_s=60)
