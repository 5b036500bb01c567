"""Pseudonyms of one subject in one project: pure functions of keys, salts and values.

K = HKDF-SHA256(site master key, info = project + purpose); pseudonym = HMAC-SHA256(K, salt || value). Nothing here
depends on time or on the order of files, so the same input always gives the same output.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SALT_BYTES = 32
KEY_BYTES = 32
MAXIMUM_SHIFT_DAYS = 3650
_SUBJECT_BYTES = 10


class Purpose(StrEnum):
    """What a derived key is for; keys of different purposes are independent."""

    SUBJECT = "subject"
    UID = "uid"
    DATE = "date"
    JOB = "job"
    LOOKUP = "lookup"
    ITEM = "item"
    CONSENT = "consent"
    AUDIT = "audit"
    LINK = "link"
    KEY_ID = "key-id"


def derive_key(master: bytes, *, project: str, purpose: Purpose) -> bytes:
    """Return the key of a project for a purpose, 32 bytes.

    Source: RFC 5869; the parts of `info` carry their lengths, so no two pairs share one.
    """
    info = b"fairbank/deid/1" + b"".join(
        len(part).to_bytes(2, "big") + part for part in (project.encode(), purpose.value.encode())
    )
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(master)


def keyed(key: bytes, *parts: bytes) -> bytes:
    """Return HMAC-SHA256 of the parts, one after the other, under a key."""
    return hmac.digest(key, b"".join(parts), "sha256")


def key_id_of(master: bytes) -> str:
    """Return by what a master key may be named in records: 64 bits of a keyed digest, which tell nothing of the key."""
    return f"key:{keyed(derive_key(master, project='', purpose=Purpose.KEY_ID), b'id').hex()[:16]}"


def subject_value(patient_id: str, issuer: str = "") -> str:
    """Return what names a subject at this site: the issuer of the id and the id, without padding.

    >>> subject_value(" 4711 ", "CLINIC") == subject_value("4711", "CLINIC") != subject_value("4711")
    True
    """
    return f"{issuer.strip()}\x1f{patient_id.strip()}"


def study_value(study_uid: str) -> str:
    """Return what names the subject of a study that has no patient id: no issuer can be written so.

    >>> study_value("1.2.3") == subject_value("1.2.3", "\x1estudy")
    False
    """
    return f"\x1estudy\x1f{study_uid.strip()}"


@dataclass(frozen=True, slots=True)
class ProjectKeys:
    """The keys of one project under one master key, and the salt of what no subject owns."""

    project: str
    epoch: int
    key_id: str
    subject: bytes = field(repr=False)
    uid: bytes = field(repr=False)
    date: bytes = field(repr=False)
    job: bytes = field(repr=False)
    salt: bytes = field(repr=False)

    @classmethod
    def derive(cls, master: bytes, *, project: str, epoch: int, salt: bytes) -> ProjectKeys:
        """Return the keys of a project under the master key of an epoch."""
        keys = {
            purpose.value: derive_key(master, project=project, purpose=purpose)
            for purpose in (Purpose.SUBJECT, Purpose.UID, Purpose.DATE, Purpose.JOB)
        }
        return cls(project=project, epoch=epoch, key_id=key_id_of(master), salt=salt, **keys)

    def person(self, name: str) -> str:
        """Return by what somebody who is no subject (a reader, an observer) is known in a project: no name."""
        full = keyed(self.uid, self.salt, b"\x00person", name.encode())
        return base64.b32encode(full[:_SUBJECT_BYTES]).decode()


@dataclass(frozen=True, slots=True)
class SubjectPseudonyms:
    """Everything by which one subject is known in one project."""

    keys: ProjectKeys
    salt: bytes = field(repr=False)
    value: str = field(repr=False)

    @property
    def subject(self) -> str:
        """Return the subject's pseudonym: 80 bits as 16 characters of base32 (RFC 4648)."""
        full = keyed(self.keys.subject, self.salt, self.value.encode())
        return base64.b32encode(full[:_SUBJECT_BYTES]).decode()

    @property
    def shift_days(self) -> int:
        """Return by how many days the subject's dates move into the past, 1 to 3650."""
        full = keyed(self.keys.date, self.salt, self.value.encode())
        return 1 + int.from_bytes(full[:8], "big") % MAXIMUM_SHIFT_DAYS

    def uid(self, original: str) -> str:
        """Return the pseudonym of a UID that the subject owns (study, series, instance, frame of reference …)."""
        return uid_from(keyed(self.keys.uid, self.salt, original.encode()))

    def project_uid(self, original: str) -> str:
        """Return the pseudonym of a UID that no subject owns (device, template, palette)."""
        return uid_from(keyed(self.keys.uid, self.keys.salt, b"\x00shared", original.encode()))

    def person(self, name: str) -> str:
        """Return by what somebody who is no subject is known; see `ProjectKeys.person`."""
        return self.keys.person(name)

    def job(self, job_id: str) -> str:
        """Return the subject's pseudonym inside one job, unlinkable to those of other jobs."""
        full = keyed(self.keys.job, self.salt, self.value.encode(), b"\x00", job_id.encode())
        return base64.b32encode(full[:_SUBJECT_BYTES]).decode()


def uid_from(digest: bytes) -> str:
    """Return a UID under 2.25 from the first 128 bits of a keyed digest, at most 44 characters.

    Version and variant bits are set, so that the arc is that of a real UUID (RFC 9562 version 8; ITU-T X.667), which
    leaves 122 keyed bits.
    """
    value = int.from_bytes(digest[:16], "big")
    value = value & ~(0xF << 76) | (0x8 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return f"2.25.{value}"


def shifted(day: date, days: int) -> date | None:
    """Return a date `days` earlier, or None where the calendar does not reach.

    >>> shifted(date(2020, 3, 1), 1)
    datetime.date(2020, 2, 29)
    """
    try:
        return day - timedelta(days=days)
    except OverflowError:
        return None
