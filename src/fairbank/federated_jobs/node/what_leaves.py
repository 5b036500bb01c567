"""What a job would let leave a site, and what that may give away, in the words that its people read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fairbank.errors import FairbankError
from fairbank.federated_jobs.axes.plans import PLANS
from fairbank.federated_jobs.code import GROUP_METRICS, WorkerKind, tool_of
from fairbank.federated_jobs.container_tools import Find, contract_of
from fairbank.federated_jobs.encrypted_jobs import is_encrypted
from fairbank.federated_jobs.protections import (
    CHOSEN,
    PROTECTIONS,
    ProtectionName,
    protections_in,
    title_of,
)
from fairbank.federated_jobs.secagg.limits import is_masked
from fairbank.ontology.group_metrics import COLUMNS
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Code, Manifest, PlanName
from fairbank.ontology.tools import ToolManifest

UPDATES = (
    "An update of a model can reveal images that it was trained on: who has it may rebuild some of them, or find out "
    "whether a known person's image was used."
)
# What a job has unless it chooses them; merging protects the model and not the patients.
PROTECTIONS_OFF = tuple(name for name in CHOSEN if name is not ProtectionName.ROBUST_MERGING)
TRUST = (
    "The hub, and whoever runs it, sees this site's own update of every round; the requester gets the merged model, "
    "and the other sites of the job see it from the second round on."
)
TRUST_MASKED = (
    "The hub sees the sum of the updates of all sites of a round and none of them; nothing of the update leaves this "
    "site unmasked. What each site tells beside it (samples, metrics) the hub sees as ever."
)
TRUST_ROSTER = (
    "Which sites take part, and their keys, the hub says. A hub that lies could put itself in their place, unless the "
    "keys of the other sites are pinned in this site's policy ([[peer]])."
)
TRUST_SUM = (
    "A sum is not anonymous: with few sites, or if all others work together, what this site sent can be told "
    "from it."
)
TRUST_IN_TURN = (
    "The model goes from site to site and is merged with none: the hub, the requester and the next site get the model "
    "exactly as it was trained here last."
)
TRUST_ENSEMBLE = (
    "Each site's model is kept by itself: the hub and the requester get the model exactly as it was trained here; the "
    "other sites of the job do not get it for training."
)
TRUST_AT_ANY_TIME = (
    "A version of the model may be made of this site's update alone, if no other comes at that time; then the "
    "requester and the other sites see what it changed."
)
TRUST_PEERS = (
    "The other sites of the job get the model exactly as it was trained here, in every round; the hub keeps it for "
    "them and cannot open it, but reads its size and the counts and metrics that go with it."
)
TRUST_KEYS = (
    "Whose key it is sealed to the site's policy says, where its people have pinned their peers ([[peer]]). Where none "
    "is pinned the hub's directory says it, and a hub that lies can have it sealed to itself."
)
TRUST_LAST = (
    "In the last round one site's model goes to the hub and the requester in the open: this site's, if it is the last, "
    "or if the hub says that those before it were lost."
)
ENCRYPTED = (
    "Updates leave encrypted (CKKS): the hub adds them up without reading them, as long as it keeps to the protocol. "
    "All sites of the job hold the same secret key, so any site that gets hold of another's encrypted update can open "
    "it; and a hub that hands sites one update in place of a sum has it opened. Counts and metrics go in the open."
)
TRUST_ENCRYPTED = (
    "From the second round on the other sites see the mean of each round; in the last round every site opens it, and "
    "the hub and the requester get it in the open. Nobody can tell an odd or poisoned update of one site."
)
STARTED_FROM = "The job starts from a model that was trained before, named in the manifest by its digest."


@dataclass(frozen=True, slots=True)
class Leaving:
    """One output of a job.

    Attributes:
        columns: name and kind of each column; None where it is no table, or the tool is not known here.
    """

    name: str
    output_class: OutputClass
    maximum_bytes: int
    minimum_count: int
    columns: tuple[str, ...] | None

    def __str__(self) -> str:
        """Return it in one line."""
        size = f"at most {self.maximum_bytes} bytes, on at least {self.minimum_count} subjects"
        columns = f"; columns: {', '.join(self.columns)}" if self.columns else ""
        return f"{self.name}: {self.output_class.value}, {size}{columns}"


def leaves(manifest: Manifest, *, at_least: int, find: Find = tool_of) -> tuple[Leaving, ...]:
    """Return the outputs of a job, as its manifest binds them.

    Args:
        at_least: how many subjects an output of this site needs in any case.
        find: returns the tool of a code.
    """
    columns = _columns(manifest, find)
    return tuple(
        Leaving(
            one.name,
            one.output_class,
            one.maximum_bytes,
            max(one.minimum_count, at_least),
            COLUMNS if one.name == GROUP_METRICS else columns,
        )
        for one in manifest.outputs
    )


def privacy_cost(manifest: Manifest, noise: str = "") -> str:
    """Return what a job would spend of a privacy budget at this site.

    Args:
        noise: what the site has reckoned that it costs a patient, in words.
    """
    budget = manifest.privacy_budget
    times = f"{len(manifest.outputs)} outputs × {manifest.plan.rounds} rounds enter the ledger"
    if budget is None:
        return f"no budget asked for, no noise added; {times}"
    return noise or f"at most epsilon {budget.epsilon}, delta {budget.delta} for each patient; {times}"


def warnings(manifest: Manifest) -> tuple[str, ...]:
    """Return what the people of a site should know before they approve: nothing, unless a model is trained."""
    if not any(one.output_class is OutputClass.MODEL_UPDATE for one in manifest.outputs):
        return ()
    training = manifest.training
    started = (STARTED_FROM,) if training is not None and training.initial_model is not None else ()
    filters = tuple(each.name for each in training.filters) if training is not None else ()
    on = protections_in(manifest)
    off = [title_of(name) for name in PROTECTIONS_OFF if name not in on]
    has = [f"{PROTECTIONS[name].title}: {PROTECTIONS[name].leaves_open}" for name in CHOSEN if name in on]
    filtered = (f"Filtered at this site, in this order: {', '.join(filters)}.",) if filters else ()
    encrypted = (ENCRYPTED,) if is_encrypted(manifest) else ()
    off_now = f"Not in place: {', '.join(off)}."
    return (UPDATES, off_now, *filtered, *encrypted, *has, *_trust(manifest), *started)


def _trust(manifest: Manifest) -> tuple[str, ...]:
    """Return who sees what of this site's updates under the plan of a job."""
    if is_masked(manifest):
        return (TRUST_MASKED, TRUST_ROSTER, TRUST_SUM)
    choice = PLANS.get(manifest.plan.name.value)
    if choice is not None and choice.hands_on:
        return (TRUST_IN_TURN,)
    if choice is not None and choice.sealed:
        return (TRUST_PEERS, TRUST_KEYS, TRUST_LAST)
    if is_encrypted(manifest):
        return (TRUST_ENCRYPTED, TRUST_KEYS)
    if manifest.plan.name is PlanName.ENSEMBLE:
        return (TRUST_ENSEMBLE,)
    return (TRUST, TRUST_AT_ANY_TIME) if choice is not None and choice.asynchronous else (TRUST,)


def publisher(code: Code, sealed: Sequence[bytes]) -> str:
    """Return who answers for a tool: by a manifest at this site, or that it is part of fairbank."""
    for envelope in sealed:
        try:
            manifest, seal = ToolManifest.open(envelope, trusted=None)
        except FairbankError:
            continue
        if manifest.code == code and manifest.publisher_key == seal.signer:
            return f"{manifest.publisher}, {seal.signer} ({manifest.legal_status.value})"
    try:
        tool_of(code)
    except FairbankError:
        return "nobody: this code is not installed here"
    return "part of fairbank"


def _columns(manifest: Manifest, find: Find) -> tuple[str, ...] | None:
    try:
        tool = find(manifest.code)
        if tool.worker is WorkerKind.STATISTICS:
            return _sums(manifest)
        if tool.worker is WorkerKind.TRAINING:
            return None
        contract = contract_of(tool, manifest.parameters)
    except FairbankError:
        return None
    return tuple(f"{one.name} ({one.unit or one.type.value})" for one in contract.columns)


def _sums(manifest: Manifest) -> tuple[str, ...]:
    """Return what each cell of a statistic holds: its subjects, and sums of which shape over which columns."""
    from fairbank.analysis.statistics.question import Question
    from fairbank.analysis.statistics.site_part import shapes
    from fairbank.analysis.tool import tool_parameters

    question = tool_parameters(manifest.code.name, manifest.parameters)
    assert isinstance(question, Question)
    over = ", ".join((*question.groups, *question.columns)) or "all subjects"
    sums = (f"{name} ({' × '.join(map(str, shape))})" for name, shape in shapes(question).items())
    return (f"{question.statistic.value} over {over}", "subjects of each group", *sums)
