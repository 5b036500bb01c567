"""How the names of tensors begin that are no part of a model and travel beside it."""

from __future__ import annotations

# What local steps exchange beside the weights: control variates (SCAFFOLD), and moments of optimizers.
CONTROL, OPTIMIZER = "control.", "optimizer."
# The model that an update started from, where the hub does not have it.
BASE = "base."
