"""Count what two sets have in common, without showing either: the compiled part of openmined-psi, size only.

The library's Python part pins a version of protobuf that other libraries here cannot have; the compiled part needs none
of it, and is loaded by itself. Both parties are taken to keep to the protocol (semi-honest).

Source: openmined-psi 2.0.6 (ECDH on P-256); Meadows 1986; Angelou et al. 2020, Asymmetric Private Set Intersection with
Applications to Contact Tracing and Private Vertical Federated Machine Learning.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType
from typing import Any, Final

from fairbank.errors import MissingExtra
from fairbank.federated_jobs.overlaps.errors import unusable

MOST_ITEMS: Final = 5_000
# Each item of a message is a point of 33 bytes with its mark and its length.
_ITEM_BYTES: Final = 35
_SPARE_BYTES: Final = 64
# Only bounds the false positives of structures that are not used here: the plain one has none.
_FALSE_POSITIVES: Final = 1e-9
_COMPILED: Final = "private_set_intersection/python/_openmined_psi.so"


def require_library() -> None:
    """Refuse where the library is not installed.

    Raises:
        MissingExtra: naming the extra.
    """
    try:
        distribution("openmined-psi")
    except PackageNotFoundError as err:
        raise MissingExtra.named("psi", needed_for="Counting an overlap") from err


def request(items: Sequence[str]) -> tuple[bytes, bytes]:
    """Return a fresh secret and the blinded set, in an order that tells nothing."""
    client = _library().cpp_client.CreateWithNewKey(False)
    return bytes(client.GetPrivateKeyBytes()), bytes(client.CreateRequest(sorted(items)).save())


def respond(items: Sequence[str], asked: bytes, *, of: int) -> tuple[bytes, bytes]:
    """Return the own set blinded, and the other's blinded once more.

    Args:
        asked: the other's blinded set, which is said to have `of` items.

    Raises:
        OverlapMessageRefused: if it is no such set, or a larger one.
    """
    psi = _library()
    if not 1 <= of <= MOST_ITEMS or len(asked) > of * _ITEM_BYTES + _SPARE_BYTES:
        raise unusable("The peer's set is larger than it says, or than any may be.")
    server = psi.cpp_server.CreateWithNewKey(False)
    setup = server.CreateSetupMessage(_FALSE_POSITIVES, of, sorted(items), psi.data_structure.Raw).save()
    try:
        return bytes(setup), bytes(server.ProcessRequest(psi.cpp_proto_request.Load(asked)).save())
    except (ValueError, RuntimeError, TypeError) as err:
        raise unusable("The peer's set cannot be read.") from err


def size(secret: bytes, setup: bytes, response: bytes) -> int:
    """Return how many items both sets have.

    Raises:
        OverlapMessageRefused: if the other's messages cannot be read.
    """
    psi = _library()
    longest = MOST_ITEMS * _ITEM_BYTES + _SPARE_BYTES
    if max(len(setup), len(response)) > longest:
        raise unusable("The peer's set is larger than any may be.")
    client = psi.cpp_client.CreateFromKey(secret, False)
    try:
        made = psi.cpp_proto_server_setup.Load(setup), psi.cpp_proto_response.Load(response)
        return int(client.GetIntersectionSize(*made))
    except (ValueError, RuntimeError, TypeError) as err:
        raise unusable("The peer's answer cannot be read.") from err


@cache
def _library() -> Any:
    require_library()
    compiled = str(distribution("openmined-psi").locate_file(_COMPILED))
    found = spec_from_file_location("_openmined_psi", compiled)
    assert found is not None and found.loader is not None
    module: ModuleType = module_from_spec(found)
    found.loader.exec_module(module)
    return module
