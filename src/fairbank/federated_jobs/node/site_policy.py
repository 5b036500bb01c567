"""The site's policy: which jobs are approved without a person being asked. Nothing that a hub says can widen it.

    schema = "site-policy/1"

    [[allow]]
    name = "densitometry-of-the-consortium"
    requesters = ["ed25519:…"]       # keys that the site pins; never an account of the hub
    tools = ["sha256:…"]             # digests of code, or
    publishers = ["ed25519:…"]       # keys of publishers whose tools count
    purposes = ["DUO:0000042"]       # each data use of the grant has to be among these
    until = 2027-06-30               # that day included

    [training]                       # what every training keeps, whoever approved it; these are the defaults
    minimum_subjects = 10            # in its cohort
    minimum_images = 32              # distinct ones behind each update; more than 1 also forbids batches of one image
    batch_norm_buffers = false       # running statistics of batch normalisation may leave
    differential_privacy = "allowed" # or "required", "refused"; so are the next but one, and encryption
    epsilon_cap = "8"                # of one patient, over all jobs with noise
    secure_aggregation = "allowed"
    minimum_survivors = 3            # sites whose masked updates are summed
    encryption = "allowed"

    [[peer]]                         # only such nodes may exchange models with this one; any, if none is pinned
    node = "north"
    key = "ed25519:…"                # its identity key, which its people tell you

Every line of a rule has to hold. What no rule covers waits for a person.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fairbank.errors import FairbankError
from fairbank.federated_jobs.errors import SitePolicyRefused
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Code, Purpose
from fairbank.ontology.tools import ToolManifest
from fairbank.ontology.training_rules import Stance as Stance
from fairbank.ontology.wire import DigestText, KeyText, Slug
from fairbank.signing import Json, PublicKey

_MOST = 200
_UNLESS_NAMED = (OutputClass.AGGREGATE, OutputClass.MEASUREMENTS)


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class AllowRule(_Strict):
    """What is approved without asking.

    Attributes:
        requesters: the keys of who may ask; pinned here.
        tools, publishers: the code that counts: one of these digests, or sealed by one of these keys.
        purposes: DUO codes; each of the grant's has to be among them.
        datasets: of this site; any if none is named.
        outputs: classes that may leave; a model update has to be named.
        commercial: whether a commercial purpose is covered.
        hold: let each output wait until a person has looked at it.
        until: the last day.
    """

    name: Slug
    requesters: Annotated[tuple[KeyText, ...], Field(min_length=1, max_length=_MOST)]
    tools: Annotated[tuple[DigestText, ...], Field(max_length=_MOST)] = ()
    publishers: Annotated[tuple[KeyText, ...], Field(max_length=_MOST)] = ()
    purposes: Annotated[
        tuple[Annotated[str, Field(pattern=r"^DUO:\d{7}$")], ...], Field(min_length=1, max_length=_MOST)
    ]
    datasets: Annotated[tuple[Slug, ...], Field(max_length=_MOST)] = ()
    outputs: Annotated[tuple[OutputClass, ...], Field(min_length=1)] = _UNLESS_NAMED
    commercial: bool = False
    hold: bool = False
    until: date

    @model_validator(mode="after")
    def _names_code(self) -> Self:
        if not self.tools and not self.publishers:
            raise ValueError("it names neither tools nor publishers")
        for key in (*self.requesters, *self.publishers):
            PublicKey.parse(key)
        return self


class PinnedPeer(_Strict):
    """A node with which this one may exchange models, by the identity key that its people told."""

    node: Slug
    key: KeyText

    @model_validator(mode="after")
    def _is_a_key(self) -> Self:
        PublicKey.parse(self.key)
        return self


class TrainingRules(_Strict):
    """What every training at this site has to keep, whoever approved it.

    Attributes:
        minimum_subjects: how many subjects a cohort needs.
        minimum_images: how many distinct images have to be behind each update.
        batch_norm_buffers: whether running statistics of batch normalisation may leave.
        differential_privacy: noise in local training.
        epsilon_cap: what all noisy jobs together may spend of one patient, as decimal text.
        secure_aggregation: masked updates.
        minimum_survivors: of how many sites a sum has to be.
        encryption: updates encrypted for the other sites.
    """

    minimum_subjects: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    minimum_images: Annotated[int, Field(ge=1, le=1_000_000)] = 32
    batch_norm_buffers: bool = False
    differential_privacy: Stance = Stance.ALLOWED
    epsilon_cap: Annotated[str, Field(pattern=r"^\d{1,3}(\.\d{1,6})?$")] = "8"
    secure_aggregation: Stance = Stance.ALLOWED
    minimum_survivors: Annotated[int, Field(ge=3, le=1_000)] = 3
    encryption: Stance = Stance.ALLOWED


class SitePolicy(_Strict):
    """All rules, in the order of the file; the first that covers a job is the one that is named."""

    schema_: Literal["site-policy/1"] = Field(alias="schema")
    allow: Annotated[tuple[AllowRule, ...], Field(max_length=_MOST)] = ()
    peer: Annotated[tuple[PinnedPeer, ...], Field(max_length=_MOST)] = ()
    training: TrainingRules = TrainingRules()

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [rule.name for rule in self.allow]
        if len(set(names)) != len(names):
            raise ValueError("two rules have the same name")
        if len({one.node for one in self.peer}) != len(self.peer):
            raise ValueError("a peer is pinned twice")
        return self

    def words(self) -> list[Json]:
        """Return the rules as a person signs them."""
        said: list[Json] = [rule.model_dump(mode="json") for rule in self.allow]
        return said

    def training_words(self) -> Json:
        """Return what trainings have to keep as a person signs it; None where the file leaves all as it is."""
        return None if self.training == TrainingRules() else self.training.model_dump(mode="json")


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a job the rules look at.

    Attributes:
        publishers: the keys that sealed a manifest of this code.
    """

    requester_key: str
    code: Code
    publishers: frozenset[str]
    purpose: Purpose
    datasets: frozenset[str]
    outputs: frozenset[OutputClass]


def parse(text: str) -> SitePolicy:
    """Read a policy; unknown keys and values of another kind are refused.

    Raises:
        SitePolicyRefused: saying what is wrong where.
    """
    try:
        return SitePolicy.model_validate_json(json.dumps(tomllib.loads(text), default=_day))
    except tomllib.TOMLDecodeError as err:
        raise refused(f"It is not TOML: {err}.") from err
    except (ValidationError, TypeError, FairbankError) as err:
        raise refused(_fault(err)) from err


def covering(policy: SitePolicy, asked: Asked, *, today: date) -> AllowRule | None:
    """Return the first rule that covers a job in every line, None if a person has to be asked."""
    return next((rule for rule in policy.allow if covers(rule, asked) and today <= rule.until), None)


def covers(rule: AllowRule, asked: Asked) -> bool:
    """Tell whether a rule covers a job, whatever day it is."""
    code = asked.code.digest in rule.tools or not asked.publishers.isdisjoint(rule.publishers)
    return (
        asked.requester_key in rule.requesters
        and code
        and set(asked.purpose.data_use) <= set(rule.purposes)
        and (rule.commercial or not asked.purpose.commercial)
        and bool(asked.datasets)
        and (not rule.datasets or asked.datasets <= set(rule.datasets))
        and asked.outputs <= set(rule.outputs)
    )


def publishers_of(code: Code, sealed: Sequence[bytes], *, pinned: Collection[str]) -> frozenset[str]:
    """Return which of the pinned keys sealed a manifest of exactly this code; what does not verify counts nothing."""
    found = set()
    for envelope in sealed:
        try:
            manifest, seal = ToolManifest.open(envelope, trusted=sorted(pinned))
        except FairbankError:
            continue
        if manifest.code == code and manifest.publisher_key == seal.signer:
            found.add(seal.signer)
    return frozenset(found)


def refused(why: str) -> SitePolicyRefused:
    """Return the error for a policy that cannot be used."""
    return SitePolicyRefused(
        "The site's policy file cannot be used, so no job is approved by itself.",
        why=why,
        todo="Correct the file; 'fairbank node policy show' reads it again. Until then every job waits for a person.",
    )


def _day(value: Any) -> str:
    if type(value) is date:
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not a value that a policy can have")


def _fault(err: Exception) -> str:
    if not isinstance(err, ValidationError):
        return f"{err}."
    first = err.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{place}: {first['msg']}."
