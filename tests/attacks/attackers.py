"""Attacks of our own, after published ones; each works on the two files of an update and on what the job says.

An attack that fails proves little: a better one may not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from tests.attacks.sites import SIZE, Caught, Images, Job, Labels

from fairbank.federated_jobs.algorithms.weights import Weights, read_weights

# Little, so that directions in which public gradients vary least count most.
RIDGE = 1e-6
Gradient = Mapping[str, torch.Tensor]


def inverted(job: Job, found: Caught, labels: Labels, *, steps: int = 300, seed: int = 0) -> Images:
    """Return pictures whose gradient points where the update does, (n, 28, 28).

    Args:
        labels: of the pictures; an attacker reads them off the last bias first.

    Source: Geiping et al. 2020, Inverting Gradients, section 3.1: cosine and total variation, signed steps.
    """
    torch.manual_seed(seed)
    network = job.built(read_weights(found.base))
    weights = list(network.parameters())
    wanted = [found.gradient(job)[name].reshape(each.shape) for name, each in network.named_parameters()]
    targets = torch.from_numpy(labels)
    guess = torch.rand(len(labels), 1, SIZE, SIZE, requires_grad=True)
    optimizer = torch.optim.Adam([guess], lr=0.1)
    falls = torch.optim.lr_scheduler.MultiStepLR(optimizer, [steps * 3 // 8, steps * 5 // 8, steps * 7 // 8])
    for _ in range(steps):
        loss = torch.nn.functional.cross_entropy(network(guess), targets)
        gradient = torch.autograd.grad(loss, weights, create_graph=True)
        along = sum((g * w).sum() for g, w in zip(gradient, wanted, strict=True))
        long = sum((g * g).sum() for g in gradient).sqrt() * sum((w * w).sum() for w in wanted).sqrt()
        rough = guess.diff(dim=2).abs().mean() + guess.diff(dim=3).abs().mean()
        (step,) = torch.autograd.grad(1 - along / (long + 1e-12) + 1e-4 * rough, [guess])
        guess.grad = step.sign()
        optimizer.step()
        falls.step()
        with torch.no_grad():
            guess.clamp_(0, 1)
    return guess.detach().numpy()[:, 0]


def label_counts(job: Job, found: Caught, n: int, *, like: Images) -> NDArray[np.int64]:
    """Return how many of n samples in one step had each class, read off the gradient of the last bias.

    Args:
        like: pictures of the same kind, for what the untrained model says of one.

    Source: Zhao et al. 2020, iDLG, section 3; Wainakh et al. 2022 for counts.
    """
    network = job.built(read_weights(found.base))
    last = [name for name in found.gradient(job) if name.endswith(".bias")][-1]
    with torch.no_grad():
        usual = torch.softmax(network(torch.from_numpy(like)[:, None]), dim=1).mean(dim=0)
    counts = n * (usual - found.gradient(job)[last])
    return np.rint(counts.numpy()).astype(np.int64)


def linear_rows(gradient: Gradient, layer: str) -> Images:
    """Return what the rows of a linear layer on pixels tell: gradient of weights over gradient of the bias.

    Source: Geiping et al. 2020, proposition 3.1.
    """
    weight, bias = gradient[f"{layer}.weight"], gradient[f"{layer}.bias"]
    heard = bias.abs() > 1e-9
    rows = (weight[heard] / bias[heard, None]).numpy()
    return rows.reshape(-1, SIZE, SIZE)


def imprinted(weights: Weights, *, usual: Images, layer: str = "fc1", out: str = "fc2") -> Weights:
    """Return a model whose first layer sorts pictures by their brightness into bins, one picture in each.

    Source: Fowl et al. 2022, Robbing the Fed, section 3.
    """
    made = {name: np.array(each) for name, each in weights.items()}
    rows = len(made[f"{layer}.bias"])
    brightness = usual.mean(axis=(1, 2))
    made[f"{layer}.weight"][:] = 1 / (SIZE * SIZE)
    made[f"{layer}.bias"][:] = -np.quantile(brightness, np.linspace(0, 1, rows, endpoint=False))
    made[f"{out}.weight"][:] = made[f"{out}.weight"][:, :1]
    return made


def bins(gradient: Gradient, layer: str = "fc1") -> Images:
    """Return the pictures that an imprint caught: differences of neighbouring rows."""
    weight, bias = gradient[f"{layer}.weight"], gradient[f"{layer}.bias"]
    between, caught_in = weight.diff(dim=0), bias.diff(dim=0)
    heard = caught_in.abs() > 1e-9
    return (between[heard] / caught_in[heard, None]).numpy().reshape(-1, SIZE, SIZE)


def alignment(
    job: Job, found: Caught, candidates: tuple[Images, Labels], public: tuple[Images, Labels]
) -> NDArray[np.float64]:
    """Return how well the update agrees with each candidate's own gradient, what all share taken out; (n,).

    Source: Nasr et al. 2023, Tight Auditing, section 5, with gradients whitened by public ones.
    """
    network = job.built(read_weights(found.base))
    of = partial(_each_gradient, network)
    known, asked = of(*public), of(*candidates)
    update = torch.cat([g.flatten() for g in (found.gradient(job)[n] for n, _ in network.named_parameters())])
    middle = known.mean(dim=0)
    known, asked, update = known - middle, asked - middle, update - middle
    ridge = RIDGE * float((known**2).sum() / len(known))
    # (ridge + G'G / n)^-1 v by way of the small matrix of inner products (Woodbury).
    small = known @ known.T / len(known) + ridge * torch.eye(len(known))

    def whitened(vectors: torch.Tensor) -> torch.Tensor:
        inner = torch.linalg.solve(small, known @ vectors.T)
        return (vectors - (known.T @ inner).T / len(known)) / ridge

    white = whitened(asked)
    scores = white @ update / torch.sqrt((white * asked).sum(dim=1).clamp(min=1e-12))
    return scores.double().numpy()


def losses(job: Job, weights: Weights, samples: tuple[Images, Labels]) -> NDArray[np.float64]:
    """Return the loss of each sample under a model, (n,)."""
    network = job.built(weights).eval()
    with torch.no_grad():
        scores = network(torch.from_numpy(samples[0])[:, None])
        each = torch.nn.functional.cross_entropy(scores, torch.from_numpy(samples[1]), reduction="none")
    return each.double().numpy()


def ridge_of(
    rows: NDArray[np.float64], known: NDArray[np.float64], *, amount: float = 1e-3
) -> NDArray[np.float64]:
    """Return the weights of a ridge regression of what is known of rows on the rows; the last is the offset."""
    wide = np.hstack([rows, np.ones((len(rows), 1))])
    small = wide @ wide.T
    small += amount * np.trace(small) / len(small) * np.eye(len(small))
    return np.asarray(wide.T @ np.linalg.solve(small, known), dtype=np.float64)


def flat(before: Weights, after: Weights, names: Sequence[str] | None = None) -> NDArray[np.float64]:
    """Return the difference of two models as one row."""
    chosen = names if names is not None else sorted(before)
    return np.concatenate([(after[name] - before[name]).ravel() for name in chosen]).astype(np.float64)


def replacing(base: Weights, wanted: Weights, *, sites: float) -> Weights:
    """Return the update that turns a mean over so many sites into the wanted model.

    Source: Bagdasaryan et al. 2020, How To Backdoor Federated Learning, equation 3.
    """
    return {
        name: (base[name] + sites * (wanted[name] - base[name])).astype(base[name].dtype) for name in base
    }


def _each_gradient(network: torch.nn.Module, images: Images, labels: Labels) -> torch.Tensor:
    from torch.func import functional_call, grad, vmap

    weights = {name: each.detach() for name, each in network.named_parameters()}

    def loss(given: dict[str, torch.Tensor], image: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        scores = functional_call(network, given, (image[None],))
        return torch.nn.functional.cross_entropy(scores, label[None])

    found = vmap(grad(loss), in_dims=(None, 0, 0))(
        weights, torch.from_numpy(images)[:, None], torch.from_numpy(labels)
    )
    return torch.cat([found[name].flatten(1) for name, _ in network.named_parameters()], dim=1)
