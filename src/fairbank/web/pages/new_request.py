"""Asking for access: what is asked, for which collections, kept as a draft; then all of it to read, and sending it.

A request is sealed with the requester's key. Where she has the hub keep one, her passphrase opens it here for this one
request; else what is sent is what `fairbank request submit ID --to FILE` has sealed on her computer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any, Final

from sqlalchemy.orm import Session
from starlette.responses import Response

from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import attachments, drafting, drafts, permitted, requests
from fairbank.catalogue.governance.attachments import Offered
from fairbank.catalogue.governance.drafting import Compared
from fairbank.catalogue.governance.drafts import Draft, Lack
from fairbank.catalogue.governance.request_errors import DraftRefused
from fairbank.clock import iso
from fairbank.database import reading
from fairbank.errors import FairbankError, Kind, told
from fairbank.ontology.signed_objects import EvidenceKind, Request
from fairbank.web import once, page_signing
from fairbank.web.languages import mark
from fairbank.web.once import Bound
from fairbank.web.page_signing import Signing
from fairbank.web.pages.page import Once, Page
from fairbank.web.pages.visits import Fields, Visit, to
from fairbank.web.request_words import OUTPUTS, PURPOSES

SAVE, CHECK, ATTACH, DETACH, COMPARE = "save", "check", "attach", "detach", "compare"
# What puts the text of the form back.
_KEEPING: Final = (SAVE, CHECK, ATTACH, DETACH, COMPARE)
# Collections on the page, whether ticked or not.
LISTED: Final = "listed"
_PEOPLE: Final = 3
_MOST: Final = 200
_LONGEST: Final = 200
_PLACE: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}/[a-z0-9][a-z0-9-]{0,62}")
# What is missing or wrong, said beside its field and in the summary above.
_SAID: Final[dict[str, str]] = {
    "title": mark("Give it a title of at most 200 letters."),
    "datasets": mark("Choose at least one collection."),
    "data_use": mark("Say for what you want the images."),
    "diseases": mark("Name diseases by their MONDO numbers, such as MONDO:0008903, one on each line."),
    "statement": mark("Describe the purpose in words."),
    "output_classes": mark("Say what may come back."),
    "until": mark("Name a day that is yet to come."),
    "minimum_datasets": mark("It is a number, and not more than the collections that you ask for."),
    "people": mark("Each person needs a name, an organisation and a role."),
    "country": mark("Name the country by its two letters, such as DE."),
    "project": mark("A name has at most 200 letters."),
    "funding": mark("A line has at most 200 letters."),
    "publication_plan": mark("The plan is too long."),
    "organisation_kind": mark("Choose one of the kinds."),
    "ethics document": mark("An ethics approval is usual, or say in words why none is needed."),
    "data-management plan": mark("A data-management plan is usual."),
}


# What committees mostly ask for besides.
_USUAL: Final[dict[str, str]] = {
    "organisation_kind": mark("Say what kind of organisation asks."),
    "country": mark("Say in which country results are used."),
    "project": mark("Name the project: a collection is for named ones only."),
    "people": mark("Say who works on it."),
    "funding": mark("Say who pays for it."),
    "publication_plan": mark("Say how results will be published."),
}


class DraftUnfit(FairbankError):
    """A form of a request says something that has not its form; its page says what, field by field."""

    code = "FB-WEB-036"
    kind = Kind.REFUSED


class NothingSealed(FairbankError):
    """What was given to be sent is no sealed request, or another one."""

    code = "FB-WEB-037"
    kind = Kind.REFUSED


class NoDocument(FairbankError):
    """A form that attaches a document came without one, or without its kind."""

    code = "FB-WEB-057"
    kind = Kind.REFUSED


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is missing or wrong; `needed` tells whether nothing can be sent without."""

    field: str
    sentence: str
    needed: bool


@dataclass(frozen=True, slots=True)
class NewRequest:
    """`new_request.html`; `draft` is the id of what was kept, empty before."""

    draft: str
    step: str
    collections: tuple[Compared, ...]
    chosen: tuple[str, ...]
    fields: Mapping[str, str]
    data_use: tuple[str, ...]
    outputs: tuple[str, ...]
    people: tuple[tuple[str, str, str], ...]
    evidence: tuple[Mapping[str, Any], ...]
    documents: tuple[Mapping[str, str], ...]
    faults: tuple[Fault, ...]
    largest: int
    organisation: str
    signing: Signing
    kept: datetime | None
    once: Once
    once_sent: Once


def show(hub: Hub, visit: Visit) -> NewRequest:
    """Put the page together: from what was typed, else from what was kept, else from the collections chosen."""
    typed = visit.typed if visit.typed.get("act") in _KEEPING else Fields()
    request = visit.asked.get("draft") or visit.typed.get("draft", "")
    with reading(hub.engine) as session:
        kept, documents, changed = _kept(session, visit, request)
        wrong: list[str] = []
        if typed:
            draft, wrong = _draft_of(hub, typed, before=kept)
        else:
            draft = kept if request else Draft(datasets=tuple(_chosen(hub, visit.asked)))
        lacks = drafts.lacking(draft, drafting.codes_of(session, visit.account, draft))
        checked = visit.asked.get("step") == CHECK or typed.get("act") == CHECK
        listed = draft
        if typed.get("act") == COMPARE:
            listed = draft.model_copy(update={"datasets": tuple(_chosen(hub, typed, field=LISTED))})
        return NewRequest(
            draft=request,
            step=CHECK if request and checked and not typed else SAVE,
            collections=tuple(drafting.compared(session, visit.account, listed, visit.now)),
            chosen=draft.datasets,
            fields=_fields(draft, typed),
            data_use=typed.every("data_use") if typed else draft.data_use,
            outputs=typed.every("output_classes")
            if typed
            else tuple(each.value for each in draft.output_classes),
            people=_people_rows(draft, typed),
            evidence=tuple(each.model_dump(mode="json") for each in draft.evidence),
            documents=tuple(documents),
            faults=_faults(wrong, lacks if checked else []),
            largest=hub.settings.catalogue_attachment_bytes,
            organisation=draft.organisation or visit.account.organisation,
            signing=page_signing.may_sign(hub, session, visit),
            kept=changed,
            once=once.token(hub, visit, _bound(request, changed)),
            once_sent=once.token(hub, visit, Bound(f"send {request}", iso(changed) if changed else "")),
        )


def compare(hub: Hub, visit: Visit) -> NewRequest:
    """Compare what is typed with the terms of the collections that are listed; nothing is kept."""
    return show(hub, replace(visit, typed=visit.form))


def keep(hub: Hub, visit: Visit) -> Response:
    """Keep what was typed as a draft, and go on to reading all of it where that was asked for."""
    step = f"&step={CHECK}" if visit.form.get("act") == CHECK else ""
    return _kept_then(hub, visit, lambda request: f"/requests/new?draft={request}{step}")


def attach(hub: Hub, visit: Visit) -> Response:
    """Keep what was typed, and attach the file that came with it."""
    file, kind = visit.file, visit.form.get("kind", "")
    if file is None or kind not in set(EvidenceKind):
        raise NoDocument(
            "Nothing was attached: no file was chosen, or not what it is.",
            why="A committee reads a document as what it is said to be.",
            todo="Choose a file and its kind, and attach it again.",
        )
    attachments.check_fits(hub, file.path)

    def go_on(request: str) -> str:
        attachments.check_may_attach(hub, visit.account, request)
        offered = Offered(file.name[:_LONGEST], EvidenceKind(kind))
        attachments.attach(hub, visit.account, request, file.path, offered)
        return f"/requests/new?draft={request}#documents"

    return _kept_then(hub, visit, go_on)


def detach(hub: Hub, visit: Visit) -> Response:
    """Keep what was typed, and take a document out again."""

    def go_on(request: str) -> str:
        attachments.detach(hub, visit.account, request, visit.asked.get("document", ""))
        return f"/requests/new?draft={request}#documents"

    return _kept_then(hub, visit, go_on)


def _kept_then(hub: Hub, visit: Visit, go_on: Callable[[str], str]) -> Response:
    """Keep what was typed as a draft, once, and do something with it that returns where to go."""
    request, who = visit.form.get("draft", ""), visit.account
    with reading(hub.engine) as session:
        before, _, changed = _kept(session, visit, request)
    draft, wrong = _draft_of(hub, visit.form, before=before)
    if wrong:
        raise DraftUnfit(
            "The request was not kept: some fields have not their form.",
            why="Committees and programs read each field alike.",
            todo="Correct the fields that are named below, and save it again.",
        )

    def do() -> str:
        if not request:
            return go_on(drafting.create(hub, who, draft).id)
        pieces = dict.fromkeys(before.fields()) | draft.fields()
        drafting.edit(hub, who, request, pieces)
        return go_on(request)

    return once.act(hub, visit, _bound(request, changed), do)


def send(hub: Hub, visit: Visit) -> Response:
    """Send what the requester seals here, or has sealed on her computer; the same sent twice is one request."""
    request = visit.form.get("draft", "")
    with reading(hub.engine) as session:
        row = permitted.request_seen(session, visit.account, request)[0]
        if row.version:
            return to(f"/requests/{request}")
        changed = row.changed

    def do() -> str:
        envelope = _sealed(hub, visit, request)
        return f"/requests/{requests.submit(hub, visit.account, envelope).id}"

    return once.act(hub, visit, Bound(f"send {request}", iso(changed)), do)


def _sealed(hub: Hub, visit: Visit, request: str) -> bytes:
    if page_signing.FIELD in visit.form:
        return drafting.sealed(hub, visit.account, request, page_signing.opened(hub, visit))
    envelope = visit.form.get("sealed", "").strip().encode()
    if _id_of(envelope) != request:
        raise NothingSealed(
            "Nothing was sent: this is not the sealed form of this request.",
            why="A committee decides on what its requester has signed, and the hub signs for nobody.",
            todo=told(
                "Seal it with 'fairbank request submit %(request)s --to request.json' "
                "and put the file's text here.",
                request=request,
            ),
        )
    return envelope


def discard(hub: Hub, visit: Visit) -> Response:
    """Throw the draft away."""
    drafting.discard(hub, visit.account, visit.form.get("draft", ""))
    return to("/requests?show=mine")


def _kept(
    session: Session, visit: Visit, request: str
) -> tuple[Draft, list[dict[str, str]], datetime | None]:
    if not request:
        return Draft(), [], None
    row = permitted.request_for(session, visit.account, request, "edit")
    told = drafting.view(session, visit.account, row)
    return drafts.changed(row.draft, {}), told["documents"], row.changed


def _chosen(hub: Hub, asked: Fields, *, field: str = "c") -> list[str]:
    """Return the IRIs of collections that an address or form names, whole or as node/name; what is none is left out."""
    found = []
    for each in asked.every(field)[:_MOST]:
        place = each.strip().removeprefix(hub.base_iri).strip("/").removeprefix("datasets/")
        if _PLACE.fullmatch(place):
            found.append(f"{hub.base_iri}/datasets/{place}")
    return list(dict.fromkeys(found))


def _draft_of(hub: Hub, form: Fields, *, before: Draft) -> tuple[Draft, list[str]]:
    """Return the draft that a form says, and the names of fields that have not their form; those stay as they were."""
    pieces: dict[str, Any] = {
        "datasets": _chosen(hub, form),
        "data_use": [each for each in form.every("data_use") if each in PURPOSES],
        "output_classes": [each for each in form.every("output_classes") if each in OUTPUTS],
        "commercial": form.get("commercial") == "yes",
        "diseases": _lines(form, "diseases"),
        "funding": _lines(form, "funding"),
        "people": [
            {"name": n, "organisation": o, "role": r} for n, o, r in _typed_people(form) if n or o or r
        ],
        "evidence": [each.model_dump(mode="json") for each in before.evidence],
    }
    for name in ("title", "project", "country", "statement", "publication_plan", "organisation_kind"):
        pieces[name] = form.get(name, "").strip() or None
    wrong = []
    if form.get("until"):
        pieces["until"] = _end_of(form["until"])
        if pieces["until"] is None:
            wrong.append("until")
    if form.get("minimum_datasets"):
        pieces["minimum_datasets"] = form["minimum_datasets"]
    good: dict[str, Any] = {}
    for name, value in pieces.items():
        if name == "minimum_datasets":
            value = int(value) if str(value).isdecimal() else value
        try:
            drafts.changed({}, {name: value})
        except DraftRefused:
            wrong.append(name)
        else:
            good[name] = value
    return drafts.changed({}, good), wrong


def _end_of(day: str) -> str | None:
    try:
        return iso(datetime.combine(date.fromisoformat(day), time(23, 59, 59), UTC))
    except ValueError:
        return None


def _lines(form: Fields, name: str) -> list[str]:
    return [each.strip() for each in form.get(name, "").splitlines() if each.strip()]


def _typed_people(form: Fields) -> list[tuple[str, str, str]]:
    names, places, roles = (form.every(f"person-{each}") for each in ("name", "organisation", "role"))
    return [(n.strip(), o.strip(), r.strip()) for n, o, r in zip(names, places, roles, strict=False)]


def _people_rows(draft: Draft, typed: Fields) -> tuple[tuple[str, str, str], ...]:
    rows = _typed_people(typed) if typed else [(e.name, e.organisation, e.role) for e in draft.people]
    rows = [row for row in rows if any(row)]
    return (*rows, *[("", "", "")] * max(1, _PEOPLE - len(rows)))


def _fields(draft: Draft, typed: Fields) -> dict[str, str]:
    told = {
        "title": draft.title or "",
        "statement": draft.statement or "",
        "diseases": "\n".join(draft.diseases),
        "until": (draft.until or "")[:10],
        "minimum_datasets": str(draft.minimum_datasets),
        "organisation_kind": draft.organisation_kind.value if draft.organisation_kind else "",
        "country": draft.country or "",
        "project": draft.project or "",
        "funding": "\n".join(draft.funding),
        "publication_plan": draft.publication_plan or "",
        "commercial": "yes" if draft.commercial else "",
    }
    return {name: typed.get(name, "") if typed else value for name, value in told.items()}


def _faults(wrong: list[str], lacks: list[Lack]) -> tuple[Fault, ...]:
    found = {name: Fault(name, _SAID.get(name, ""), True) for name in wrong}
    for each in lacks:
        sentence = _USUAL.get(each.field) or _SAID.get(each.field, "")
        found.setdefault(each.field, Fault(each.field, sentence, each.needed))
    return tuple(sorted(found.values(), key=lambda fault: not fault.needed))


def _id_of(envelope: bytes) -> str:
    """Return the id of the request in an envelope, empty if there is none; whether it may be sent is asked later."""
    try:
        json.loads(envelope)
        return Request.open(envelope, trusted=None)[0].id
    except (ValueError, RecursionError, FairbankError):
        return ""


def _bound(request: str, changed: datetime | None) -> Bound:
    return Bound(f"draft {request or 'new'}", iso(changed) if changed else "")


PAGE = Page(
    name="new_request",
    path="/requests/new",
    context=NewRequest,
    show=show,
    parts=("verdicts",),
    acts={
        COMPARE: compare,
        SAVE: keep,
        CHECK: keep,
        ATTACH: attach,
        DETACH: detach,
        "send": send,
        "discard": discard,
    },
    takes_files=True,
)
