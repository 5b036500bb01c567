"""Local steps that work on gradients and weights: FedProx, SCAFFOLD, synaptic intelligence."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from fairbank.federated_jobs.algorithms.local_steps.base import (
    Ended,
    LocalRound,
    LocalStep,
    Tensors,
    as_weights,
)
from fairbank.federated_jobs.algorithms.weights import Weights
from fairbank.federated_jobs.axes.local_steps import FedProx, SynapticIntelligence
from fairbank.federated_jobs.tensor_prefixes import CONTROL


class Proximal(LocalStep):
    """Adds mu/2 |w - w_global|^2 to the loss; its gradient, mu (w - w_global), is added straight away.

    Source: Li et al. 2020, MLSys, equation 2.
    """

    def __init__(self, options: FedProx) -> None:
        self._mu = float(options.mu)

    def begin(self, at: LocalRound) -> None:
        """Keep the global weights."""
        self._at, self._global = at, at.base()

    def gradients(self) -> None:
        """Pull towards them."""
        for name, parameter in self._at.trained.items():
            if parameter.grad is not None:
                parameter.grad.add_(parameter.detach() - self._global[name], alpha=self._mu)


class Scaffold(LocalStep):
    """Corrects each gradient by c - c_i, the control variates of all sites and of this one.

    After K steps of rate r from x to y: c_i' = c_i - c + (x - y) / (K r), option II. What is sent is c + (c_i' - c_i):
    the mean of it over all sites, where one that is absent counts with c, is the new c.

    Source: Karimireddy et al. 2020, ICML, algorithm 1, equations 4 and 5.
    """

    def begin(self, at: LocalRound) -> None:
        """Read both control variates; 0 in the first round."""
        self._at, self._start = at, at.base()
        self._all, self._own = at.tensors(at.received, prefix=CONTROL), at.tensors(at.state)

    def gradients(self) -> None:
        """Correct."""
        for name, parameter in self._at.trained.items():
            if parameter.grad is not None:
                parameter.grad.add_(self._all[name] - self._own[name])

    def end(self, steps: int) -> Ended:
        """Work out the site's new control variate."""
        sent: Tensors = {}
        own: Tensors = {}
        for name, parameter in self._at.trained.items():
            way = (self._start[name] - parameter.detach()) / (max(1, steps) * self._at.rate)
            own[name] = self._own[name] - self._all[name] + way if steps else self._own[name]
            sent[name] = self._all[name] + (own[name] - self._own[name])
        return Ended(as_weights(sent, prefix=CONTROL), as_weights(own))

    def empty(self, trained: Mapping[str, nn.Parameter]) -> Weights:
        """Return zeros."""
        return as_weights({name: torch.zeros_like(each) for name, each in trained.items()}, prefix=CONTROL)


class Synaptic(LocalStep):
    """Holds weights where the site's last round left them, each as strongly as it has mattered so far.

    In a round, w_k sums up -g_k times the change of weight k over the steps; g_k is the gradient of the task's own
    loss. After it, importance grows by w_k / (change over the whole round^2 + damping), and not below 0. From then on
    strength * importance * (weight - old optimum)^2 is added to the loss. Each round counts as a task.

    Source: Zenke, Poole & Ganguli 2017, ICML, equations 3 to 5.
    """

    def __init__(self, options: SynapticIntelligence) -> None:
        self._strength, self._damping = float(options.strength), float(options.damping)

    def begin(self, at: LocalRound) -> None:
        """Read importance and old optimum."""
        self._at, self._start = at, at.base()
        self._importance = at.tensors(at.state, prefix="importance.")
        self._optimum = at.tensors(at.state, prefix="optimum.")
        self._path = {name: torch.zeros_like(each) for name, each in self._start.items()}
        self._gradient: Tensors = {}
        self._before: Tensors = {}

    def gradients(self) -> None:
        """Note the gradient of the task, then add that of the penalty."""
        for name, parameter in self._at.trained.items():
            if parameter.grad is None:
                continue
            self._gradient[name] = parameter.grad.detach().clone()
            self._before[name] = parameter.detach().clone()
            held = self._importance[name] * (parameter.detach() - self._optimum[name])
            parameter.grad.add_(held, alpha=2.0 * self._strength)

    def after_step(self) -> None:
        """Sum up along the way."""
        for name, gradient in self._gradient.items():
            change = self._at.trained[name].detach() - self._before[name]
            self._path[name] -= gradient * change

    def end(self, steps: int) -> Ended:
        """Work out the importance after this round."""
        state: Weights = {}
        for name, parameter in self._at.trained.items():
            whole = parameter.detach() - self._start[name]
            gained = torch.clamp(self._path[name] / (whole.square() + self._damping), min=0.0)
            state |= as_weights({name: self._importance[name] + gained}, prefix="importance.")
            state |= as_weights({name: parameter}, prefix="optimum.")
        return Ended(state=state)
