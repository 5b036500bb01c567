"""The effective settings of a training at one site: what the site signs, and how the hub compares it.

A statement is a control message: digests, versions, words of closed lists. What the manifest fixes is told by digest,
one for each parameter, so that a difference has a name without a value being told. It is sealed with the key that the
node is enrolled with; the signature travels beside the fields, and the envelope is put together again by who reads it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue

from fairbank.ontology.signed_objects import Manifest, Training
from fairbank.ontology.wire import DigestText, Id, Moment, Part, ShortText, SignatureText, Slug, Wire
from fairbank.release.control import ControlMessage
from fairbank.signing import (
    Digest,
    Sealed,
    SigningKey,
    canonical,
    open_sealed,
    payload_type,
    seal,
    sha256_digest,
)

KIND = "site-settings"
Digits = Annotated[int, Field(ge=0, le=99_999)]


class Library(StrEnum):
    """What a training depends on."""

    FAIRBANK = "fairbank"
    PYTHON = "python"
    NUMPY = "numpy"
    TORCH = "torch"
    MONAI = "monai"
    SKLEARN = "scikit-learn"


class Processor(StrEnum):
    """The kind of a processor; bit for bit the same results are promised on one kind only."""

    X86_64 = "x86_64"
    AARCH64 = "aarch64"
    OTHER = "other"


class Vendor(StrEnum):
    """Who made a processor."""

    INTEL = "intel"
    AMD = "amd"
    ARM = "arm"
    OTHER = "other"


class Gpu(StrEnum):
    """The kind of GPU that a job may use; a closed list, since a rare one could name a site."""

    NONE = "none"
    NVIDIA_DATACENTRE = "nvidia-datacentre"
    NVIDIA_WORKSTATION = "nvidia-workstation"
    AMD = "amd"
    OTHER = "other"


class Version(Part):
    """A version of a library, as three numbers; None where it is not installed."""

    library: Library
    major: Digits
    minor: Digits
    patch: Digits

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"


class SiteSettings(ControlMessage):
    """What one site signs before its first update.

    Attributes:
        manifest: digest of the manifest that it approved.
        code: digest of the code that runs there.
        parameters: digests of the effective parameters, in the order of their names.
        training: digest of the choices of local step, filters and layers.
        seed: digest of the job's seed.
        threads: of each worker; 1 for bit for bit the same results.
        signature: the DSSE signature over all other fields.
    """

    schema_name = "site-settings/1"

    job: Id
    manifest: DigestText
    code: DigestText
    parameters: Annotated[tuple[DigestText, ...], Field(max_length=200)]
    training: DigestText
    seed: DigestText
    versions: Annotated[tuple[Version, ...], Field(max_length=20)]
    processor: Processor
    vendor: Vendor
    gpu: Gpu
    gpus: Annotated[int, Field(ge=0, le=64)] = 0
    mixed_precision: bool = False
    created: Moment
    signature: SignatureText | None = None


class Difference(StrEnum):
    """In what a site's settings deviate from the manifest, or from those of other sites."""

    MANIFEST = "manifest"
    CODE = "code"
    PARAMETERS = "parameters"
    TRAINING = "training"
    SEED = "seed"
    VERSIONS = "versions"
    HARDWARE = "hardware"


# What a manifest fixes; the rest is shown, and refused only if the manifest asks for it.
FIXED = frozenset(
    {Difference.MANIFEST, Difference.CODE, Difference.PARAMETERS, Difference.TRAINING, Difference.SEED}
)


class SettingsOfSite(Part):
    """One site's statement, as a requester sees it.

    Attributes:
        versions: by library.
        deviates: in what it differs from the manifest; `parameters` names which.
        differs: in what it differs from most other sites.
    """

    node: Slug
    digest: DigestText
    versions: dict[ShortText, ShortText]
    processor: Processor
    vendor: Vendor
    gpu: Gpu
    gpus: int
    mixed_precision: bool
    deviates: tuple[Difference, ...] = ()
    parameters: tuple[ShortText, ...] = ()
    differs: tuple[ShortText, ...] = ()
    created: Moment


class SettingsView(Wire):
    """The settings of all sites of a training; sites that have told none yet are named."""

    schema_name = "settings-of-sites/1"

    job: Id
    sites: tuple[SettingsOfSite, ...]
    silent: tuple[Slug, ...] = ()


def value_digest(value: JsonValue) -> Digest:
    """Return the digest by which a value is compared: of its canonical JSON."""
    return sha256_digest(canonical({"value": json.loads(json.dumps(value))}))


def parameter_digests(parameters: Mapping[str, JsonValue]) -> tuple[Digest, ...]:
    """Return the digests of parameters, in the order of their names."""
    return tuple(value_digest(parameters[name]) for name in sorted(parameters))


def training_digest(training: Training | None) -> Digest:
    """Return the digest of the choices on the axes that concern a site."""
    return value_digest((training or Training()).model_dump(mode="json"))


def sealed_settings(settings: SiteSettings, key: SigningKey) -> SiteSettings:
    """Return the statement with its signature."""
    unsigned = settings.model_copy(update={"signature": None})
    raw = base64.b64decode(json.loads(seal(KIND, unsigned.payload(), key))["signatures"][0]["sig"])
    return unsigned.model_copy(update={"signature": base64.urlsafe_b64encode(raw).decode().rstrip("=")})


def envelope_of(settings: SiteSettings, key_id: str) -> bytes:
    """Return the DSSE envelope of a statement, put together from its fields and its signature."""
    unsigned = settings.model_copy(update={"signature": None})
    raw = base64.urlsafe_b64decode((settings.signature or "") + "==")
    return json.dumps(
        {
            "payload": base64.b64encode(canonical(unsigned.payload())).decode(),
            "payloadType": payload_type(KIND),
            "signatures": [{"keyid": key_id, "sig": base64.b64encode(raw).decode()}],
        },
        separators=(",", ":"),
        sort_keys=True,
    ).encode()


def opened_settings(envelope: bytes, *, trusted: Sequence[str]) -> tuple[SiteSettings, Sealed]:
    """Verify a statement and return it.

    Raises:
        BadEnvelope: if no trusted key's signature verifies.
    """
    sealed = open_sealed(envelope, KIND, trusted=trusted)
    return SiteSettings.parse(dict(sealed.payload)), sealed


def deviations(
    settings: SiteSettings, manifest: Manifest, manifest_digest: str
) -> tuple[tuple[Difference, ...], tuple[str, ...]]:
    """Return in what a statement deviates from the manifest, and which parameters do.

    A number of parameters other than the manifest's names all of them.
    """
    found = []
    expected = parameter_digests(manifest.parameters)
    names = sorted(manifest.parameters)
    if len(expected) == len(settings.parameters):
        other = tuple(name for name, a, b in zip(names, expected, settings.parameters, strict=True) if a != b)
    else:
        other = tuple(names) or ("parameters",)
    if settings.manifest != manifest_digest or settings.job != manifest.id:
        found.append(Difference.MANIFEST)
    if settings.code != manifest.code.digest:
        found.append(Difference.CODE)
    if other:
        found.append(Difference.PARAMETERS)
    if settings.training != training_digest(manifest.training):
        found.append(Difference.TRAINING)
    if settings.seed != value_digest(manifest.seed):
        found.append(Difference.SEED)
    return tuple(found), other


def environment(settings: SiteSettings) -> dict[str, str]:
    """Return the part that the manifest does not fix: versions and hardware, as words."""
    words = {each.library.value: str(each) for each in settings.versions}
    words["processor"] = settings.processor.value
    words["vendor"] = settings.vendor.value
    words["gpu"] = f"{settings.gpus} × {settings.gpu.value}" if settings.gpus else Gpu.NONE.value
    words["mixed precision"] = "yes" if settings.mixed_precision else "no"
    return words
