"""Keep every site's model by itself, with the file that says how their predictions are put together."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from fairbank.federated_jobs.hub.merging import METRICS, MODEL, Closing, MergedFile, merge, read_metrics
from fairbank.federated_jobs.update_notes import N_TRAIN

ENSEMBLE = "ensemble"
SCHEMA = "ensemble/1"
Merge = Callable[[Closing, Path], list[MergedFile]]


def model_of(node: str) -> str:
    """Return the name of the output that is one site's model.

    >>> model_of("north")
    'model-north'
    """
    return f"{MODEL}-{node}"


def is_model(name: str) -> bool:
    """Tell whether an output is a model: the merged one, or that of one site."""
    return name == MODEL or name.startswith(f"{MODEL}-")


def keep_all(closing: Closing, folder: Path, *, merged: Merge = merge) -> list[MergedFile]:
    """Return the model of each site, what they told of them, and the description of the ensemble.

    Each update goes by itself through what merges updates, so that whatever a filter did to it is undone.

    The description is JSON: `members` holds site, digest and number of training samples of each model, in the order of
    the sites; `combine` the ways in which predictions may be put together: the `mean` of the members' probabilities (of
    their values, where they predict numbers), or the `vote` of the classes that each finds most probable, where of
    equally many the one with the higher mean counts.

    Raises:
        UpdateError: if an update cannot be read.
    """
    files, members, notes = [], [], {}
    for node in sorted({item.node for item in closing.arrived}):
        own = tuple(item for item in closing.arrived if item.node == node)
        place = folder / node
        place.mkdir()
        made = merged(replace(closing, arrived=own), place)
        model = next(file for file in made if file.name == MODEL)
        digest = model.digest or _digest(model.path)
        files.append(replace(model, name=model_of(node), digest=digest))
        told = read_metrics(made).get("sites", {}).get(node, {})
        notes[node] = told
        members.append({"site": node, "model": digest, "n_train": int(told.get(N_TRAIN, 0))})
    described = {
        "schema": SCHEMA,
        "code": closing.manifest.code.model_dump(mode="json"),
        "members": members,
        "combine": ["mean", "vote"],
    }
    metrics = {"schema": "round-metrics/1", "round": closing.round, "sites": notes}
    for name, body in ((ENSEMBLE, described), (METRICS, metrics)):
        target = folder / f"{name}.json"
        target.write_text(json.dumps(body, sort_keys=True))
        files.append(MergedFile(name, "application/json", target))
    return files


def _digest(path: Path) -> str:
    from fairbank.signing import file_digest

    return file_digest(path)
