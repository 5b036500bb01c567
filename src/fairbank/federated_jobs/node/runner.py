"""What runs the code of a job at a site: the interface, and the one that confines it in a sandboxed worker."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from fairbank.analysis.networks import file_name
from fairbank.federated_jobs.algorithms.by_group import ByGroup
from fairbank.federated_jobs.code import GROUP_METRICS, MEASUREMENTS, SUMS, UPDATE, Tool, WorkerKind
from fairbank.federated_jobs.dp.plan import NoisePlan
from fairbank.federated_jobs.evaluating import (
    combining,
    evaluation_file,
    looks_last,
    measures_only,
    members_of,
)
from fairbank.federated_jobs.node import progress
from fairbank.federated_jobs.node.cohort import Member
from fairbank.federated_jobs.node.progress import job_folder
from fairbank.federated_jobs.node.sandbox_staging import SeriesToStage
from fairbank.federated_jobs.node.site_policy import TrainingRules
from fairbank.federated_jobs.node.spent import Spent, measured, processor_seconds
from fairbank.federated_jobs.release_check import wish_of
from fairbank.federated_jobs.update_notes import N_HELDOUT, N_STEPS, N_TRAIN, N_UNLABELLED
from fairbank.ontology.group_metrics import is_classwise
from fairbank.ontology.signed_objects import Manifest
from fairbank.release.candidates import Column, ColumnKind
from fairbank.release.group_metrics import GroupMetrics
from fairbank.release.node import KEY_FILE, Node
from fairbank.release.tensors import TensorShape, form_of
from fairbank.release.told_sums import Sums

if TYPE_CHECKING:
    from fairbank.analysis.contract import Contract
    from fairbank.federated_jobs.node.idle_workers import IdleWorkers
    from fairbank.federated_jobs.node.sandbox import Sandbox
    from fairbank.federated_jobs.node.sandbox_policy import SandboxPolicy
    from fairbank.federated_jobs.node.training_rules import Counted
    from fairbank.federated_jobs.node.worker_answers import RoundOutcome
    from fairbank.federated_jobs.node.worker_client import JobWorker

# Metrics by group of the newest round, among the products, which a withdrawal clears.
GROUPS_FILE = "groups.json"
# Reading images and labels takes a while, however short a round may be.
_PREPARATION_S = 300
# Processes and threads that one worker of an analysis needs, with room to spare.
_TASKS_PER_WORKER = 8
# How long nothing was computed before a node gets ready for a job that is yet to come.
REST_S = 5.0
# Rows that stay at the site.
_LARGEST_ROWS_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class RoundTask:
    """One round of one job at this site, checked and authorised.

    Attributes:
        series: gives the staged form of the cohort, in its order; asked only where inputs are staged.
        cohort_digest: names the cohort; another digest means other inputs.
        members: the series of the cohort, in its order.
        previous_round: the last round that this site released, 0 for none.
        global_model: the model to start from; None for the initial one.
        folder: where the products go; the node's own.
        models: the files of models that the job needs, each called as the code looks for it.
        rules: what the site asks of a training.
        shared_key: the secret key of an encrypted job; the node's own, never the worker's.
        spent: what the round costs is added here, also if it fails.
        noise: how it adds noise; None for none.
    """

    manifest: Manifest
    tool: Tool
    site: str
    series: Callable[[], Sequence[SeriesToStage]]
    cohort_digest: str
    round: int
    previous_round: int
    global_model: Path | None
    folder: Path
    members: tuple[Member, ...] = ()
    models: tuple[Path, ...] = ()
    rules: TrainingRules = field(default_factory=TrainingRules)
    shared_key: bytes | None = field(default=None, repr=False)
    spent: Spent = field(default_factory=Spent)
    noise: NoisePlan | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """One output of a round, before the gate.

    Attributes:
        columns: what the rows of a result may hold.
        subjects: how many different subjects of the cohort it was computed on; None for all of them.
        sums: what a statistic is of.
        form: the tensors that an update must have; None for those of the model that it started from.
        encoded: filters of the node made it of weights.
        packed: it is compressed.
    """

    output: str
    path: Path
    columns: tuple[Column, ...] | None = None
    subjects: int | None = None
    sums: Sums | None = None
    groups: GroupMetrics | None = None
    form: Mapping[str, TensorShape] | None = None
    encoded: bool = False
    packed: bool = False


class Runner(Protocol):
    """Runs rounds; one job has one place of its own that lives from round to round."""

    def run(self, task: RoundTask) -> list[Product]:
        """Compute one round.

        Raises:
            SiteJobError: if the sandbox, the worker or the code fails.
        """
        ...

    def jobs(self) -> list[str]:
        """Return the jobs that something is kept for."""
        ...

    def cancel(self, job: str) -> None:
        """End what a job computes now; callable from any thread."""
        ...

    def forget(self, job: str) -> None:
        """End a job and remove all that was kept for it."""
        ...

    def rest(self) -> None:
        """Get ready for the next job if nothing is computed; called every second or so, by one thread."""
        ...

    def close(self) -> None:
        """End everything that computes, keeping what later rounds need."""
        ...


class ConfinedRunner:
    """Runs each job in one sandboxed worker process that is kept from round to round."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._workers: dict[str, JobWorker] = {}
        self._cohorts: dict[str, str] = {}
        self._gpus: dict[str, tuple[int, ...]] = {}
        self._lock = Lock()
        self._computing, self._last_at_work = 0, time.monotonic()
        self._idle: IdleWorkers | None = None
        self._closed = False

    def run(self, task: RoundTask) -> list[Product]:
        """Compute one round in the job's worker, starting it where there is none."""
        used_s = partial(self._used_s, task.manifest.id)
        with self._at_work(), measured(task.spent, used_s, gpus=task.manifest.resources.gpus):
            return self._computed(task)

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self._lock:
            self._computing += 1
        try:
            yield
        finally:
            with self._lock:
                self._computing -= 1
                self._last_at_work = time.monotonic()

    def _computed(self, task: RoundTask) -> list[Product]:
        from fairbank.federated_jobs.node.errors import WorkerError

        worker = self._worker(task)
        task.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        step = {
            WorkerKind.ANALYSIS: self._analyse,
            WorkerKind.TRAINING: self._train,
            WorkerKind.STATISTICS: self._sum_up,
        }[task.tool.worker]
        try:
            return step(worker, task)
        except WorkerError:
            # Whatever state it is in, the next attempt starts from files in a process of its own.
            self._end(task.manifest.id)
            raise

    def jobs(self) -> list[str]:
        """Return the jobs that have a worker."""
        with self._lock:
            return sorted(self._workers)

    def cancel(self, job: str) -> None:
        """End a job's worker at once."""
        with self._lock:
            worker = self._workers.get(job)
        if worker is not None:
            worker.cancel()

    def forget(self, job: str) -> None:
        """End a job's worker and remove its folder."""
        self._end(job)
        shutil.rmtree(job_folder(self._node, job), ignore_errors=True)

    def rest(self) -> None:
        """Have a worker of each kind ready once nothing was computed for some seconds."""
        if self._node.settings.jobs_idle_workers == "no":
            return
        with self._lock:
            resting = not self._computing and time.monotonic() - self._last_at_work >= REST_S
        if resting:
            self._idle_workers().make_ready()

    def close(self) -> None:
        """End all workers."""
        with self._lock:
            self._closed, idle = True, self._idle
        if idle is not None:
            idle.close()
        for job in self.jobs():
            self._end(job)

    def _idle_workers(self) -> IdleWorkers:
        from fairbank.federated_jobs.node.idle_workers import IdleWorkers

        with self._lock:
            if self._idle is None:
                self._idle = IdleWorkers(self._node, self._sandbox)
            if self._closed:
                self._idle.close()
            return self._idle

    def _sandbox(self, policy: SandboxPolicy, *, confine: bool = True) -> Sandbox:
        from fairbank.federated_jobs.node.sandbox import Sandbox

        settings = self._node.settings
        key = settings.keys_path / KEY_FILE
        return Sandbox(policy, node_key=key, hidden=(settings.home,), confine=confine)

    def _used_s(self, job: str) -> float:
        """Return the processor time of a job's worker so far, 0 if it has none."""
        with self._lock:
            worker = self._workers.get(job)
        return processor_seconds(worker.pid) if worker is not None else 0.0

    def _worker(self, task: RoundTask) -> JobWorker:
        job = task.manifest.id
        with self._lock:
            worker = self._workers.get(job)
        if worker is not None and self._cohorts.get(job) == task.cohort_digest:
            return worker
        self._end(job)
        try:
            worker = self._start(task)
            with self._lock:
                self._workers[job] = worker
                self._cohorts[job] = task.cohort_digest
            self._prepare(worker, task)
        except BaseException:
            self._end(job)
            raise
        return worker

    def _start(self, task: RoundTask) -> JobWorker:
        from fairbank.federated_jobs.node.sandbox_policy import JobFolder
        from fairbank.federated_jobs.node.sandbox_staging import hand_over, stage_series
        from fairbank.federated_jobs.node.site_cluster import check_cluster, names_cluster
        from fairbank.federated_jobs.node.worker_client import JobWorker
        from fairbank.federated_jobs.node.worker_protocol import JobKind

        folder = JobFolder(job_folder(self._node, task.manifest.id) / "worker")
        kind = JobKind.TRAINING if task.tool.worker is WorkerKind.TRAINING else JobKind.ANALYSIS
        if kind is JobKind.ANALYSIS:
            check_cluster(self._node.settings)
        policy = self._confinement(task.manifest)
        series = task.series()
        confine = kind is JobKind.TRAINING or not names_cluster(self._node.settings)
        ready = self._idle.take(kind, policy, folder) if confine and self._idle is not None else None
        try:
            stage_series(series, folder)
            for model in task.models:
                hand_over(model, folder, name=model.name)
        except BaseException:
            if ready is not None:
                ready.close()
            raise
        return ready or JobWorker.start(self._sandbox(policy, confine=confine), folder, kind=kind)

    def _confinement(self, manifest: Manifest) -> SandboxPolicy:
        """Return what a job may use; of the GPUs, those that the fewest other workers have."""
        from fairbank.federated_jobs.node.sandbox_resources import sandbox_policy

        with self._lock:
            in_use = Counter(number for gpus in self._gpus.values() for number in gpus)
            policy = sandbox_policy(self._node.settings, manifest.resources, in_use=in_use)
            self._gpus[manifest.id] = policy.gpus
        return policy

    def _prepare(self, worker: JobWorker, task: RoundTask) -> None:
        manifest = task.manifest
        parameters = task.tool.check_parameters(manifest.parameters)
        if task.tool.worker is not WorkerKind.TRAINING:
            worker.prepare_analysis(manifest.code.name, digest=manifest.code.digest, parameters=parameters)
            return
        worker.prepare_training(
            manifest.code.name,
            digest=manifest.code.digest,
            parameters=parameters,
            job_seed=manifest.seed,
            site=task.site,
            training=None if manifest.training is None else manifest.training.model_dump(mode="json"),
            rounds=manifest.plan.rounds,
            noise=None if task.noise is None else task.noise.to_json(),
            timeout_s=max(_PREPARATION_S, self._wall_s(manifest)),
        )

    def _analyse(self, worker: JobWorker, task: RoundTask) -> list[Product]:
        from fairbank.analysis.tool import tool_named, tool_parameters
        from fairbank.federated_jobs.node.leaving_out import leave_out
        from fairbank.federated_jobs.node.summing import rules_of

        manifest = task.manifest
        target = task.folder / f"{MEASUREMENTS}.json"
        self._measure(worker, task, to=target, most=_limit(manifest, MEASUREMENTS))
        contract = tool_named(manifest.code.name).contract(
            tool_parameters(manifest.code.name, manifest.parameters)
        )
        subjects = leave_out(target, task.members, contract, rules_of(self._node, manifest))
        return [Product(MEASUREMENTS, target, gate_columns(contract), subjects=subjects)]

    def _sum_up(self, worker: JobWorker, task: RoundTask) -> list[Product]:
        """Have the rows of the series made, once for all rounds, and sum them up here, outside the sandbox."""
        from fairbank.federated_jobs.node.summing import Asked, sum_up

        # Among the products, which a withdrawal clears.
        rows = task.folder / f"rows-{task.cohort_digest.partition(':')[2]}.json"
        if not rows.exists():
            # Of a cohort that has shrunk since, with rows of whoever withdrew.
            for stale in rows.parent.glob("rows-*"):
                stale.unlink()
            fresh = rows.with_suffix(".part")
            self._measure(worker, task, to=fresh, most=_LARGEST_ROWS_BYTES)
            fresh.replace(rows)
        target = task.folder / f"{SUMS}.json"
        asked = Asked(task.manifest, task.members, task.round, task.global_model)
        sums = sum_up(self._node, asked, rows, into=target)
        return [Product(SUMS, target, subjects=len(sums.everybody), sums=sums)]

    def _measure(self, worker: JobWorker, task: RoundTask, *, to: Path, most: int) -> None:
        """Have the rows of all series made into a file."""
        from fairbank.federated_jobs.node.overlays import keep as keep_overlays
        from fairbank.federated_jobs.node.site_cluster import cluster_of

        manifest, settings = task.manifest, self._node.settings
        processes = min(settings.sandbox_processes, manifest.resources.processes)
        with cluster_of(self._node, logs=job_folder(self._node, manifest.id) / "cluster") as scheduler:
            worker.analyse(
                to=to,
                max_bytes=most,
                timeout_s=self._wall_s(manifest),
                workers=min(settings.analysis_workers, max(1, processes // _TASKS_PER_WORKER)),
                scheduler=scheduler,
                on_progress=partial(progress.note, self._node, manifest.id),
            )
        keep_overlays(self._node, manifest.id, worker.folder)

    def _train(self, worker: JobWorker, task: RoundTask) -> list[Product]:
        from fairbank.federated_jobs.node.filtering import Training, filtered_round
        from fairbank.federated_jobs.node.group_tables import wants_groups
        from fairbank.federated_jobs.node.training_rules import check_counted, check_statistics

        manifest = task.manifest
        if measures_only(manifest, task.round):
            return self._evaluate(worker, task)
        longest = _limit(manifest, UPDATE)
        outcomes: list[RoundOutcome] = []

        def train(model: Path | None, to: Path) -> None:
            self._review(worker, task, model)
            outcome = worker.train_round(
                task.round,
                model,
                to=to,
                max_bytes=longest,
                timeout_s=self._wall_s(manifest),
                previous_round=task.previous_round,
                notes=partial(
                    _notes, k=self._node.settings.release_minimum_count, coarse=task.noise is not None
                ),
                on_progress=partial(progress.note, self._node, manifest.id),
                grouped=wants_groups(manifest),
            )
            outcomes.append(outcome)

        left = filtered_round(
            task,
            Training(train, partial(worker.fetch_initial, max_bytes=longest)),
            folder=job_folder(self._node, manifest.id),
            into=task.folder / f"{UPDATE}.safetensors",
        )
        if not outcomes:
            # The last round of an encrypted job: its model was only opened.
            return [Product(UPDATE, left.path, form=left.form)]
        check_counted(task.rules, _behind(outcomes[-1], task))
        check_statistics(task.rules, manifest, left.form or form_of(left.path))
        _keep_groups(task, outcomes[-1])
        subjects = outcomes[-1].subjects
        made = Product(
            UPDATE,
            left.path,
            subjects=subjects[0] if subjects else None,
            form=left.form,
            encoded=left.encoded,
            packed=left.packed,
        )
        return [made, *_grouped(self._node, task, outcomes[-1].by_group)]

    def _review(self, worker: JobWorker, task: RoundTask, model: Path | None) -> None:
        """Look at what is to be trained from: the initial model once, and each model that came.

        Raises:
            ModelRefused, TrainingRuleBroken: if it is not trained on here.
        """
        from fairbank.federated_jobs.filters.chain import chain_of
        from fairbank.federated_jobs.node.model_review import keep_form, kept_form, review_model
        from fairbank.federated_jobs.node.training_rules import check_statistics

        told = job_folder(self._node, task.manifest.id) / "review" / "form.json"
        approved = kept_form(told)
        if approved is None:
            told.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            initial = told.with_name("initial.safetensors")
            worker.fetch_initial(initial, max_bytes=_limit(task.manifest, UPDATE))
            approved = review_model(initial, approved=None)
            initial.unlink()
            names = {one.name for one in approved}
            sharing = chain_of(task.manifest).sharing
            check_statistics(task.rules, task.manifest, names - sharing.private(names) if sharing else names)
            keep_form(approved, told)
        if model is not None:
            review_model(model, approved=approved)

    def _evaluate(self, worker: JobWorker, task: RoundTask) -> list[Product]:
        """Measure a model and train nothing; of fewer held-out subjects than may be told, the gate lets nothing out."""
        from fairbank.federated_jobs.node.group_tables import wants_groups

        wall_s, members = self._wall_s(task.manifest), [file_name(each) for each in members_of(task.manifest)]
        if members:
            found = worker.evaluate_ensemble(members, combine=combining(task.manifest), timeout_s=wall_s)
        else:
            grouped = wants_groups(task.manifest)
            wish = wish_of(task.manifest, task.round)
            found = worker.evaluate(task.global_model, timeout_s=wall_s, grouped=grouped, release_check=wish)
        k = self._node.settings.release_minimum_count
        metrics, n_heldout = _tellable(found.metrics, found.classes, k=k), found.n_heldout
        heldout = found.subjects[1] if found.subjects is not None else None
        if looks_last(task.manifest, task.round) and heldout is not None and heldout < k:
            # The model is made already: a site that may tell nothing of it says nothing, and stays in the job.
            metrics, n_heldout, heldout = {}, 0, None
        made = Product(UPDATE, evaluation_file(metrics, n_heldout, into=task.folder), subjects=heldout)
        return [made, *_grouped(self._node, task, found.by_group)]

    def _wall_s(self, manifest: Manifest) -> int:
        from fairbank.federated_jobs.node.sandbox_resources import wall_s

        return wall_s(self._node.settings, manifest.resources)

    def _end(self, job: str) -> None:
        with self._lock:
            worker = self._workers.pop(job, None)
            self._cohorts.pop(job, None)
            self._gpus.pop(job, None)
        if worker is not None:
            with suppress(OSError):
                worker.close()


def gate_columns(contract: Contract) -> tuple[Column, ...]:
    """Return the columns of a contract as the release gate judges them."""
    return tuple(
        Column(column.name, ColumnKind(column.type.value), column.words) for column in contract.columns
    )


def _limit(manifest: Manifest, name: str) -> int:
    return next(output.maximum_bytes for output in manifest.outputs if output.name == name)


def _grouped(node: Node, task: RoundTask, found: ByGroup) -> list[Product]:
    """Return the table of metrics by group, where the job asks for it; one without rows says that nothing is told."""
    from fairbank.federated_jobs.node.group_tables import wants_groups, write_table

    if not wants_groups(task.manifest):
        return []
    target = task.folder / f"{GROUP_METRICS}.json"
    groups = write_table(node, task.manifest, found, number=task.round, into=target)
    return [Product(GROUP_METRICS, target, groups=groups)]


def _keep_groups(task: RoundTask, outcome: RoundOutcome) -> None:
    """Write the metrics by group down for the node's people; they do not leave."""
    if outcome.groups:
        told = {"round": task.round, "n_unlabelled": outcome.unlabelled, "groups": outcome.groups}
        (task.folder / GROUPS_FILE).write_text(json.dumps(told, sort_keys=True))


def _behind(outcome: RoundOutcome, task: RoundTask) -> Counted:
    """Return on how much a round was trained; the worker cannot say more than its cohort has."""
    from fairbank.federated_jobs.node.training_rules import Counted

    subjects = len({member.subject for member in task.members})
    used = subjects if outcome.subjects is None else min(outcome.subjects[0], subjects)
    return Counted(min(outcome.images or outcome.n_train, len(task.members)), used)


def _notes(outcome: RoundOutcome, *, k: int, coarse: bool = False) -> dict[str, int | float]:
    """Return what travels with an update; metrics and counts of fewer than k subjects stay here.

    Args:
        coarse: tell of numbers of samples two digits: noise does not hide them.
    """
    counts = {N_TRAIN: _two_digits(outcome.n_train) if coarse else outcome.n_train}
    if outcome.n_steps:
        counts[N_STEPS] = outcome.n_steps
    if outcome.unlabelled >= k:
        counts[N_UNLABELLED] = outcome.unlabelled
    if outcome.subjects is not None and outcome.subjects[1] < k:
        return dict(counts)
    before, after = (_tellable(each, outcome.classes, k=k) for each in (outcome.before, outcome.after))
    return {
        **counts,
        N_HELDOUT: _two_digits(outcome.n_heldout) if coarse else outcome.n_heldout,
        **{f"before_{name}": value for name, value in before.items()},
        **{f"after_{name}": value for name, value in after.items()},
    }


def _two_digits(number: int) -> int:
    """Return a number with all its digits but the first two being 0.

    >>> _two_digits(1569), _two_digits(37)
    (1600, 37)
    """
    return int(float(f"{number:.1e}"))


def _tellable(metrics: Mapping[str, float], classes: Sequence[int], *, k: int) -> dict[str, float]:
    """Return metrics without those that tell of a class of fewer than k subjects; nothing is said of one without any.

    Args:
        classes: how many held-out subjects each class has that occurs.
    """
    if min(classes, default=k) >= k:
        return dict(metrics)
    return {name: value for name, value in metrics.items() if not is_classwise(name)}
