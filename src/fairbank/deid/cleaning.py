"""One file, from bytes to bytes: admitted, its facts recorded, cleaned, written, and swept for identifiers."""

from __future__ import annotations

from dataclasses import dataclass, field

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fairbank import __version__
from fairbank.deid import part10
from fairbank.deid.admission import PixelTrust, refusal, trim_pixels
from fairbank.deid.admitted import EVERYBODY, Admitted
from fairbank.deid.annotators import KnownAs
from fairbank.deid.elements import raw_bytes, text_of
from fairbank.deid.engine import PIXEL_TAGS, Engine
from fairbank.deid.errors import SubjectForgotten
from fairbank.deid.facts import FactSheet, Recorder, fact_sheet
from fairbank.deid.identifiers import identifiers_of
from fairbank.deid.identity import IdentityStore
from fairbank.deid.outcomes import Reason, Refused
from fairbank.deid.profiles import Profile
from fairbank.deid.pseudonyms import SubjectPseudonyms, subject_value

TOOL = f"fairbank {__version__}"


@dataclass(frozen=True, slots=True)
class Order:
    """How files are to be cleaned."""

    project: str
    profile: Profile
    trust: PixelTrust = PixelTrust.STRICT


@dataclass(frozen=True, slots=True)
class Cleaned:
    """A de-identified file: its bytes, its pseudonyms, and the facts of its series."""

    content: bytes = field(repr=False)
    subject: str
    study_uid: str
    series_uid: str
    sop_uid: str
    key_epoch: int
    facts: FactSheet


@dataclass(frozen=True, slots=True)
class Held:
    """A file that was not cleaned, and why; `subject` is its subject's value, if it could be read."""

    reason: Reason
    subject: str | None = field(default=None, repr=False)


def clean_file(
    content: bytes,
    order: Order,
    *,
    identity: IdentityStore,
    recorder: Recorder,
    admitted: Admitted = EVERYBODY,
) -> Cleaned | Held:
    """Return the de-identified file, or why there is none.

    Of a subject who is not admitted nothing is noted, not even a pseudonym.

    The bytes depend on the content, the subject's keys, the project, the profile and the tool's version only.
    """
    with part10.quiet_pydicom():
        try:
            dataset = part10.read(content)
        except Refused as refused:
            return Held(refused.reason)
        except Exception:  # noqa: BLE001 - pydicom answers malformed bytes with any exception; each means the same
            return Held(Reason.UNDECODABLE)
        return _clean_dataset(dataset, order, identity=identity, recorder=recorder, admitted=admitted)


def _clean_dataset(
    dataset: Dataset, order: Order, *, identity: IdentityStore, recorder: Recorder, admitted: Admitted
) -> Cleaned | Held:
    try:
        subject = subject_of(dataset)
        if not admitted.admits(identity.consent_key(subject)):
            return Held(Reason.WITHDRAWN if identity.is_forgotten(subject) else Reason.NO_CONSENT)
        reason = refusal(dataset, trust=order.trust)
    except Exception:  # noqa: BLE001 - as above
        return Held(Reason.UNDECODABLE)
    if reason is not None:
        return Held(reason, subject)
    try:
        pseudonyms = identity.subject(order.project, subject)
    except SubjectForgotten:
        return Held(Reason.WITHDRAWN)
    try:
        return _cleaned(dataset, order, pseudonyms, recorder)
    except Refused as refused:
        return Held(refused.reason, subject)
    except Exception:  # noqa: BLE001 - as above: fail closed, whatever a malformed element made pydicom raise
        return Held(Reason.UNDECODABLE, subject)


def subject_of(dataset: Dataset) -> str:
    """Return what names a file's subject: issuer and patient id; the study's UID where there is no id."""
    patient_id = text_of(dataset, 0x00100020)
    if patient_id:
        return subject_value(patient_id, text_of(dataset, 0x00100021))
    return subject_value(text_of(dataset, 0x0020000D), "\x1estudy")


def _cleaned(dataset: Dataset, order: Order, pseudonyms: SubjectPseudonyms, recorder: Recorder) -> Cleaned:
    identifiers = identifiers_of(dataset)
    series_uid = pseudonyms.uid(text_of(dataset, 0x0020000E))
    facts = fact_sheet(
        dataset,
        series_uid=series_uid,
        subject=pseudonyms.subject,
        shift_days=pseudonyms.shift_days,
        recorder=recorder,
        known_as=KnownAs(pseudonyms.uid, pseudonyms.person),
    )
    trim_pixels(dataset)
    Engine(order.profile, pseudonyms, identifiers.own_words, TOOL).clean(dataset)
    written = part10.write(dataset)
    if identifiers.found_in(written.body, pixel_bytes=_pixel_bytes(dataset)):
        raise Refused(Reason.IDENTIFIER_FOUND)
    return Cleaned(
        content=written.content,
        subject=pseudonyms.subject,
        study_uid=text_of(dataset, 0x0020000D),
        series_uid=text_of(dataset, 0x0020000E),
        sop_uid=text_of(dataset, 0x00080018),
        key_epoch=pseudonyms.keys.epoch,
        facts=facts,
    )


def _pixel_bytes(dataset: Dataset) -> int:
    present = [BaseTag(tag) for tag in PIXEL_TAGS if BaseTag(tag) in dataset]
    return sum(len(raw_bytes(dataset.get_item(tag))) for tag in present)
