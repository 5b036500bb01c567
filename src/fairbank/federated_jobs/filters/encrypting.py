"""Encrypt whole updates so that who adds them up can read none: CKKS, additions only, one secret key for all sites.

    ckks           U8 (pieces, 4 + 63484): one ciphertext a row, after its length in 4 little-endian bytes
    ckks.layout    U8 (32,): digest of the names, types and shapes of what was encrypted

What is encrypted is one row of numbers: how many updates it is made of (1), their weight (samples / 256), then every
weight of the model times that weight, tensor by tensor in the order of their names. Sums of such rows are such rows,
so the mean needs no multiplication under encryption. Whole numbers of a model (counters) are not exchanged.

One prime of 54 bits carries the sum: scale 2^36, so an amount up to 2^17 fits. Adding needs the parameters alone, no
key of the sites. The secret key opens each single ciphertext too: whoever has it, every site, could open another's.

Source: Cheon et al. 2017, Homomorphic Encryption for Arithmetic of Approximate Numbers (CKKS); Albrecht et al. 2018,
Homomorphic Encryption Standard, table 1 (degree 4096, ternary secret, 128 bits: a modulus of at most 109 bits).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from fairbank.errors import MissingExtra
from fairbank.federated_jobs.algorithms.weights import Weights
from fairbank.federated_jobs.filters.errors import EncryptionUnfit
from fairbank.federated_jobs.tensor_files import (
    Form,
    TensorFile,
    TensorShape,
    TensorWriter,
    form_of,
    form_of_array,
    unfit,
)

CIPHERTEXTS: Final = "ckks"
LAYOUT: Final = "ckks.layout"
# How far a mean that was taken under encryption is from the mean, in each weight; tested.
ERROR_BOUND: Final = 1e-4
_DEGREE: Final = 4096
_SLOTS: Final = _DEGREE // 2
_PRIMES: Final = [54, 55]
_SCALE: Final = 2.0**36
_LARGEST_SUM: Final = 2.0**16
_SAMPLES_IN_ONE: Final = 256
_LENGTH_BYTES: Final = 4
# A ciphertext has 2 × 4096 numbers of 54 bits; packed as the library does it takes 61.8 kB, give or take 30 bytes.
_ROW_BYTES: Final = 62 * 1024
_HEAD: Final = 2
# What the opened model is blurred by before it leaves: 2^-16, far above the error of the ciphertexts.
_BLUR: Final = 2.0**-16
_GRID: Final = 2.0**-20


def require_library(needed_for: str) -> None:
    """Refuse where the library is not installed.

    Raises:
        MissingExtra: naming the extra.
    """
    if find_spec("tenseal") is None:
        raise MissingExtra.named("he", needed_for=needed_for)


def new_key() -> bytes:
    """Return a fresh secret key with its parameters, about 62 kB; it opens and makes ciphertexts of one job."""
    import tenseal as ts

    context = ts.context(
        ts.SCHEME_TYPE.CKKS, _DEGREE, -1, _PRIMES, encryption_type=ts.ENCRYPTION_TYPE.SYMMETRIC
    )
    context.global_scale = _SCALE
    key: bytes = context.serialize(
        save_public_key=False, save_secret_key=True, save_galois_keys=False, save_relin_keys=False
    )
    return key


def check_key(key: bytes) -> None:
    """Refuse bytes that are no secret key of these parameters.

    Raises:
        EncryptionUnfit: if they are not.
    """
    _context(key)


def encrypted_form(plain: Sequence[TensorShape]) -> Form:
    """Return the form of what leaves of an update of this form."""
    rows = -(-(_HEAD + sum(tensor.size for tensor in plain if tensor.is_float)) // _SLOTS)
    return (
        TensorShape(CIPHERTEXTS, "U8", (rows, _ROW_BYTES)),
        TensorShape(LAYOUT, "U8", (hashlib.sha256().digest_size,)),
    )


def is_encrypted(model: Path) -> bool:
    """Tell whether a file holds ciphertexts and not weights."""
    return [tensor.name for tensor in form_of(model)] == [CIPHERTEXTS, LAYOUT]


def encrypt(weights: Weights, *, samples: int, sites: int, key: bytes) -> Weights:
    """Return the tensors that leave of an update.

    Args:
        samples: how much it weighs in the mean, >= 1.
        sites: how many updates are added up at most.

    Raises:
        EncryptionUnfit: if a weight is not finite, or so large that a sum could not hold it.
    """
    form = tuple(form_of_array(name, weights[name]) for name in sorted(weights))
    weight = samples / _SAMPLES_IN_ONE
    most = _LARGEST_SUM / sites / max(weight, 1.0)
    context, rows = _context(key), []
    for numbers in _numbers(weights, weight, most):
        rows.append(_row(_encrypted(context, numbers)))
    return {CIPHERTEXTS: np.stack(rows), LAYOUT: _layout(form)}


def add(files: Sequence[Path], into: Path) -> tuple[str, int]:
    """Write the sum of encrypted updates of one form, one row in memory at a time; return its digest and size.

    Raises:
        UpdateUnfit: if one is no update of these parameters, or they are of different models.
    """
    context = _adding()
    opened = [TensorFile(path) for path in files]
    try:
        form, layout = opened[0].form, opened[0].whole(LAYOUT)
        if any(one.form != form or bytes(one.whole(LAYOUT)) != bytes(layout) for one in opened):
            raise unfit("Encrypted updates are of different models.")
        with TensorWriter(into, form) as writer:
            writer.write(LAYOUT, 0, layout)
            for row in range(opened[0].named[CIPHERTEXTS].shape[0]):
                start = row * _ROW_BYTES
                total = None
                for one in opened:
                    vector = _vector(context, one.piece(CIPHERTEXTS, start, start + _ROW_BYTES))
                    total = vector if total is None else total + vector
                assert total is not None
                writer.write(CIPHERTEXTS, start, _row(total.serialize()))
            return writer.finish()
    finally:
        for one in opened:
            one.close()


def check_file(path: Path, *, values: bool = False) -> bytes:
    """Return the layout that an encrypted update names, once it has the form of one.

    Args:
        values: also load each ciphertext.

    Raises:
        UpdateUnfit: if it is none.
    """
    with TensorFile(path) as opened:
        rows = opened.named.get(CIPHERTEXTS)
        layout = opened.named.get(LAYOUT)
        wanted = (TensorShape(CIPHERTEXTS, "U8", (rows.shape[0] if rows else 0, _ROW_BYTES)),)
        if rows is None or layout is None or len(opened.form) != _HEAD or opened.form[:1] != wanted:
            raise unfit("It is no encrypted update.")
        if (layout.dtype, layout.shape) != ("U8", (32,)) or not rows.shape[0]:
            raise unfit("It is no encrypted update.")
        if values:
            context = _adding()
            for row in range(rows.shape[0]):
                _vector(context, opened.piece(CIPHERTEXTS, row * _ROW_BYTES, (row + 1) * _ROW_BYTES))
        return bytes(opened.whole(LAYOUT))


def decrypt(path: Path, *, like: Weights, key: bytes, at_least: int) -> Weights:
    """Return the mean that a sum of encrypted updates stands for.

    Args:
        like: a model of the same form, whose whole numbers are taken.
        at_least: of how many updates the sum has to be.

    Raises:
        EncryptionUnfit: if it is of another model, was made with another key, or is of fewer updates.
        UpdateUnfit: if it is no such file.
    """
    form = tuple(form_of_array(name, like[name]) for name in sorted(like))
    if form_of(path) != encrypted_form(form) or check_file(path) != bytes(_layout(form)):
        raise _unfit("The encrypted model is of another form than this site's.")
    context = _context(key)
    with TensorFile(path) as opened:
        rows = opened.named[CIPHERTEXTS].shape[0]
        flat = np.concatenate(
            [
                _opened(context, opened.piece(CIPHERTEXTS, row * _ROW_BYTES, (row + 1) * _ROW_BYTES))
                for row in range(rows)
            ]
        )
    updates, weight = float(flat[0]), float(flat[1])
    # With another key, or from a sum that overflowed, the numbers are noise and no count of updates.
    if not 0.5 < updates < 1e6 or abs(updates - round(updates)) > 0.01 or not weight > 0:
        raise _unfit("The encrypted model cannot be opened with this job's key.")
    if round(updates) < at_least:
        raise _unfit(f"The encrypted model is of {round(updates)} updates, and {at_least} are asked for.")
    return _split(flat[_HEAD:] / weight, like)


def blurred(weights: Weights, key: bytes, *, job: str) -> Weights:
    """Return an opened model as it may be shown: rounded and blurred, by every site that has the key in the same way.

    The exact decryption of a ciphertext that somebody keeps gives the key away, so none leaves.

    Source: Li & Micciancio 2021, On the Security of Homomorphic Encryption on Approximate Numbers.
    """
    seed = hashlib.sha256(b"fairbank ckks blur v1" + job.encode() + hashlib.sha256(key).digest()).digest()
    rng = np.random.Generator(np.random.PCG64(int.from_bytes(seed, "big")))
    shown = {}
    for name in sorted(weights):
        values = weights[name]
        if values.dtype.kind == "f":
            rounded = np.round(values.astype(np.float64) / _GRID) * _GRID
            values = (rounded + _BLUR * rng.standard_normal(values.shape)).astype(values.dtype)
        shown[name] = values
    return shown


def _context(key: bytes) -> Any:
    import tenseal as ts

    try:
        context = ts.context_from(key)
    except (ValueError, RuntimeError, TypeError) as err:
        raise _unfit("The key of the job is damaged.") from err
    if not context.has_secret_key() or context.global_scale != _SCALE:
        raise _unfit("The key of the job is not one of this version.")
    return context


def _adding() -> Any:
    """Return parameters without any key: enough to add, for nothing else."""
    import tenseal as ts

    context = ts.context(ts.SCHEME_TYPE.CKKS, _DEGREE, -1, _PRIMES)
    context.global_scale = _SCALE
    context.make_context_public()
    return context


def _encrypted(context: Any, numbers: NDArray[np.float64]) -> bytes:
    import tenseal as ts

    made: bytes = ts.ckks_vector(context, numbers.tolist()).serialize()
    return made


def _numbers(
    weights: Mapping[str, NDArray[Any]], weight: float, most: float
) -> Iterator[NDArray[np.float64]]:
    """Yield the numbers of an update, as many as one ciphertext holds at a time."""
    row, at = np.zeros(_SLOTS), _HEAD
    row[:_HEAD] = 1.0, weight
    for name in sorted(weights):
        values = weights[name].reshape(-1)
        if values.dtype.kind != "f":
            continue
        largest = float(np.abs(values).max(initial=0.0))
        if not math.isfinite(largest) or largest > most:
            raise _unfit(
                "A weight of the update is not finite."
                if not math.isfinite(largest)
                else f"A weight of the update is above {most:.3g}, and a sum of such could not be held."
            )
        start = 0
        while start < values.size:
            stop = min(values.size, start + _SLOTS - at)
            row[at : at + stop - start] = values[start:stop].astype(np.float64) * weight
            at, start = at + stop - start, stop
            if at == _SLOTS:
                yield row
                row, at = np.zeros(_SLOTS), 0
    if at:
        yield row


def _row(ciphertext: bytes) -> NDArray[np.uint8]:
    if len(ciphertext) > _ROW_BYTES - _LENGTH_BYTES:
        raise unfit("A ciphertext is longer than any of these parameters.")
    row = np.zeros(_ROW_BYTES, dtype=np.uint8)
    row[:_LENGTH_BYTES] = np.frombuffer(len(ciphertext).to_bytes(_LENGTH_BYTES, "little"), np.uint8)
    row[_LENGTH_BYTES : _LENGTH_BYTES + len(ciphertext)] = np.frombuffer(ciphertext, np.uint8)
    return row


def _vector(context: Any, row: NDArray[np.uint8]) -> Any:
    import tenseal as ts

    length = int.from_bytes(bytes(row[:_LENGTH_BYTES]), "little")
    if not 0 < length <= _ROW_BYTES - _LENGTH_BYTES:
        raise unfit("A ciphertext has no length.")
    try:
        vector = ts.ckks_vector_from(context, bytes(row[_LENGTH_BYTES : _LENGTH_BYTES + length]))
        sound = vector.size() == _SLOTS and len(vector.ciphertext()) == 1
        scale = vector.ciphertext()[0].scale
    except (ValueError, RuntimeError, TypeError, IndexError, OverflowError) as err:
        raise unfit("A ciphertext cannot be read.") from err
    if not sound or scale != _SCALE:
        raise unfit("A ciphertext is of other parameters.")
    return vector


def _opened(context: Any, row: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.asarray(_vector(context, row).decrypt(), dtype=np.float64)


def _split(flat: NDArray[np.float64], like: Weights) -> Weights:
    weights, at = {}, 0
    for name in sorted(like):
        values = like[name]
        if values.dtype.kind != "f":
            weights[name] = values
            continue
        with np.errstate(over="ignore"):
            weights[name] = flat[at : at + values.size].reshape(values.shape).astype(values.dtype)
        if not bool(np.isfinite(weights[name]).all()):
            raise _unfit("The encrypted model holds a value that is not finite.")
        at += values.size
    return weights


def _layout(form: Form) -> NDArray[np.uint8]:
    digest = hashlib.sha256()
    for tensor in form:
        digest.update(f"{tensor.name} {tensor.dtype} {tensor.shape}\n".encode())
    return np.frombuffer(digest.digest(), np.uint8).copy()


def _unfit(why: str) -> EncryptionUnfit:
    return EncryptionUnfit(
        "A model cannot be encrypted or opened here.",
        why=why,
        todo="The site drops out of the job. All sites need the same version; see the node's log.",
    )
