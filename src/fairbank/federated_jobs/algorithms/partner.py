"""A process that trains together with the job's own: it opens the same algorithm, and makes the same steps.

It is started by `several.Partners` inside the job's sandbox, is told by a line of JSON what to open and by one for each
round where that starts, and ends when its input ends. It writes nothing but one line when it is ready.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    """Open the algorithm, join the others, then train round after round."""
    reading, writing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    # Libraries may print what they like: it goes to standard error, which stays at the node.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    from fairbank.federated_jobs.algorithms.interface import exchanged
    from fairbank.federated_jobs.algorithms.session import opened_algorithm
    from fairbank.federated_jobs.algorithms.several import Group
    from fairbank.federated_jobs.algorithms.weights import read_weights

    about: dict[str, Any] = json.loads(reading.readline())
    group = Group(about.pop("rank"), about.pop("size"), on_gpus=about.pop("on_gpus"))
    store = Path(about.pop("store"))
    inputs, models = Path(about.pop("inputs")), about.pop("models")
    algorithm, _ = opened_algorithm(
        **about, inputs=inputs, models=Path(models) if models else None, group=group
    )
    writing.write(b"ready\n")
    writing.flush()
    group.join(store)
    for line in reading:
        asked = json.loads(line)
        weights, state = asked["weights"], asked["state"]
        base = read_weights(Path(weights)) if weights else algorithm.initial_weights()
        algorithm.begin_round(asked["round"], read_weights(Path(state)) if state else {})
        algorithm.train(exchanged(base), extra={"round": asked["round"]})
    group.leave()
    return 0


if __name__ == "__main__":
    # As the worker does: the interpreter's own way of ending takes a second and frees nothing that matters.
    status = main()
    sys.stderr.flush()
    os._exit(status)
