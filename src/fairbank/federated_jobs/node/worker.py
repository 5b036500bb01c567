"""The process inside a job's sandbox: proves its confinement, loads the approved code, runs round after round.

It is started as `python -m fairbank.federated_jobs.node.worker`, speaks frames over what were its standard input
and output, and ends when its input ends. Libraries may print what they like: their output goes to standard error,
which stays at the node.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, BinaryIO

from fairbank.federated_jobs.node.probe import Expectations, run_probe
from fairbank.federated_jobs.node.worker_protocol import FrameBroken, JobKind, Message, frame, receive

if TYPE_CHECKING:
    from fairbank.federated_jobs.algorithms.session import TrainingSession
    from fairbank.federated_jobs.release_check import Wish

CODE_FAILED = "FB-JOBS-117"
OUT_OF_MEMORY = "FB-JOBS-112"
# Importing these takes seconds, so it starts as soon as the probe allows, while the node still prepares.
PRELOADED = {
    JobKind.TRAINING: (
        "fairbank.federated_jobs.algorithms.session",
        "fairbank.federated_jobs.algorithms.interface",
        "fairbank.federated_jobs.algorithms.slice_autoencoder",
        "fairbank.federated_jobs.algorithms.noop",
        # Of what torch imports when it is told to be deterministic.
        "torch._inductor",
    ),
    JobKind.ANALYSIS: ("fairbank.analysis.intensity_geometry", "fairbank.analysis.run"),
}


class Worker:
    """Answers the operations of one job."""

    def __init__(self, say: Callable[[Message], None] = lambda message: None) -> None:
        self._say = say
        self._loading: Thread | None = None
        self._inputs = Path()
        self._incoming = Path()
        self._scratch = Path()
        self._trusted = False
        self._job: Message = {}
        self._code: tuple[str, ...] = ()
        self._code_digest = ""
        self._session: TrainingSession | None = None
        self._operations: dict[str, Callable[[Message], Message]] = {
            "hello": self._hello,
            "imported": self._imported,
            "belong": self._belong,
            "prepare": self._prepare,
            "analyse": self._analyse,
            "initial": self._initial,
            "train": self._train,
            "evaluate": self._evaluate,
            "checkpoints": self._checkpoints,
        }

    def answer(self, message: Message) -> Message:
        """Return the answer to one message; a failure is an answer too."""
        operation = self._operations.get(str(message.get("op")))
        if operation is None or (not self._trusted and message.get("op") != "hello"):
            return _failure("FB-JOBS-115", "The worker does not know or does not allow this operation now.")
        try:
            return {"ok": True, **operation(message)}
        except Exception as err:  # noqa: BLE001 - an outermost edge: every failure becomes an answer
            traceback.print_exc(file=sys.stderr)
            return _described(err)

    def _hello(self, message: Message) -> Message:
        report = run_probe(Expectations(**message["expect"]))
        if not report.passed and message["mode"] != "permissive":
            return {"report": report.to_json()}
        places = message["places"]
        self._inputs, self._incoming = Path(places["inputs"]), Path(places["incoming"])
        self._scratch = Path(places["scratch"])
        os.chdir(self._scratch)
        self._trusted = True
        kind = JobKind(message["kind"])
        self._loading = Thread(target=_preload, args=(PRELOADED[kind],), name="preload", daemon=True)
        self._loading.start()
        return {"report": report.to_json()}

    def _imported(self, message: Message) -> Message:
        """Say when the libraries are there, and remember from which sources of fairbank."""
        del message
        if self._loading is not None:
            self._loading.join()
        from fairbank.analysis.code_digest import code_digest

        self._code = tuple(name for name in sys.modules if name.startswith("fairbank."))
        self._code_digest = code_digest(self._code)
        return {}

    def _belong(self, message: Message) -> Message:
        """Lower what this process and its children may use to what the job may; no code of a job has run yet."""
        if self._job or not self._code:
            raise RuntimeError("a worker is given to one job, before it prepares any code")
        from fairbank.analysis.code_digest import code_digest

        processes, memory = int(message["processes"]), message["memory"]
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
        if memory is not None:
            resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
        return {
            "processes": resource.getrlimit(resource.RLIMIT_NPROC),
            "memory": resource.getrlimit(resource.RLIMIT_DATA),
            # What was imported must be what the digests of tools are taken of now.
            "unchanged": code_digest(self._code) == self._code_digest,
        }

    def _prepare(self, message: Message) -> Message:
        if self._loading is not None:
            self._loading.join()
        self._job = message
        self._session = None
        if message["kind"] == JobKind.TRAINING.value:
            from fairbank.federated_jobs.algorithms.session import TrainingSession

            self._session = TrainingSession.open(
                name=message["name"],
                digest=message["digest"],
                parameters=message["parameters"],
                job_seed=message["job_seed"],
                site=message["site"],
                inputs=self._inputs,
                scratch=self._scratch,
                training=message.get("training"),
                rounds=int(message.get("rounds", 1)),
                models=self._incoming,
                noise=message.get("noise"),
            )
            return {"series": self._session.n_series}
        from fairbank.analysis.tool import require_tool, tool_parameters

        require_tool(message["name"], message["digest"])
        tool_parameters(message["name"], message["parameters"])
        return {}

    def _analyse(self, message: Message) -> Message:
        from fairbank.analysis.execution import Workers
        from fairbank.analysis.run import run_tool

        outcome = run_tool(
            self._job["name"],
            digest=self._job["digest"],
            parameters=self._job["parameters"],
            inputs=self._inputs,
            into=self._scratch / "rows.json",
            workers=Workers(int(message.get("workers", 1)), str(message.get("scheduler", ""))),
            say=self._teller(message),
            models=self._incoming,
        )
        return {
            "file": "rows.json",
            "digest": outcome.digest,
            "statuses": outcome.statuses,
            "subjects": outcome.subjects,
        }

    def _teller(self, message: Message) -> Callable[[float], None]:
        """Return what takes the finished part, 0 to 1, and tells the node of each percent once."""
        told = -1

        def tell(part: float) -> None:
            nonlocal told
            percent = int(100 * part)
            if percent > told:
                told = percent
                self._say({"id": message.get("id"), "percent": percent})

        return tell

    def _initial(self, message: Message) -> Message:
        del message
        return _json(self._training.initial())

    def _train(self, message: Message) -> Message:
        outcome = self._training.train(
            int(message["round"]),
            self._handed_over(message["weights"]),
            previous=int(message["previous"]),
            say=self._teller(message),
            grouped=message.get("grouped") is True,
        )
        return _json(outcome)

    def _evaluate(self, message: Message) -> Message:
        if members := message.get("members"):
            files = [self._incoming / Path(name).name for name in members]
            return _json(self._training.evaluate_ensemble(files, combine=str(message["combine"])))
        return _json(
            self._training.evaluate(
                self._handed_over(message["weights"]),
                grouped=message.get("grouped") is True,
                release_check=_wish(message.get("release_check")),
            )
        )

    def _checkpoints(self, message: Message) -> Message:
        del message
        return {"rounds": self._training.checkpoints()}

    def _handed_over(self, name: str | None) -> Path | None:
        return None if name is None else self._incoming / Path(name).name

    @property
    def _training(self) -> TrainingSession:
        if self._session is None:
            raise RuntimeError("no training algorithm is prepared")
        return self._session


def _wish(told: Any) -> Wish | None:
    from fairbank.federated_jobs.release_check import Wish

    return Wish(int(told["shadows"]), int(told["passes"])) if isinstance(told, dict) else None


def serve(reading: BinaryIO, writing: BinaryIO) -> None:
    """Answer messages until the input ends or a shutdown is asked for."""

    def say(answer: Message) -> None:
        writing.write(frame(answer))
        writing.flush()

    worker = Worker(say)
    while (message := receive(reading)) is not None:
        if message.get("op") == "shutdown":
            say({"id": message.get("id"), "ok": True})
            return
        say({"id": message.get("id"), **worker.answer(message)})


def main() -> int:
    """Take the pipes away from the libraries, then serve."""
    reading = os.fdopen(os.dup(0), "rb")
    writing = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    try:
        serve(reading, writing)
    except (BrokenPipeError, FrameBroken):
        return 1
    return 0


def _preload(modules: tuple[str, ...]) -> None:
    for module in modules:
        try:
            import_module(module)
        except ImportError:
            # Said properly when the code is prepared.
            traceback.print_exc(file=sys.stderr)


def _json(outcome: Any) -> Message:
    from dataclasses import asdict

    return asdict(outcome)


def _described(err: Exception) -> Message:
    from fairbank.errors import FairbankError

    if isinstance(err, FairbankError):
        return _failure(err.code, err.what, why=err.why, todo=err.todo)
    if isinstance(err, MemoryError) or ("alloc" in str(err).lower() and "memory" in str(err).lower()):
        return _failure(OUT_OF_MEMORY, "The job needed more memory than its limit.")
    # Only the kind of the error: its text may quote what is in a file.
    return _failure(CODE_FAILED, f"The job's code failed with {type(err).__name__}.")


def _failure(code: str, what: str, *, why: str = "", todo: str = "") -> Message:
    return {"ok": False, "code": code, "what": what, "why": why, "todo": todo}


if __name__ == "__main__":
    # os._exit: interpreter shutdown with torch loaded costs a second and frees nothing that matters.
    status = main()
    sys.stderr.flush()
    os._exit(status)
