"""What makes a job lawful: request, visa and manifest follow from each other, each no wider than the one before.

Hub and node judge by these same rules; the hub to answer early, the node because it trusts nobody else's judgement.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from pydantic import JsonValue

from fairbank.clock import Clock, iso, parse_iso
from fairbank.errors import FairbankError
from fairbank.federated_jobs.axes.local_steps import require_fitting
from fairbank.federated_jobs.axes.plans import PlanChoice
from fairbank.federated_jobs.axes.validator import check_mix, usual_rounds
from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.code import GROUP_METRICS, UPDATE, Tool, WorkerKind, offers_of, tool_of
from fairbank.federated_jobs.dp.plan import asked_of
from fairbank.federated_jobs.encrypted_jobs import is_encrypted
from fairbank.federated_jobs.errors import (
    BeyondVisa,
    ChainBroken,
    ManifestRefused,
    NotForThisHub,
    VisaRefused,
)
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.training_errors import GroupMetricsRefused, NoiseRefused
from fairbank.ontology.errors import MalformedObject
from fairbank.ontology.signed_objects import (
    Code,
    Element,
    GrantedDataset,
    Manifest,
    Output,
    Plan,
    PlanName,
    PrivacyBudget,
    Request,
    Resources,
    Selector,
    Training,
    Visa,
    VisaDataset,
    narrows,
)
from fairbank.signing import Sealed


@dataclass(frozen=True, slots=True)
class Chain:
    """Request, visa and manifest, each verified, each following from the one before."""

    request: Request
    visa: Visa
    manifest: Manifest
    sealed_request: Sealed
    sealed_visa: Sealed
    sealed_manifest: Sealed


@lru_cache(maxsize=64)
def open_chain(request: bytes, visa: bytes, manifest: bytes, *, hub_key: str) -> Chain:
    """Verify three envelopes and that each names the digest and the key of the one before.

    The answer depends on these bytes and this key alone, so it is remembered; ends in time are checked elsewhere.

    Args:
        hub_key: the hub's root key; at a node the pinned one, never one that the hub sent.

    Raises:
        ChainBroken: naming the object at fault, with the reason for the hub.
    """
    with _blaming("visa", Reason.VISA_INVALID):
        the_visa, sealed_visa = Visa.open(visa, trusted=[hub_key])
    with _blaming("request", Reason.REQUEST_INVALID):
        the_request, sealed_request = Request.open(request, trusted=[the_visa.requester_key])
    with _blaming("manifest", Reason.MANIFEST_INVALID):
        the_manifest, sealed_manifest = Manifest.open(manifest, trusted=[the_visa.requester_key])
    request_s, manifest_s = Reason.REQUEST_INVALID, Reason.MANIFEST_INVALID
    key = the_visa.requester_key
    links = (
        ("request", request_s, Check.REQUEST_DIGEST, the_visa.request == sealed_request.digest),
        ("request", request_s, Check.REQUESTER_KEY, the_request.requester_key == key),
        ("manifest", manifest_s, Check.VISA_DIGEST, the_manifest.visa == sealed_visa.digest),
        ("manifest", manifest_s, Check.REQUESTER_KEY, the_manifest.requester_key == key),
    )
    for name, reason, check, holds in links:
        if not holds:
            raise _broken(name).because(reason).at(check)
    return Chain(the_request, the_visa, the_manifest, sealed_request, sealed_visa, sealed_manifest)


def check_times(visa: Visa, now: datetime, *, datasets: Collection[str] | None = None) -> None:
    """Refuse a visa that is over or not yet valid for what is to be used.

    Args:
        now: by the clock of who judges; at a node the node's.
        datasets: IRIs of the granted datasets that are to be used; all of the visa's by default.

    Raises:
        VisaRefused: with the word `visa_expired`.
    """
    used = [one.expires for one in visa.datasets if datasets is None or one.iri in datasets]
    ends = min(used, default=visa.expires)
    if parse_iso(visa.not_before) <= now < parse_iso(ends):
        return
    over = now >= parse_iso(ends)
    raise VisaRefused(
        f"The visa {'ended on ' + ends if over else 'begins on ' + visa.not_before}.",
        why="A visa is good only between its two dates.",
        todo="Ask the access committee for a new one." if over else "Wait until then.",
    ).because(Reason.VISA_EXPIRED)


def check_made_here(visa: Visa, hub: str) -> None:
    """Refuse a visa that names another hub than the one at which it is shown.

    Args:
        hub: the base of the hub's addresses; at a node the one that it enrolled with.

    Raises:
        NotForThisHub: if it is another.
    """
    if visa.hub != hub:
        raise NotForThisHub(
            "The visa of this job was made at another hub.",
            why="A visa is good at the hub that it names, and nowhere else.",
            todo="Ask for access at this hub.",
        ).at(Check.HUB_ADDRESS)


def check_visa_within_request(visa: Visa, request: Request) -> None:
    """Refuse a visa that grants what nobody asked for: datasets, output classes, another purpose, a later end.

    Raises:
        VisaRefused: naming what goes beyond.
    """
    extra = {dataset.iri for dataset in visa.datasets} - set(request.datasets)
    classes = {each for dataset in visa.datasets for each in dataset.output_classes} - set(
        request.output_classes
    )
    beyond = (
        ("a dataset", bool(extra)),
        ("an output class", bool(classes)),
        ("a purpose", visa.purpose != request.purpose),
        ("an end", parse_iso(visa.expires) > parse_iso(request.until)),
    )
    for what, found in beyond:
        if not found:
            continue
        raise VisaRefused(
            f"The visa grants {what} that the request does not name.",
            why="A committee may grant less than was asked for, never more.",
            todo="Have the request decided anew.",
        )


def check_within_visa(manifest: Manifest, visa: Visa) -> None:
    """Refuse a manifest that asks for more data, other outputs or other code than its visa grants.

    What a job does must be granted for each dataset that it names.

    Raises:
        BeyondVisa: naming the first thing that goes beyond.
    """
    asked = [dataset.iri for dataset in manifest.datasets]
    if len(set(asked)) != len(asked):
        raise _beyond("It names a dataset twice.", "Each dataset occurs once.")
    for dataset in manifest.datasets:
        terms = visa.terms_of(dataset.iri)
        if terms is None:
            raise _beyond(f"The dataset {dataset.iri} is not granted.", "Leave it out, or ask for it.")
        if not narrows(dataset.selector, terms.selector):
            raise _beyond(
                f"The selection from {dataset.iri} is wider than granted.",
                "Select no more than the visa does.",
            )
        _check_terms(manifest, terms)


def covered(manifest: Manifest, dataset: VisaDataset, terms: GrantedDataset) -> bool:
    """Tell whether what a job does with a dataset lies within some terms of that dataset."""
    try:
        _check_terms(manifest, terms)
    except BeyondVisa:
        return False
    return narrows(dataset.selector, terms.selector)


def tool_within(tool: Tool, terms: GrantedDataset) -> bool:
    """Tell whether some terms of a dataset allow a tool, with all that it returns."""
    classes = {output.output_class for output in tool.outputs}
    return classes <= set(terms.output_classes) and _named(terms, tool.code())


def _named(terms: GrantedDataset, code: Code) -> bool:
    """Tell whether terms name a tool, or name none and so allow any."""
    named = bool(terms.tool_digests or terms.tool_families)
    return not named or code.digest in terms.tool_digests or code.family in terms.tool_families


def _check_terms(manifest: Manifest, terms: GrantedDataset) -> None:
    classes = {output.output_class for output in manifest.outputs} - set(terms.output_classes)
    if classes:
        words = ", ".join(sorted(classes))
        raise _beyond(
            f"The output class {words} is not granted for {terms.iri}.", "Ask for it in the access request."
        ).because(Reason.OUTPUT_NOT_ALLOWED)
    if not _named(terms, manifest.code):
        raise _beyond(
            f"The tool {manifest.code.name!r} is not granted for {terms.iri}.",
            "Use a tool that the visa names.",
        )


def terms_used(manifest: Manifest, visa: Visa) -> list[GrantedDataset]:
    """Return the terms of the granted datasets that a manifest names."""
    found = (visa.terms_of(dataset.iri) for dataset in manifest.datasets)
    return [terms for terms in found if terms is not None]


def check_code(manifest: Manifest, find: Callable[[Code], Tool] = tool_of) -> Tool:
    """Refuse a manifest whose code, options, outputs or plan are not those of a tool that is known; return the tool.

    Args:
        find: returns the tool of a code; installed ones only by default.

    Raises:
        CodeUnknown: if there is none, or the installed code is another.
        OptionRefused: if a parameter is unknown or out of range.
        ManifestRefused: if outputs or plan do not fit the tool.
    """
    tool = find(manifest.code)
    noise = asked_of(manifest)
    if noise is not None and tool.worker is not WorkerKind.TRAINING:
        raise NoiseRefused(
            "Only trainings add noise for differential privacy.",
            why="A promise that nothing keeps would be worse than none.",
            todo="Leave the privacy budget out.",
        )
    tool.check_parameters(manifest.parameters)
    known = {output.name: output for output in (*tool.outputs, *tool.on_request)}
    for output in manifest.outputs:
        if output.name not in known or not _no_wider(output, known[output.name]):
            raise ManifestRefused(
                f"The output {output.name!r} is not one of the tool, or is wider than the tool allows.",
                why="A manifest may leave out outputs and lower limits, nothing else.",
                todo="Take the outputs from 'fairbank tool show'.",
            ).because(Reason.OUTPUT_NOT_ALLOWED)
    plan = manifest.plan
    if tool.worker is WorkerKind.TRAINING:
        mix = check_mix(plan, manifest.training, sites=site_count(manifest.datasets))
        _check_by_group(manifest, mix.plan[0])
        require_fitting(tool.name, offers_of(tool, manifest.parameters), manifest.training)
    elif (
        _PLAN_OF[tool.worker] != (plan.name, plan.aggregator)
        or (plan.name is PlanName.SINGLE_PASS and plan.rounds != 1)
        or plan.options
        or plan.aggregator_options
        or manifest.training is not None
    ):
        raise ManifestRefused(
            f"The plan {plan.name.value} with {plan.aggregator} does not fit the tool {tool.name!r}.",
            why="Analyses run in one round and are collected; updates of models and sums are aggregated.",
            todo="Take the plan from 'fairbank tool show'.",
        )
    if plan.quorum > (sites := site_count(manifest.datasets)):
        raise ManifestRefused(
            f"A quorum of {plan.quorum} is more than the {sites} sites whose datasets are named.",
            why="A quorum counts sites.",
            todo="Lower the quorum.",
        )
    return tool


def draft(
    sealed_visa: Sealed,
    tool: Tool,
    parameters: Mapping[str, JsonValue],
    *,
    clock: Clock,
    title: str,
    datasets: Sequence[VisaDataset] | None = None,
    rounds: int | None = None,
    quorum: int | None = None,
    approval_within_s: int = 7 * 86_400,
    round_deadline_s: int = 3600,
    seed: str = "0",
    resources: Resources | None = None,
    plan_name: PlanName | None = None,
    plan_options: Mapping[str, JsonValue] | None = None,
    aggregator: Element | None = None,
    training: Training | None = None,
    by_group: bool = False,
    privacy_budget: PrivacyBudget | None = None,
) -> Manifest:
    """Return the manifest of a job under a visa, with every default written out.

    Args:
        datasets: what of the visa's datasets to use; all of them by default.
        rounds: as many as usual for the tool, or as the plan fixes, by default.
        quorum: how many sites must deliver; all of them by default.
        plan_name, plan_options, aggregator, training: of a training job; as usual for the tool by default.
        by_group: also ask for the metrics of each group of held-out subjects.
        privacy_budget: what a training with noise may cost each patient of a site.

    Raises:
        GroupMetricsRefused: if the tool has no metrics by group.
        PlanRefused: if there is no such plan.
        OptionRefused: if a parameter is unknown or out of range.
    """
    if by_group and not tool.on_request:
        raise GroupMetricsRefused(
            f"The tool {tool.name!r} tells no metrics by group.",
            why="Templates that train a network with labels or masks do.",
            todo="Leave them out, or choose another tool.",
        )
    visa = Visa.parse(dict(sealed_visa.payload))
    granted = tuple(VisaDataset(iri=one.iri, selector=one.selector) for one in visa.datasets)
    chosen = tuple(datasets) if datasets is not None else granted
    usual_plan, usual_aggregator = _PLAN_OF[tool.worker]
    merged_by = aggregator or Element(name=usual_aggregator)
    now = clock.now()
    plan = Plan.model_validate(
        {
            "name": plan_name or usual_plan,
            "aggregator": merged_by.name,
            "rounds": rounds if rounds is not None else tool.usual_rounds(parameters),
            "quorum": quorum if quorum is not None else site_count(chosen),
            "approval_deadline": iso(now + timedelta(seconds=approval_within_s)),
            "round_deadline_s": round_deadline_s,
            "options": dict(plan_options or {}),
            "aggregator_options": merged_by.options,
        }
    )
    if rounds is None and tool.worker is WorkerKind.TRAINING:
        fixed = usual_rounds(plan, sites=site_count(chosen))
        plan = plan.model_copy(update={"rounds": fixed}) if fixed is not None else plan
    return Manifest(
        id=clock.new_id(),
        visa=sealed_visa.digest,
        requester_key=visa.requester_key,
        title=title,
        datasets=chosen,
        code=tool.code(),
        parameters=tool.check_parameters(parameters),
        outputs=(*tool.outputs, *tool.on_request) if by_group else tool.outputs,
        plan=plan,
        training=training,
        resources=resources or Resources(),
        privacy_budget=privacy_budget,
        seed=seed,
        created=iso(now),
    )


def _check_by_group(manifest: Manifest, plan: PlanChoice) -> None:
    names = {output.name for output in manifest.outputs}
    if GROUP_METRICS not in names:
        return
    brings = plan.aggregates or plan.hands_on
    opened = UPDATE in names and brings and not plan.sealed and not plan.asynchronous
    if opened and not is_encrypted(manifest):
        return
    raise GroupMetricsRefused(
        "Metrics by group are asked for, and this job cannot bring them.",
        why="They are of the model that a round starts from, and come with updates that the hub opens round by round.",
        todo="Leave them out, or use the plan 'aggregation'.",
    )


def site_count(datasets: Sequence[VisaDataset]) -> int:
    """Return at how many sites datasets are; one site may have several.

    >>> iris = ("https://h.example/datasets/north/ct", "https://h.example/datasets/north/mr")
    >>> site_count([VisaDataset(iri=iri, selector=Selector()) for iri in iris])
    1
    """
    return len({dataset.iri.rpartition("/")[0] for dataset in datasets})


def dataset_iri(base_iri: str, node: str, dataset: str) -> str:
    """Return the IRI of a node's dataset."""
    return f"{base_iri}/datasets/{node}/{dataset}"


def node_of(iri: str, base_iri: str) -> tuple[str, str] | None:
    """Return (node, dataset) of a dataset IRI of this hub, or None.

    >>> node_of("https://h.example/datasets/north/ct", "https://h.example")
    ('north', 'ct')
    """
    prefix = f"{base_iri}/datasets/"
    parts = iri.removeprefix(prefix).split("/")
    if not iri.startswith(prefix) or len(parts) != 2 or not all(parts):
        return None
    return parts[0], parts[1]


def datasets_at(manifest: Manifest, node: str, base_iri: str) -> dict[str, Selector]:
    """Return the datasets of one node that a manifest names, with their selectors."""
    found = ((node_of(dataset.iri, base_iri), dataset.selector) for dataset in manifest.datasets)
    return {place[1]: selector for place, selector in found if place is not None and place[0] == node}


def nodes_of(manifest: Manifest, base_iri: str) -> list[str]:
    """Return the nodes that a manifest names, sorted.

    Raises:
        ManifestRefused: if a dataset is not one of this hub.
    """
    places = [node_of(dataset.iri, base_iri) for dataset in manifest.datasets]
    if None in places:
        raise ManifestRefused(
            "The manifest names a dataset of another federation.",
            why="A hub dispatches only to its own nodes.",
            todo="Use the dataset addresses that this hub's catalogue shows.",
        )
    return sorted({place[0] for place in places if place is not None})


_PLAN_OF = {
    WorkerKind.ANALYSIS: (PlanName.SINGLE_PASS, "collect"),
    WorkerKind.TRAINING: (PlanName.AGGREGATION, "fedavg"),
    WorkerKind.STATISTICS: (PlanName.AGGREGATION, "statistic"),
    WorkerKind.CONTAINER: (PlanName.SINGLE_PASS, "collect"),
}


def _no_wider(output: Output, limit: Output) -> bool:
    return (
        output.output_class is limit.output_class
        and output.media_type == limit.media_type
        and output.maximum_bytes <= limit.maximum_bytes
        and output.minimum_count >= limit.minimum_count
    )


_SEALS = {"visa": Check.VISA_SEAL, "request": Check.REQUEST_SEAL, "manifest": Check.MANIFEST_SEAL}
_SCHEMAS = {"visa": Check.VISA_SCHEMA, "request": Check.REQUEST_SCHEMA, "manifest": Check.MANIFEST_SCHEMA}


@contextmanager
def _blaming(name: str, reason: Reason) -> Iterator[None]:
    try:
        yield
    except FairbankError as err:
        check = (_SCHEMAS if isinstance(err, MalformedObject) else _SEALS)[name]
        raise _broken(name, because=err.what).because(reason).at(check) from err


def _broken(name: str, *, because: str = "") -> ChainBroken:
    return ChainBroken(
        f"The {name} of this job cannot be trusted. {because}".strip(),
        why="Request, visa and manifest must be sealed by the right keys and name each other's digests.",
        todo="Nothing has run. Ask the requester and the hub where it comes from.",
    )


def _beyond(what: str, todo: str) -> BeyondVisa:
    return BeyondVisa(what, why="A job may ask only for what its visa grants.", todo=todo)
