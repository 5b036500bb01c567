"""Several processes that train one network together: each takes a part of every batch, and gradients are summed.

All start from the same model and state and go through the same batches. Each computes the loss of its part; gradients
are weighted by the size of the part and summed before they are clipped, so every process makes the same step, and the
model is that of one process with the whole batch, but for the order in which numbers are added. The first process is
the job's own: it alone evaluates and writes.

Processes find each other by a file in the job's own folder and speak over the loopback of its sandbox, which has no
other network: NCCL between GPUs, Gloo between processors.

Source: Li et al. 2020, PyTorch Distributed: Experiences on Accelerating Data Parallel Training, section 3; PyTorch,
`torch.distributed`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Final, NoReturn

import torch
from torch import nn

from fairbank.federated_jobs.algorithms.errors import PartnerLost

MODULE: Final = "fairbank.federated_jobs.algorithms.partner"
# How long one process may be behind the others in a step.
_PATIENCE: Final = timedelta(minutes=10)
_END_S: Final = 5.0
_PLACES: Final = {
    "GLOO_SOCKET_IFNAME": "lo",
    "NCCL_SOCKET_IFNAME": "lo",
    # Its segments are larger than the shared memory that a sandbox has; it then goes from GPU to GPU, or by loopback.
    "NCCL_SHM_DISABLE": "1",
}


@dataclass(frozen=True, slots=True)
class Group:
    """The processes that train together, as one of them sees them.

    Attributes:
        rank: which of them this one is; 0 is the job's own process.
        size: how many there are; 1 is training as ever.
        on_gpus: each has the GPU of its rank; else all compute on processors.
    """

    rank: int = 0
    size: int = 1
    on_gpus: bool = False

    @property
    def device(self) -> torch.device:
        """Return the device that this process computes on."""
        if self.size == 1:
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return torch.device("cuda", self.rank) if self.on_gpus else torch.device("cpu")

    def join(self, store: Path) -> None:
        """Meet the others; returns when all are there.

        Args:
            store: a file that does not exist, the same for all.

        Raises:
            PartnerLost: if not all come.
        """
        import torch.distributed as dist

        if sys.platform.startswith("linux"):
            for name, value in _PLACES.items():
                os.environ.setdefault(name, value)
        if self.on_gpus:
            torch.cuda.set_device(self.rank)
        try:
            dist.init_process_group(
                "nccl" if self.on_gpus else "gloo",
                store=dist.FileStore(str(store), self.size),  # type: ignore[attr-defined]  # documented, not exported
                rank=self.rank,
                world_size=self.size,
                timeout=_PATIENCE,
            )
        except RuntimeError as err:
            raise _lost() from err

    def leave(self) -> None:
        """Leave the others, whether they are there or not."""
        import torch.distributed as dist

        if dist.is_initialized():
            with suppress(RuntimeError):
                dist.destroy_process_group()

    def part(self, places: Sequence[int], *, least: int) -> Sequence[int]:
        """Return the part of a batch that is this process's; none where the batch is too small for all.

        Args:
            least: how many samples a part has at least.
        """
        parts = max(1, min(self.size, len(places) // least))
        return places[self.rank :: parts] if self.rank < parts else []

    def own(self, seed: int) -> int:
        """Return the seed for what this process draws in a step, in [0, 2^31)."""
        return (seed + self.rank) % 2**31

    def sum_gradients(
        self, parameters: Iterable[nn.Parameter], loss: torch.Tensor | None, *, share: float
    ) -> torch.Tensor:
        """Give each parameter the gradient of the loss of the whole batch; return that loss, a single number.

        Args:
            loss: of this process's part, whose gradients the parameters have; None if it has no part.
            share: how large its part is of the whole.

        Raises:
            PartnerLost: if a process is not there any more.
        """
        if self.size == 1:
            assert loss is not None
            return loss.detach()
        import torch.distributed as dist

        known = [each for each in parameters if each.requires_grad]
        # A layer that no part of a batch went through has no gradient, and the optimizer leaves it alone.
        touched = torch.tensor([float(each.grad is not None) for each in known], device=self.device)
        grads = [torch.zeros_like(each) if each.grad is None else each.grad for each in known]
        own = torch.zeros(1, device=self.device) if loss is None else loss.detach().reshape(1).float()
        flat = torch.cat([*(each.flatten().float() * share for each in grads), own * share, touched])
        try:
            dist.all_reduce(flat)
        except RuntimeError as err:
            raise _lost() from err
        *sums, total, touched = torch.split(flat, [*(each.numel() for each in known), 1, len(known)])
        for each, summed, is_touched in zip(known, sums, touched.tolist(), strict=True):
            each.grad = summed.view_as(each).to(each.dtype) if is_touched else None
        return total.reshape(())

    def average_running_means(self, network: nn.Module) -> None:
        """Give running means and spreads of batch normalisation their mean over the processes.

        Raises:
            PartnerLost: if a process is not there any more.
        """
        layers = [
            each
            for each in network.modules()
            if isinstance(each, nn.modules.batchnorm._BatchNorm) and each.training
        ]
        buffers = [
            each for layer in layers for each in (layer.running_mean, layer.running_var) if each is not None
        ]
        if self.size == 1 or not buffers:
            return
        import torch.distributed as dist

        flat = torch.cat([each.flatten().float() for each in buffers])
        try:
            dist.all_reduce(flat)
        except RuntimeError as err:
            raise _lost() from err
        means = torch.split(flat / self.size, [each.numel() for each in buffers])
        with torch.no_grad():
            for each, mean in zip(buffers, means, strict=True):
                each.copy_(mean.view_as(each))


def group_of(size: int | None) -> Group:
    """Return the group of the job's own process.

    Args:
        size: how many processes train; None for as many as there are GPUs, and one where there is none.
    """
    gpus = torch.cuda.device_count()
    size = max(1, gpus) if size is None else size
    return Group(0, size, on_gpus=1 < size <= gpus)


class Partners:
    """The other processes of a group, as the job's own process has them.

    Args:
        begin: what they need to open the same algorithm, as `partner.main` reads it.
        scratch: the job's own folder.
    """

    def __init__(self, group: Group, begin: Mapping[str, Any], scratch: Path) -> None:
        self._group, self._begin = group, begin
        self._store = scratch / "together"
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start them and meet them; do nothing if they are there.

        Raises:
            PartnerLost: if one of them ends before that.
        """
        if self._running:
            return
        self._store.unlink(missing_ok=True)
        for rank in range(1, self._group.size):
            about = {"rank": rank, "size": self._group.size, "on_gpus": self._group.on_gpus}
            process = subprocess.Popen(
                [sys.executable, "-s", "-P", "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._running.append(process)
            self._say({**self._begin, **about, "store": str(self._store)}, process)
        for process in self._running:
            assert process.stdout is not None
            # They read the same series, which takes its time.
            if not process.stdout.readline():
                _raise_lost()
        self._group.join(self._store)
        if self._group.on_gpus:
            for process in self._running:
                threading.Thread(target=self._watch, args=(process,), daemon=True).start()

    def train(self, round_number: int, weights: Path | None, state: Path | None) -> None:
        """Have them begin a round; the job's own process begins it next.

        Args:
            weights: the model that it starts from; None for the initial one.
            state: of the site; None for none.
        """
        for process in self._running:
            places = {"weights": str(weights or ""), "state": str(state or "")}
            self._say({"round": round_number, **places}, process)

    def close(self) -> None:
        """End them; others are started for what comes next."""
        running, self._running = self._running, []
        for process in running:
            assert process.stdin is not None and process.stdout is not None
            with suppress(OSError):
                process.stdin.close()
            process.stdout.close()
            # What waits for a step that does not come would wait for minutes.
            process.kill()
            process.wait()
        if running:
            self._group.leave()
            self._store.unlink(missing_ok=True)

    def _say(self, message: Mapping[str, Any], process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        try:
            _write(message, process.stdin)
        except OSError:
            _raise_lost()

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """End the job's own process where another one is gone: a GPU would wait for it until its patience is up."""
        process.wait()
        time.sleep(_END_S)
        if process in self._running:
            sys.stderr.write(f"{_lost()}\n")
            sys.stderr.flush()
            os._exit(1)


def _write(message: Mapping[str, Any], into: IO[bytes]) -> None:
    into.write(json.dumps(message).encode() + b"\n")
    into.flush()


def _raise_lost() -> NoReturn:
    raise _lost()


def _lost() -> PartnerLost:
    return PartnerLost(
        "A process that trained together with others has ended.",
        why="It ran out of memory, was killed, or its GPU failed; without it the others cannot make a step.",
        todo="Look into the node's log of the job; start it again, or with one GPU.",
    )
