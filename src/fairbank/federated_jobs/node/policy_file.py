"""The policy file as it lies at the node: read, checked whose it is, and whether a person of the node stands behind it.

It is read anew for each job, so that an edit counts at once. Where persons are named, the rules count only as one of
them signed them; the file of anybody else who gets hold of the folder approves nothing.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.federated_jobs.errors import SitePolicyRefused
from fairbank.federated_jobs.manifest import Chain
from fairbank.federated_jobs.node.carried_tools import carried
from fairbank.federated_jobs.node.site_policy import (
    AllowRule,
    Asked,
    SitePolicy,
    covering,
    covers,
    parse,
    publishers_of,
    refused,
)
from fairbank.release.errors import DecisionUntrusted
from fairbank.release.node import Node
from fairbank.release.people import Signer, has_people
from fairbank.release.person_decisions import Act, Verified, decide, made, signed_as
from fairbank.signing import Digest, Json, sha256_digest

FILE_NAME = "policy.toml"
MANIFESTS = "tool-manifests"
RULE = "policy:"
_MOST_BYTES = 1 << 20
_OTHERS_MAY_WRITE = 0o022


@dataclass(frozen=True, slots=True)
class Standing:
    """The policy as it stands.

    Attributes:
        policy: None if there is no file, or it cannot be used.
        digest: of the file's bytes.
        problem: why nothing is approved by itself although there is a file; None if it counts.
        decision: what a person signed, where persons are named.
        is_signed: whether a person signed exactly this file, one who has retired since included; true where none is
            named. Rules that only take away need no more.
    """

    path: Path
    policy: SitePolicy | None = None
    digest: Digest | None = None
    problem: SitePolicyRefused | None = None
    decision: Digest | None = None
    is_signed: bool = False

    @property
    def counts(self) -> bool:
        """Tell whether its rules approve jobs."""
        return self.policy is not None and self.problem is None


@dataclass(frozen=True, slots=True)
class PolicyApproval:
    """That a rule of the policy covers a job; `name` is how approvals and the audit log name it."""

    rule: AllowRule
    digest: Digest
    decision: Digest | None

    @property
    def name(self) -> str:
        """Return the rule's name as it is written down with an approval."""
        return f"{RULE}{self.rule.name}"

    @property
    def by(self) -> str:
        """Return who approves, in words: the rule, and of which version of the file."""
        return f"rule {self.rule.name} of the site's policy {self.digest}"


def policy_path(node: Node) -> Path:
    """Return where the policy lies."""
    named = node.settings.node_policy_file
    return Path(named) if named else node.settings.home / FILE_NAME


def standing(session: Session, node: Node) -> Standing:
    """Return the policy as it stands now; what is wrong with it is said, not raised."""
    path = policy_path(node)
    try:
        content = _content(path)
        if content is None:
            if node.settings.node_policy_file:
                raise refused("The setting node_policy_file names it, and there is no such file.")
            return Standing(path)
        policy, digest = parse(content.decode("utf-8")), sha256_digest(content)
    except UnicodeDecodeError:
        return Standing(path, problem=refused("It is not text in UTF-8."))
    except SitePolicyRefused as err:
        return Standing(path, problem=err)
    if not has_people(session, node):
        return Standing(path, policy, digest, is_signed=True)
    signatures = _signatures(session, node, digest, policy)
    signed = next((one for one in reversed(signatures) if one.person.is_active), None)
    if signed is None:
        problem = refused(
            "No person of this node has signed it as it is now: 'fairbank node policy accept --as NAME'."
        )
        return Standing(path, policy, digest, problem, is_signed=bool(signatures))
    return Standing(path, policy, digest, decision=signed.digest, is_signed=True)


def read_policy(node: Node) -> Standing:
    """Return the policy as it stands now."""
    with reading(node.engine) as session:
        return standing(session, node)


def accept(node: Node, *, by: str, signer: Signer | None = None) -> Standing:
    """Sign the policy file as it is, so that its rules count.

    Raises:
        SitePolicyRefused: if there is no file, or it cannot be used.
        PersonNeeded: if persons are named here and none signs.
    """
    with writing(node.engine) as session:
        found = standing(session, node)
        if found.policy is None or found.digest is None:
            raise found.problem or refused(f"There is no file {found.path.name!r}.")
        words = _words(found.policy)
        decision = decide(session, node, Act.POLICY_ACCEPT, found.digest, words, signer=signer)
        audit.record(
            session,
            audit.NodeAudit,
            clock=node.clock,
            actor=signer.name if signer else by,
            act=Act.POLICY_ACCEPT.value,
            target=found.digest,
            detail={"decision": decision} if decision else {},
        )
        return standing(session, node)


def policy_rule(
    node: Node, chain: Chain, found: Standing, *, datasets: Collection[str]
) -> PolicyApproval | None:
    """Return the rule of the policy that covers a job, None if a person has to be asked."""
    if not found.counts or found.policy is None or found.digest is None:
        return None
    pinned = {key for rule in found.policy.allow for key in rule.publishers}
    asked = _asked(node, chain, datasets=datasets, pinned=pinned)
    rule = covering(found.policy, asked, today=node.clock.now().date())
    return PolicyApproval(rule, found.digest, found.decision) if rule is not None else None


def check_signed_rule(
    session: Session, node: Node, chain: Chain, *, rule: str, decision: Digest, datasets: Collection[str]
) -> None:
    """Refuse an approval by a rule that no person signed, or that does not cover the job as it was signed.

    Raises:
        DecisionUntrusted: if so.
    """
    signed = signed_as(session, node, decision, Act.POLICY_ACCEPT)
    for one in (AllowRule.model_validate_json(json.dumps(words)) for words in _rules_of(signed)):
        asked = _asked(node, chain, datasets=datasets, pinned=set(one.publishers))
        if f"{RULE}{one.name}" == rule and covers(one, asked):
            return
    raise DecisionUntrusted(
        "The rule of the policy that approved this job does not cover it.",
        why="No person signed such a rule for this requester, code, purpose and dataset.",
        todo="Take the approval back, and look at the audit log.",
    )


def _content(path: Path) -> bytes | None:
    """Return the file's bytes, None if there is none.

    Raises:
        SitePolicyRefused: if it is not a file of the operator's alone.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as err:
        raise refused(f"It cannot be read: {err.strerror}.") from err
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        os.close(handle)
        raise refused("It is not a file.")
    with os.fdopen(handle, "rb") as opened:
        if found.st_uid not in (0, os.geteuid()) or found.st_mode & _OTHERS_MAY_WRITE:
            raise refused("Others than the node's user may write to it; its mode should be 0600 or 0644.")
        if found.st_size > _MOST_BYTES:
            raise refused("It is larger than a policy can be.")
        return opened.read(_MOST_BYTES)


def _asked(node: Node, chain: Chain, *, datasets: Collection[str], pinned: set[str]) -> Asked:
    manifest, visa = chain.manifest, chain.visa
    sealed = sealed_manifests(node) if pinned else []
    return Asked(
        requester_key=visa.requester_key,
        code=manifest.code,
        publishers=publishers_of(manifest.code, sealed, pinned=pinned) if pinned else frozenset(),
        purpose=visa.purpose,
        datasets=frozenset(datasets),
        outputs=frozenset(output.output_class for output in manifest.outputs),
    )


def put_manifests(node: Node) -> list[bytes]:
    """Return the sealed tool manifests that people put at this node; the seals are what counts, not the folder."""
    folder = node.settings.home / MANIFESTS
    found = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return [path.read_bytes() for path in found if path.is_file() and path.stat().st_size <= _MOST_BYTES]


def sealed_manifests(node: Node) -> list[bytes]:
    """Return those and the ones that the hub brought; a pinned key counts by its seal, whoever brought it."""
    return [*put_manifests(node), *(one.envelope for one in carried(node))]


def _signatures(session: Session, node: Node, digest: Digest, policy: SitePolicy) -> list[Verified]:
    """Return the signatures of persons under exactly this file, oldest first."""
    words = _words(policy)
    return [one for one in made(session, node, Act.POLICY_ACCEPT, target=digest) if one.detail == words]


def _words(policy: SitePolicy) -> dict[str, Json]:
    said: dict[str, Json] = {"rules": policy.words()}
    training = policy.training_words()
    return said if training is None else {**said, "training": training}


def _rules_of(signed: Verified) -> list[Json]:
    rules = signed.detail["rules"]
    assert isinstance(rules, list)
    return rules
