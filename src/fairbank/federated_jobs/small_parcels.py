"""Seal a few bytes to other nodes, and open them, as text for a control message; the parcels of `parcels.py`."""

from __future__ import annotations

import base64
import binascii
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from fairbank.federated_jobs.parcel_faults import ParcelFault
from fairbank.federated_jobs.parcels import Address, head_of, open_parcel, refused, seal_parcel
from fairbank.signing import SigningKey


def seal_text(
    content: bytes, *, address: Address, recipients: Mapping[str, str], key: SigningKey, scratch: Path
) -> str:
    """Return content sealed to some nodes, as base64 text.

    Args:
        recipients: the text of each recipient's key, by node.
        key: the sender's identity key.
        scratch: a folder of the node's own; what lies there meanwhile is removed.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        plain, into = Path(folder) / "plain", Path(folder) / "parcel"
        with os.fdopen(os.open(plain, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(content)
        seal_parcel(plain, into=into, address=address, recipients=recipients, notes={}, key=key)
        return base64.b64encode(into.read_bytes()).decode()


def sender_of(text: str, *, trusted: Sequence[str], scratch: Path) -> str:
    """Return which node sealed a text, signed by one of some identity keys.

    Raises:
        ParcelRefused: if it is no parcel, or none of these signed it.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        return head_of(_written(text, Path(folder)), trusted=trusted).sender


def open_text(
    text: str, *, address: Address, node: str, private: bytes, trusted: Sequence[str], scratch: Path
) -> bytes:
    """Return what was sealed; arguments are those of `open_parcel`.

    Raises:
        ParcelRefused: naming the fault.
    """
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        parcel, into = _written(text, Path(folder)), Path(folder) / "plain"
        open_parcel(parcel, into=into, address=address, node=node, private=private, trusted=trusted)
        return into.read_bytes()


def _written(text: str, folder: Path) -> Path:
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as err:
        raise refused(ParcelFault.DAMAGED) from err
    parcel = folder / "parcel"
    parcel.write_bytes(content)
    return parcel
