"""One model: its card, how it stands today, its files, what its owner can do with it; or a file that was brought."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy.orm import Session
from starlette.responses import Response

from fairbank.catalogue import permissions
from fairbank.catalogue.context import Hub
from fairbank.catalogue.permissions import Action
from fairbank.charts.fairness import SiteResult, fairness_chart
from fairbank.charts.figure import Figure
from fairbank.clock import parse_iso
from fairbank.database import reading
from fairbank.errors import FairbankError, Kind
from fairbank.federated_jobs.errors import NotYetMerged
from fairbank.federated_jobs.hub import model_files, model_registry, model_standing, views, withdrawals
from fairbank.federated_jobs.hub.changing import changing
from fairbank.federated_jobs.hub.model_standing import Before, FileCheck, MadeFrom, Relative
from fairbank.federated_jobs.objectives import headline
from fairbank.federated_jobs.reports import card as card_text
from fairbank.federated_jobs.reports.words import kind_words, metric_words, size
from fairbank.federated_jobs.training_record import N_HELDOUT
from fairbank.ontology.counts import Count
from fairbank.ontology.model_cards import CardFile, CardProtection, CardSite, ModelCard, ModelState
from fairbank.web import once
from fairbank.web.languages import Tongue, mark
from fairbank.web.once import Bound
from fairbank.web.pages.models import FORMATS, PATH
from fairbank.web.pages.page import Once, Page
from fairbank.web.pages.visits import Visit

# How a file stands on the page: what is said, and the look of its tag.
FILES: Final[dict[FileCheck, tuple[str, str]]] = {
    FileCheck.WHOLE: (mark("as the card says"), "good"),
    FileCheck.DAMAGED: (mark("damaged: its hash is not the card’s"), "bad"),
    FileCheck.GONE: (mark("no longer there"), "bad"),
    FileCheck.UNCHECKED: (mark("large: hash not checked now"), "wait"),
}
# What the buttons say, and what that means for others.
MOVES: Final[dict[ModelState, tuple[str, str]]] = {
    ModelState.REGISTERED: (
        mark("Register it again"),
        mark("The doubt is cleared up: its files can be fetched again."),
    ),
    ModelState.QUARANTINED: (mark("Set it aside"), mark("Nobody can fetch it or start from it for now.")),
    ModelState.WITHDRAWN: (
        mark("Withdraw it"),
        mark("Nobody can fetch it or start from it any more, you neither. It stays so."),
    ),
}


class NoSuchMove(FairbankError):
    """A form asks for a state that models do not have."""

    code = "FB-WEB-050"
    kind = Kind.REFUSED


@dataclass(frozen=True, slots=True)
class File:
    """A file of the model; without an address it cannot be fetched here."""

    name: str
    media_type: str
    size: str
    digest: str
    state: str
    look: str
    address: str
    save_as: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """Metrics in a table; a row is a site, or a group at a site."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Card:
    """What the sealed card says, as the page shows it."""

    intended_use: str
    limits: tuple[str, ...]
    judged: str
    metric: str
    value: str
    worst: str
    after_round: int | None
    figures: tuple[Figure, ...]
    metrics: Numbers
    groups: Numbers
    made_from: tuple[MadeFrom, ...]
    protections: tuple[CardProtection, ...]
    sites: tuple[CardSite, ...]
    choices: tuple[tuple[str, ...], ...]
    cost: tuple[str, ...]
    chain: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A state that the reader may move the model to; both texts are yet to be translated."""

    state: str
    button: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Brought:
    """A file that somebody brought; of a bundle also what it names."""

    format: str
    size: str
    created: datetime
    weights: str
    targets: tuple[str, ...]
    expressions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """`model.html`.

    Attributes:
        card_fault: why there is no card that can be trusted; empty where there is one.
        damaged: whether a file is not the one that the card names.
        withdrawn: when the hub learned that a subject was withdrawn; `before` is what was there by then.
        brought: set where it is a file that somebody brought, and then nothing of a model is.
    """

    digest: str
    title: str
    now: datetime
    owner: str
    mine: bool
    state: str
    version: int
    job: str
    created: datetime | None
    nodes: tuple[str, ...]
    rounds: int
    card: Card | None
    card_fault: str
    files: tuple[File, ...]
    unchecked: bool
    damaged: bool
    withdrawn: date | None
    before: Before | None
    relatives: tuple[Relative, ...]
    evaluations: tuple[str, ...]
    moves: tuple[Move, ...]
    commands: tuple[str, ...]
    brought: Brought | None
    once: Once


def show(hub: Hub, visit: Visit) -> Model:
    """Put the page together; a file that the reader brought has a page as well."""
    digest = visit.given["digest"]
    with reading(hub.engine) as session:
        try:
            return _model(hub, session, visit, digest)
        except NotYetMerged:
            return _brought(hub, visit, model_files.shown(hub, session, visit.account, digest))


def move(hub: Hub, visit: Visit) -> Response:
    """Move the model to another state of the registry, once."""
    digest, word = visit.given["digest"], visit.form.get("state", "")
    if word not in {each.value for each in MOVES}:
        raise NoSuchMove(
            "The form does not say where the model shall go.",
            why="A model is withdrawn, set aside, or registered again.",
            todo="Use the buttons of this page.",
        )

    def do() -> str:
        with changing(hub) as session:
            model_registry.move(hub, session, digest, ModelState(word), who=visit.account)
        hub.notifier.notify()
        return f"{PATH}/{digest}"

    with reading(hub.engine) as session:
        state = model_standing.model_seen(session, digest, visit.account)[0].state
    return once.act(hub, visit, _bound(digest, state), do)


def _bound(digest: str, state: str) -> Bound:
    return Bound(f"model {digest}", state)


def _model(hub: Hub, session: Session, visit: Visit, digest: str) -> Model:
    row, job = model_standing.model_seen(session, digest, visit.account)
    mine, state = job.account == visit.account.name, ModelState(row.state)
    card, fault = model_standing.opened_card(session, row)
    named = card.files if card is not None else ()
    given = mine and model_standing.is_handed_out(state)
    files = tuple(_files(hub, named, digest, given=given, large_too=visit.asked.get("check") == "files"))
    day = withdrawals.day_of(session, job.id)
    withdrawn = date.fromisoformat(day) if day is not None else None
    may = permissions.allow(visit.account, Action.JOB_CANCEL)
    return Model(
        digest=digest,
        title=job.title,
        now=visit.now,
        owner=job.account,
        mine=mine,
        state=state.value,
        version=row.version,
        job=job.id,
        created=row.created,
        nodes=tuple(row.provenance["nodes"]),
        rounds=row.round,
        card=_card(visit, card, model_standing.made_from(session, card, visit.account)) if card else None,
        card_fault=fault,
        files=files,
        unchecked=any(each.state == FILES[FileCheck.UNCHECKED][0] for each in files),
        damaged=any(each.look == "bad" for each in files),
        withdrawn=withdrawn,
        before=model_standing.before(session, job.id, withdrawn) if withdrawn is not None else None,
        relatives=model_standing.line_of(session, row, job.account),
        evaluations=views.model_detail(session, digest, job.account).evaluations,
        moves=tuple(
            Move(each.value, *MOVES[each]) for each in model_standing.open_moves(state, visit.account)
        )
        if may
        else (),
        commands=(f"fairbank model show {digest}", f"fairbank model get {digest} --to FOLDER"),
        brought=None,
        once=once.token(hub, visit, _bound(digest, state.value)),
    )


def _brought(hub: Hub, visit: Visit, told: Mapping[str, Any]) -> Model:
    digest, size_bytes = told["digest"], told["size_bytes"]
    one = CardFile(name=told["name"], media_type=model_files.MEDIA_TYPE, digest=digest, size_bytes=size_bytes)
    files = tuple(_files(hub, (one,), "", given=True, large_too=visit.asked.get("check") == "files"))
    return Model(
        digest=digest,
        title=told["name"],
        now=visit.now,
        owner=visit.account.name,
        mine=True,
        state="",
        version=0,
        job="",
        created=None,
        nodes=(),
        rounds=0,
        card=None,
        card_fault="",
        files=files,
        unchecked=any(each.state == FILES[FileCheck.UNCHECKED][0] for each in files),
        damaged=any(each.look == "bad" for each in files),
        withdrawn=None,
        before=None,
        relatives=(),
        evaluations=(),
        moves=(),
        commands=(f"fairbank model files {digest}",),
        brought=Brought(
            FORMATS[told["format"]],
            size(size_bytes),
            parse_iso(told["created"]),
            told.get("weights") or "",
            tuple(told.get("targets", ())),
            tuple(told.get("expressions", ())),
        ),
        once=Once(""),
    )


def _files(
    hub: Hub, named: Sequence[CardFile], model: str, *, given: bool, large_too: bool
) -> Iterator[File]:
    for one in named:
        found = model_standing.file_state(hub, one.digest, one.size_bytes, large_too=large_too)
        text, look = FILES[found]
        there = given and found in (FileCheck.WHOLE, FileCheck.UNCHECKED)
        name = "model.safetensors" if one.digest == model else one.name
        suffix = {"application/json": ".json", "text/csv": ".csv"}.get(one.media_type, "")
        yield File(
            one.name,
            one.media_type,
            size(one.size_bytes),
            one.digest,
            text,
            look,
            f"/v1/blobs/{one.digest}" if there else "",
            name if "." in name else name + suffix,
        )


def _card(visit: Visit, card: ModelCard, made_from: tuple[MadeFrom, ...]) -> Card:
    judged = card.objective
    return Card(
        intended_use=card.intended_use,
        limits=card.limits,
        judged=judged.objective.value,
        metric=metric_words(judged.metric) if judged.metric is not None else "",
        value=judged.value or "",
        worst=judged.worst_site or "",
        after_round=judged.after_round,
        figures=tuple(_figures(visit.tongue, card.sites)),
        metrics=_metrics(visit.tongue, card.sites),
        groups=_groups(visit.tongue, card.sites),
        made_from=made_from,
        # What was off has to be read first.
        protections=tuple(sorted(card.protections, key=lambda each: each.on)),
        sites=card.sites,
        choices=card_text.choices(card),
        cost=card_text.cost(card),
        chain=card_text.chain(card),
    )


def _figures(tongue: Tongue, sites: Sequence[CardSite]) -> Iterator[Figure]:
    """Yield how the merged model does at each site, then by each kind of group, by the metric that it is judged by."""
    metric = headline(name for site in sites for name in site.merged)
    if metric is not None:
        results = [
            SiteResult(site.node, float(site.merged[metric]), _cases(site))
            for site in sites
            if metric in site.merged
        ]
        title = tongue.say(mark("%(metric)s at each biobank"), metric=metric_words(metric))
        yield fairness_chart(results, title=title, axis=metric_words(metric), name="sites")
    told = [(site.node, each) for site in sites for each in site.groups or ()]
    of_groups = headline(each.metric for _, each in told)
    if of_groups is None:
        return
    for kind in sorted({each.kind for _, each in told}):
        results = [
            SiteResult(
                f"{each.group}, {node}",
                float(each.value),
                Count.exact(each.n_subjects),
                float(each.low) if each.low is not None else None,
                float(each.high) if each.high is not None else None,
            )
            for node, each in sorted(told, key=lambda row: (row[1].group, row[0]))
            if each.kind == kind and each.metric == of_groups
        ]
        title = tongue.say(
            mark("%(metric)s by %(kind)s"), metric=metric_words(of_groups), kind=kind_words(kind)
        )
        name = f"by-{kind.replace('_', '-')}"
        if results:
            yield fairness_chart(results, title=title, axis=metric_words(of_groups), name=name)


def _cases(site: CardSite) -> Count:
    told = site.counts.get(N_HELDOUT)
    return Count.exact(told) if told is not None else Count.not_countable()


def _metrics(tongue: Tongue, sites: Sequence[CardSite]) -> Numbers:
    names = sorted({name for site in sites for name in (*site.merged, *site.local)})
    say = tongue.say
    kinds = {"merged": say(mark("the merged model")), "own": say(mark("its own model"))}
    return Numbers(
        (say(mark("Biobank")), say(mark("Model")), *map(metric_words, names)),
        tuple(
            (site.node, kinds[kind], *(values.get(name, "–") for name in names))
            for site in sites
            for kind, values in (("merged", site.merged), ("own", site.local))
            if values
        ),
    )


def _groups(tongue: Tongue, sites: Sequence[CardSite]) -> Numbers:
    say = tongue.say
    texts = (mark("Group"), mark("By"), mark("Biobank"), mark("Subjects"), mark("Metric"), mark("Value"))
    rows = tuple(
        (
            each.group,
            kind_words(each.kind),
            site.node,
            tongue.number(each.n_subjects),
            metric_words(each.metric),
            each.value,
            "–" if each.low is None or each.high is None else f"{each.low} – {each.high}",
        )
        for site in sites
        for each in site.groups or ()
    )
    return Numbers((*map(say, texts), say(mark("95 % interval"))), rows)


PAGE = Page(name="model", path=f"{PATH}/{{digest}}", context=Model, show=show, acts={"move": move})
