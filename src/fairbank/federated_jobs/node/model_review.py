"""Whether a model that came may be trained on here: the initial one, and each that is received, before any step.

A model can be made so that the update of it holds the images. What is looked for are the known ways: a layer whose
rows all ask the same of an image and differ in where they begin (an imprint: one row less the next of its update is
one image), a first layer that sees pixels directly, values that make all others vanish, and another form than the
approved one. A cautious attacker can evade each; what is not looked for is in the limits.

Source: Fowl et al. 2022 (arXiv 2110.13057), section 3; Boenisch et al. 2021 (arXiv 2112.02918), section 5.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.tensor_files import Form, TensorFile, TensorShape, form_of, pieces
from fairbank.federated_jobs.tensor_roles import Role, is_extra, role_of
from fairbank.federated_jobs.training_errors import ModelRefused

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

# A weight of fewer rows can hold no more mixtures of the images of a batch than it has rows.
FEWEST_ROWS: Final = 8
# Of the pairs of rows; nets of ordinary training have none.
MOST_ALIKE: Final = 0.2
SAME: Final = 0.999
# Of the rows of a linear layer: so many that are the same are an imprint among others.
LEAST_GROUP: Final = 0.1
# Enough where biases differ as well, as those of an imprint must.
SIMILAR: Final = 0.98
LARGEST: Final = 1e6
# Fewer columns leave too little room for rows to differ.
_FEWEST_COLUMNS = 4
# Rows and columns that are compared; they are drawn anew each time, so that nobody knows which.
_ROWS, _COLUMNS = 96, 1024
# Columns of a weight that may see an image: eight pixels by eight.
_FEWEST_PIXELS = 64
# Part of the biases of a layer.
_DIFFERENT = 0.9


def review_model(file: Path, *, approved: Form | None) -> Form:
    """Refuse a model that could give away what it is trained on; return its form, without what travels beside it.

    Args:
        approved: the form of the model that the job begins with; None for that one itself.

    Raises:
        ModelRefused: naming the tensor.
    """
    import numpy as np

    chance = np.random.default_rng(secrets.randbits(128))
    try:
        form = tuple(tensor for tensor in form_of(file) if not is_extra(tensor.name))
        _check_form(form, approved)
        _check_first_layer(form)
        with TensorFile(file) as opened:
            for tensor in opened.form:
                _check_values(opened, tensor)
            for tensor in _matrices(form):
                _check_rows(opened, tensor, chance)
    except UpdateUnfit as err:
        raise refused(f"It cannot be read: {err.what}") from err
    return form


def keep_form(form: Form, path: Path) -> None:
    """Write down the form that every model of a job has to have."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".part")
    fresh.write_text(json.dumps([[tensor.name, tensor.dtype, list(tensor.shape)] for tensor in form]))
    fresh.replace(path)


def kept_form(path: Path) -> Form | None:
    """Return the form that was written down, None if there is none yet."""
    try:
        told = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return tuple(TensorShape(name, dtype, tuple(shape)) for name, dtype, shape in told)


def refused(why: str) -> ModelRefused:
    """Return the error for a model that is not trained on here."""
    raised = ModelRefused(
        "A model that came is not trained on at this site.",
        why=why,
        todo="Ask where it comes from. If the job is an honest one, its requester chooses another network.",
    )
    raised.at(Check.MODEL)
    return raised


def _check_form(form: Form, approved: Form | None) -> None:
    if approved is None or form == approved:
        return
    was = {tensor.name: tensor for tensor in approved}
    differing = [tensor.name for tensor in form if was.get(tensor.name) != tensor]
    gone = sorted(was.keys() - {tensor.name for tensor in form})
    raise refused(f"It has another form than the approved model: {(differing + gone)[0]!r} differs.")


def _check_first_layer(form: Form) -> None:
    """Refuse a network without any convolution whose layers see whole images."""
    if any(len(tensor.shape) > 2 for tensor in form):
        return
    for tensor in form:
        if _is_linear(tensor) and tensor.shape[1] >= _FEWEST_PIXELS:
            raise refused(
                f"{tensor.name!r} is a linear layer of {tensor.shape[0]} rows on pixels: of each row of its update and "
                "its bias an image can be worked out."
            )


def _is_linear(tensor: TensorShape) -> bool:
    return tensor.is_float and len(tensor.shape) == 2 and tensor.shape[0] >= FEWEST_ROWS


def _check_values(opened: TensorFile, tensor: TensorShape) -> None:
    import numpy as np

    if not tensor.is_float:
        return
    is_weight = role_of(tensor) is Role.WEIGHT
    for start, stop in pieces(tensor.size):
        # Of one number that is not finite, neither sum nor extremes are.
        values = opened.piece(tensor.name, start, stop)
        largest = max(abs(float(np.max(values))), abs(float(np.min(values))))
        if not np.isfinite(largest):
            raise refused(f"{tensor.name!r} holds values that are no finite numbers.")
        if is_weight and largest > LARGEST:
            raise refused(f"{tensor.name!r} holds values beyond {LARGEST:g}.")


def _matrices(form: Form) -> Iterator[TensorShape]:
    for tensor in form:
        rows = tensor.shape[0] if len(tensor.shape) > 1 and role_of(tensor) is Role.WEIGHT else 0
        if rows >= FEWEST_ROWS and tensor.size // rows >= _FEWEST_COLUMNS:
            yield tensor


def _check_rows(opened: TensorFile, tensor: TensorShape, chance: Generator) -> None:
    """Refuse a weight whose rows repeat each other, up to their sign and length."""
    cosines = _cosines(_some_rows(opened, tensor, chance))
    same, similar = (_share(cosines, least) for least in (SAME, SIMILAR))
    if same > MOST_ALIKE or (_is_linear(tensor) and _hides_group(cosines)):
        raise refused(
            f"The rows of {tensor.name!r} repeat each other, as in a layer that is made to imprint single images."
        )
    bias = opened.named.get(tensor.name.removesuffix("weight") + "bias")
    if similar <= MOST_ALIKE or bias is None or bias.shape != tensor.shape[:1]:
        return
    if _all_differ(opened.whole(bias.name)):
        raise refused(
            f"The rows of {tensor.name!r} are much alike and begin at different values of {bias.name!r}, as in a layer "
            "that is made to imprint single images."
        )


def _some_rows(opened: TensorFile, tensor: TensorShape, chance: Generator) -> NDArray[Any]:
    """Return rows of a weight that are drawn by chance, at columns where one is not zero, (rows, columns) float64."""
    import numpy as np

    rows, columns = tensor.shape[0], tensor.size // tensor.shape[0]
    chosen = np.sort(chance.choice(rows, min(rows, _ROWS), replace=False))
    starts = [int(row) * columns for row in chosen]
    read = np.stack([opened.piece(tensor.name, start, start + columns) for start in starts])
    used = np.flatnonzero(read.any(axis=0))
    if len(used) > _COLUMNS:
        used = chance.choice(used, _COLUMNS, replace=False)
    return read[:, used].astype(np.float64)


def _cosines(rows: NDArray[Any]) -> NDArray[Any]:
    """Return the amounts of the cosines of all pairs of rows, (rows, rows); of zeros, and of a row with itself, 0."""
    import numpy as np

    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    cosines: NDArray[Any] = np.abs(unit @ unit.T)
    np.fill_diagonal(cosines, 0.0)
    return cosines


def _share(cosines: NDArray[Any], least: float) -> float:
    """Return the share of the pairs whose cosine is larger."""
    rows = len(cosines)
    return float((cosines > least).sum()) / (rows * (rows - 1))


def _hides_group(cosines: NDArray[Any]) -> bool:
    """Tell whether some of the rows are all the same, among others that are not."""
    largest = int((cosines > SAME).sum(axis=1).max()) + 1
    return largest >= max(FEWEST_ROWS, LEAST_GROUP * len(cosines))


def _all_differ(bias: NDArray[Any]) -> bool:
    import numpy as np

    return len(np.unique(bias)) >= _DIFFERENT * len(bias)
