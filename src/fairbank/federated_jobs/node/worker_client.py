"""The node's hand on a worker: starts it, asks it, ends it, and turns its failures into errors with a code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import Any

from fairbank.errors import FairbankError, all_error_classes
from fairbank.federated_jobs.algorithms.by_group import ByGroup
from fairbank.federated_jobs.errors import NotesUnreadable
from fairbank.federated_jobs.node.errors import (
    ProbeFailed,
    SandboxUnusable,
    WorkerCancelled,
    WorkerCrashed,
    WorkerError,
    WorkerOutOfDisk,
    WorkerOutOfMemory,
    WorkerProtocolBroken,
    WorkerRefused,
    WorkerTimedOut,
)
from fairbank.federated_jobs.node.probe import ProbeReport
from fairbank.federated_jobs.node.sandbox import Sandbox, SandboxedProcess
from fairbank.federated_jobs.node.sandbox_baits import laid_out
from fairbank.federated_jobs.node.sandbox_policy import JobFolder, SandboxMode, SandboxPolicy
from fairbank.federated_jobs.node.sandbox_staging import hand_over, take_from_scratch
from fairbank.federated_jobs.node.worker_answers import (
    AnalysisOutcome,
    Evaluation,
    Initial,
    RoundOutcome,
)
from fairbank.federated_jobs.node.worker_protocol import (
    FrameBroken,
    FrameReader,
    FrameTimeout,
    JobKind,
    Message,
    Operation,
    StreamEnded,
    frame,
)
from fairbank.federated_jobs.release_check import Wish
from fairbank.federated_jobs.update_notes import noted_head

MODULE = "fairbank.federated_jobs.node.worker"
START_TIMEOUT_S = 60.0
# Codes of what can go wrong inside a worker; with any other it would have the node believe something else.
_OF_WORKERS = (
    "FB-JOBS-1",
    "FB-JOBS-326",
    "FB-JOBS-327",
    "FB-JOBS-328",
    "FB-JOBS-375",
    "FB-JOBS-421",
    "FB-JOBS-443",
    "FB-JOBS-500",
    "FB-ANA-",
)


class JobWorker:
    """One worker process of one job; use `start`, and `close` when the job ends.

    Operations are called from one thread at a time; `cancel` may be called from any.
    """

    def __init__(self, sandboxed: SandboxedProcess, folder: JobFolder) -> None:
        self._sandboxed = sandboxed
        self._folder = folder
        self._reader = FrameReader(sandboxed.stdout.fileno())
        self._number = 0
        self._cancelled = Event()
        self._closing = Lock()
        self._closed = False
        self.report = ProbeReport()

    @classmethod
    def start(
        cls, sandbox: Sandbox, folder: JobFolder, *, kind: JobKind, timeout_s: float = START_TIMEOUT_S
    ) -> JobWorker:
        """Start a worker and have it prove its confinement.

        Raises:
            ProbeFailed: in strict mode, naming each assertion that does not hold.
            SandboxError: if no sandbox can be made.
            WorkerError: if the process ends or stays silent.
        """
        with laid_out() as baits:
            sandboxed = sandbox.start(folder, MODULE)
            worker = cls(sandboxed, folder)
            expected = sandboxed.expectations(baits, node_key=sandbox.node_key, hidden=sandbox.hidden)
            try:
                answer = worker._ask(
                    Operation.HELLO,
                    timeout_s=timeout_s,
                    mode=sandbox.policy.mode.value,
                    kind=kind.value,
                    expect=asdict(expected),
                    places=asdict(sandboxed.places),
                )
                worker.report = ProbeReport.from_json(answer["report"])
                if sandbox.policy.mode is SandboxMode.STRICT:
                    _require(worker.report)
            except WorkerCrashed as err:
                raise _unusable(sandboxed.stderr_tail()) from err
            except BaseException:
                worker.close()
                raise
        return worker

    def imported(self, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the libraries of its kind are imported."""
        self._ask(Operation.IMPORTED, timeout_s=timeout_s)

    def belong_to(self, folder: JobFolder, policy: SandboxPolicy, *, timeout_s: float = 10.0) -> bool:
        """Give a worker that has no job to one; return whether it can be used, else it must be closed.

        Args:
            folder: where the job is to live; the worker's own becomes it.
            policy: what the job may use, nowhere more than what the worker was started with.

        Raises:
            OSError: if folder or control groups cannot be changed.
            WorkerError: if the worker does not answer.
        """
        if not self._sandboxed.belong_to(folder, policy):
            return False
        self._folder = folder
        memory = policy.memory_bytes if self._sandboxed.plan.limit_memory else None
        answer = self._ask(
            Operation.BELONG, timeout_s=timeout_s, processes=policy.max_processes, memory=memory
        )
        limits = answer["processes"], answer["memory"] if memory is not None else None
        asked = [policy.max_processes] * 2, None if memory is None else [memory] * 2
        return answer["unchanged"] is True and limits == asked

    def prepare_analysis(
        self, name: str, *, digest: str, parameters: Mapping[str, object], timeout_s: float = 60.0
    ) -> None:
        """Load an analysis tool, checking the digest of its code and its parameters."""
        self._ask(
            Operation.PREPARE,
            timeout_s=timeout_s,
            kind=JobKind.ANALYSIS.value,
            name=name,
            digest=digest,
            parameters=dict(parameters),
        )

    def analyse(
        self,
        *,
        to: Path,
        max_bytes: int,
        timeout_s: float,
        workers: int = 1,
        scheduler: str = "",
        on_progress: Callable[[int], None] = lambda percent: None,
    ) -> AnalysisOutcome:
        """Run the prepared tool over the staged series and fetch its rows into `to`.

        Args:
            to: where the rows go.
            max_bytes: how large they may be.
            timeout_s: how long it may take altogether.
            workers: how many series are measured at once.
            scheduler: address of a Dask scheduler that has them measured instead; empty for none.
            on_progress: takes the finished part in percent, each time that it has grown.
        """
        answer = self._ask(
            Operation.ANALYSE,
            timeout_s=timeout_s,
            on_progress=on_progress,
            workers=workers,
            scheduler=scheduler,
        )
        self._fetch(answer, to, max_bytes)
        return AnalysisOutcome(to, str(answer["digest"]), dict(answer["statuses"]), int(answer["subjects"]))

    def prepare_training(
        self,
        name: str,
        *,
        digest: str,
        parameters: Mapping[str, object],
        job_seed: str,
        site: str,
        training: Mapping[str, object] | None = None,
        rounds: int = 1,
        noise: Mapping[str, object] | None = None,
        timeout_s: float = 300.0,
    ) -> int:
        """Load a training algorithm and the staged series; return how many series it can use.

        Args:
            training: the manifest's local step and frozen layers; plain training by default.
            rounds: how many rounds the job has.
            noise: how it adds noise, as `NoisePlan.to_json` tells it; None for none.
        """
        answer = self._ask(
            Operation.PREPARE,
            timeout_s=timeout_s,
            kind=JobKind.TRAINING.value,
            name=name,
            digest=digest,
            parameters=dict(parameters),
            job_seed=job_seed,
            site=site,
            training=None if training is None else dict(training),
            rounds=rounds,
            noise=None if noise is None else dict(noise),
        )
        return int(answer["series"])

    def initial(self, *, timeout_s: float = 120.0) -> Initial:
        """Have the initial model made from the job seed."""
        answer = self._ask(Operation.INITIAL, timeout_s=timeout_s)
        return Initial(str(answer["digest"]), int(answer["bytes"]), int(answer["parameters"]))

    def fetch_initial(self, to: Path, *, max_bytes: int, timeout_s: float = 120.0) -> None:
        """Have the initial model made from the job seed, and fetch it into `to`."""
        self._fetch(self._ask(Operation.INITIAL, timeout_s=timeout_s), to, max_bytes)

    def train_round(
        self,
        round_number: int,
        weights: Path | None,
        *,
        to: Path,
        max_bytes: int,
        timeout_s: float,
        previous_round: int | None = None,
        notes: Callable[[RoundOutcome], Mapping[str, int | float]] | None = None,
        on_progress: Callable[[int], None] = lambda percent: None,
        grouped: bool = False,
    ) -> RoundOutcome:
        """Train one round from the global model (None: the initial one) and fetch the update into `to`.

        The site's state after the round is on disk before this returns, so that a release can follow.

        Args:
            round_number: from 1 upwards.
            previous_round: the last round that this site released; by default the one before, 0 for none.
            notes: the numbers that the fetched update is to carry; by default it stays as the job wrote it.
            on_progress: takes the finished part in percent, where the algorithm tells it.
            grouped: also measure the global model by group.

        Raises:
            CheckpointMissing: if the round before was not run at this site.
            TrainingDiverged: if a loss or weight is not finite.
        """
        answer = self._ask(
            Operation.TRAIN,
            timeout_s=timeout_s,
            on_progress=on_progress,
            round=round_number,
            previous=round_number - 1 if previous_round is None else previous_round,
            weights=self._hand_over(weights),
            grouped=grouped,
        )
        outcome = RoundOutcome(
            file=to,
            digest=str(answer["digest"]),
            bytes=int(answer["bytes"]),
            base_digest=str(answer["base_digest"]),
            n_train=int(answer["n_train"]),
            n_heldout=int(answer["n_heldout"]),
            before=dict(answer["before"]),
            after=dict(answer["after"]),
            subjects=_pair(answer["subjects"]),
            n_steps=int(answer["n_steps"]),
            images=int(answer["images"]),
            unlabelled=int(answer["unlabelled"]),
            groups=dict(answer["groups"]),
            by_group=_by_group(answer),
            classes=tuple(int(one) for one in answer["classes"]),
        )
        self._fetch(answer, to, max_bytes, notes=None if notes is None else notes(outcome))
        return outcome

    def evaluate(
        self,
        weights: Path | None,
        *,
        timeout_s: float,
        grouped: bool = False,
        release_check: Wish | None = None,
    ) -> Evaluation:
        """Return the metrics of a model (None: the initial one) on the held-out samples, by group too if asked.

        Args:
            release_check: also measure how much it remembers of the samples that were trained on; None for not.
        """
        wish = release_check
        asked: dict[str, Any] = (
            {} if wish is None else {"release_check": {"shadows": wish.shadows, "passes": wish.passes}}
        )
        return self._evaluated(
            timeout_s=timeout_s, weights=self._hand_over(weights), grouped=grouped, **asked
        )

    def evaluate_ensemble(self, members: Sequence[str], *, combine: str, timeout_s: float) -> Evaluation:
        """Return the metrics of the predictions of several models, put together, on the held-out samples.

        Args:
            members: names of their files in the job's incoming folder.
            combine: `mean` or `vote`.
        """
        return self._evaluated(timeout_s=timeout_s, weights=None, members=list(members), combine=combine)

    def _evaluated(self, *, timeout_s: float, **fields: Any) -> Evaluation:
        answer = self._ask(Operation.EVALUATE, timeout_s=timeout_s, **fields)
        return Evaluation(
            dict(answer["metrics"]),
            int(answer["n_heldout"]),
            subjects=_pair(answer.get("subjects")),
            by_group=_by_group(answer),
            classes=tuple(int(one) for one in answer.get("classes", ())),
        )

    def checkpoints(self, *, timeout_s: float = 30.0) -> list[int]:
        """Return the rounds whose state is on disk."""
        return [int(number) for number in self._ask(Operation.CHECKPOINTS, timeout_s=timeout_s)["rounds"]]

    def cancel(self) -> None:
        """End the worker at once; the operation under way raises WorkerCancelled."""
        self._cancelled.set()
        self._sandboxed.kill()

    def close(self) -> None:
        """End the worker, gently if it is idle, and give back its uid and control group."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        if not self._cancelled.is_set() and self._sandboxed.process.poll() is None:
            with suppress(OSError, ValueError):
                self._sandboxed.stdin.write(frame({"id": 0, "op": Operation.SHUTDOWN.value}))
                self._sandboxed.stdin.flush()
        self._sandboxed.close(grace_s=2.0)

    def stderr_tail(self) -> str:
        """Return the end of the worker's standard error; it must not leave the node."""
        return self._sandboxed.stderr_tail()

    @property
    def folder(self) -> JobFolder:
        """Return the folder of the job."""
        return self._folder

    @property
    def alive(self) -> bool:
        """Tell whether its process runs."""
        return not self._closed and self._sandboxed.process.poll() is None

    @property
    def confined(self) -> bool:
        """Tell whether it runs in a sandbox of its own; in permissive mode it may not."""
        return self._sandboxed.confined

    @property
    def pid(self) -> int:
        """Return the process id of the sandbox on this machine."""
        return self._sandboxed.process.pid

    def __enter__(self) -> JobWorker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(
        self,
        operation: Operation,
        *,
        timeout_s: float,
        on_progress: Callable[[int], None] = lambda percent: None,
        **fields: Any,
    ) -> Message:
        self._number += 1
        try:
            self._sandboxed.stdin.write(frame({"id": self._number, "op": operation.value, **fields}))
            self._sandboxed.stdin.flush()
            answer = self._answer(timeout_s, on_progress)
        except FrameTimeout as err:
            raise self._ended(
                WorkerTimedOut(
                    f"The worker did not finish {operation.value!r} within {timeout_s:g} s.",
                    why="The manifest and the site limit the time of each step.",
                    todo="Ask for less work per round, or for more time.",
                )
            ) from err
        except FrameBroken as err:
            raise self._ended(_broken()) from err
        except (StreamEnded, OSError, ValueError) as err:
            raise self._ended(None) from err
        if answer.get("id") != self._number:
            raise self._ended(_broken())
        if answer.get("ok") is not True:
            raise _from_answer(answer)
        return answer

    def _answer(self, timeout_s: float, on_progress: Callable[[int], None]) -> Message:
        """Return the answer itself; what comes before it tells how far the work is."""
        deadline = time.monotonic() + timeout_s
        told = -1
        while True:
            answer = self._reader.read(timeout_s=max(0.0, deadline - time.monotonic()))
            percent = answer.get("percent")
            if "ok" in answer or answer.get("id") != self._number or type(percent) is not int:
                return answer
            # The worker is not trusted: it may only count upwards, and not for ever.
            if not told < percent <= 100:
                raise FrameBroken("progress does not grow")
            told = percent
            on_progress(percent)

    def _ended(self, reason: WorkerError | None) -> WorkerError:
        """End the process and say why it ended."""
        out_of_memory = self._sandboxed.group.out_of_memory()
        with self._closing:
            self._closed = True
        status = self._sandboxed.close(grace_s=1.0 if reason is None else 0.0)
        if self._cancelled.is_set():
            return WorkerCancelled("The job was cancelled and its worker ended.")
        if reason is not None:
            return reason
        if self._sandboxed.out_of_disk:
            policy = self._sandboxed.plan.policy
            return WorkerOutOfDisk(
                f"The job kept more on disk than it may, and was ended: at most {policy.scratch_bytes >> 20} MiB "
                f"in {policy.scratch_files} files.",
                why="The site limits what each job keeps on disk.",
                todo="Write less, or have the site raise sandbox_scratch_bytes or sandbox_scratch_files.",
            )
        if out_of_memory or self._sandboxed.group.out_of_memory():
            limit = self._sandboxed.plan.policy.memory_bytes
            return WorkerOutOfMemory(
                f"The job needed more than its {limit >> 20} MiB of memory and was ended.",
                why="The site limits the memory of each job.",
                todo="Ask for less work at once (smaller batch, smaller images), or for more memory.",
            )
        return WorkerCrashed(
            f"The worker ended with status {status} before it answered.",
            why="Its code crashed, or it was killed.",
            todo="The end of its error output is in the node's job details.",
        )

    def _hand_over(self, weights: Path | None) -> str | None:
        if weights is None:
            return None
        return hand_over(weights, self._folder, name="global.safetensors").name

    def _fetch(
        self,
        answer: Message,
        to: Path,
        max_bytes: int,
        *,
        notes: Mapping[str, int | float] | None = None,
    ) -> None:
        head = None if notes is None else partial(noted_head, notes=notes)
        try:
            taken = take_from_scratch(
                self._folder, str(answer["file"]), to=to, max_bytes=max_bytes, head=head
            )
        except NotesUnreadable as err:
            raise _broken() from err
        if taken.digest != answer["digest"]:
            to.unlink()
            raise _broken()


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Return the rows in a file that `analyse` fetched."""
    rows: list[dict[str, Any]] = json.loads(file.read_bytes())["rows"]
    return rows


def _pair(answer: list[int] | None) -> tuple[int, int] | None:
    return None if answer is None else (int(answer[0]), int(answer[1]))


def _by_group(answer: Message) -> ByGroup:
    try:
        return ByGroup.from_json(answer.get("by_group", {}))
    except (AttributeError, KeyError, TypeError, ValueError) as err:
        raise _broken() from err


def _require(report: ProbeReport) -> None:
    if report.passed:
        return
    error = ProbeFailed(
        f"The sandbox lacks protections: {', '.join(report.failed)}.",
        why="The start-up probe asserts each protection, and strict mode runs nothing without all of them.",
        todo="See the page of this error for each name; 'permissive' runs anyway and reports.",
    )
    error.failed = report.failed
    raise error


def _unusable(stderr: str) -> SandboxUnusable:
    first = next((line for line in stderr.splitlines() if line.strip()), "It ended without a word.")
    return SandboxUnusable(
        "The sandbox ended before the worker could answer.",
        why=first[:300],
        todo="See the page of this error for what this machine must allow.",
    )


def _broken() -> WorkerProtocolBroken:
    return WorkerProtocolBroken(
        "The worker's answer is not part of the protocol.",
        why="The code of the job may have written to the worker's pipe or changed its files.",
        todo="Look at the end of its error output in the node's job details.",
    )


def _from_answer(answer: Message) -> FairbankError:
    code = str(answer.get("code", ""))
    texts = {name: str(answer.get(name, "")) for name in ("what", "why", "todo")}
    for known in all_error_classes():
        if known.code == code and code.startswith(_OF_WORKERS):
            return known(texts["what"], why=texts["why"], todo=texts["todo"])
    error = WorkerRefused(texts["what"], why=texts["why"], todo=texts["todo"])
    error.remote_code = code
    return error
