"""Seeds: every random choice of a job follows from its seed, the site, the round and the purpose."""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEED_BYTES = 8


def derive_seed(job_seed: str, *, site: str, round_number: int, purpose: str = "train") -> int:
    """Return a seed in [0, 2^63) by HKDF-SHA256 over the job's seed.

    The parts are length-prefixed, so that no two different calls share a derivation input.

    Source: RFC 5869.

    >>> derive_seed("7", site="a", round_number=1) == derive_seed("7", site="a", round_number=1)
    True
    """
    parts = (purpose, site, str(round_number))
    label = b"fairbank seed v1" + b"".join(len(p.encode()).to_bytes(4, "big") + p.encode() for p in parts)
    derived = HKDF(algorithm=SHA256(), length=SEED_BYTES, salt=None, info=label).derive(job_seed.encode())
    return int.from_bytes(derived, "big") >> 1
