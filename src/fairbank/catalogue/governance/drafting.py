"""Drafts as the hub keeps them: begun, edited piece by piece, thrown away. Only their author ever sees them.

A draft is sealed with the requester's key, where that key is: with the hub only if she has it keep one (`page_keys`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import attachments, permitted
from fairbank.catalogue.governance.data_use_match import match_of_draft
from fairbank.catalogue.governance.drafts import UNTITLED, Draft, as_request, changed, lacking
from fairbank.catalogue.governance.request_errors import DraftRefused
from fairbank.catalogue.governance.store import AttachmentRow, RequestRow
from fairbank.catalogue.governance.workflow import RequestState
from fairbank.catalogue.store import DatasetRow
from fairbank.catalogue.visibility import visible
from fairbank.clock import iso
from fairbank.database import reading, writing
from fairbank.errors import told
from fairbank.signing import SigningKey

MOST_DRAFTS: Final = 100


@dataclass(frozen=True, slots=True)
class Compared:
    """A dataset that a draft names: how the purpose written so far fits its terms of use, and why.

    Attributes:
        verdict: a word of `data_use.Verdict`.
        explanations: code, label, verdict and reason of each term.
    """

    iri: str
    title: str
    node: str
    verdict: str
    explanations: tuple[dict[str, Any], ...]


def compared(session: Session, who: Account, draft: Draft, now: datetime) -> list[Compared]:
    """Compare a draft with each dataset that it names and its author may see, in the draft's order."""
    rows = session.scalars(select(DatasetRow).where(DatasetRow.iri.in_(draft.datasets), visible(who)))
    by_iri = {row.iri: row for row in rows}
    found = []
    for iri in dict.fromkeys(draft.datasets):
        if (row := by_iri.get(iri)) is not None:
            verdict, explanations = match_of_draft(draft, who, row, now)
            found.append(Compared(iri, row.title or iri, row.node, verdict, tuple(explanations)))
    return found


def create(hub: Hub, who: Account, content: Draft) -> RequestRow:
    """Begin a draft and return it.

    Raises:
        DraftRefused: if the account has more drafts than anybody needs.
    """
    now = hub.clock.now()
    with writing(hub.engine) as session:
        mine = select(RequestRow.id).where(
            RequestRow.account == who.name, RequestRow.state == RequestState.DRAFT.value
        )
        if len(session.scalars(mine.limit(MOST_DRAFTS)).all()) >= MOST_DRAFTS:
            raise DraftRefused(
                told("You have %(most)s drafts already.", most=MOST_DRAFTS),
                why="A hub keeps that many for one account.",
                todo="Submit or discard one: fairbank request list --state draft.",
            )
        row = RequestRow(
            id=hub.clock.new_id(),
            account=who.name,
            title=content.title or UNTITLED,
            state=RequestState.DRAFT.value,
            version=0,
            draft=content.fields(),
            minimum_datasets=content.minimum_datasets,
            created=now,
            changed=now,
        )
        session.add(row)
        session.flush()
        permitted.note(session, hub, row, who, "create")
    return row


def edit(hub: Hub, who: Account, request_id: str, pieces: dict[str, Any]) -> RequestRow:
    """Change the pieces of a draft that are named, and leave the others; None takes a piece out.

    Raises:
        RequestNotFound: if there is no such request, or it is somebody else's.
        WrongState: if it is no draft any more.
        DraftRefused: if a piece has no such name or not its form.
    """
    with writing(hub.engine) as session:
        row = permitted.request_for(session, who, request_id, "edit")
        content = changed(row.draft, pieces)
        row.draft = content.fields()
        row.title = content.title or UNTITLED
        row.minimum_datasets = content.minimum_datasets
        row.changed = hub.clock.now()
        permitted.note(session, hub, row, who, "edit", fields=sorted(pieces))
    return row


def sealed(hub: Hub, who: Account, request_id: str, key: SigningKey) -> bytes:
    """Return the request that a draft becomes, sealed with the key that the hub keeps for its author.

    Raises:
        RequestNotFound: if there is no such request, or it is somebody else's.
        WrongState: if it is no draft any more.
        DraftIncomplete: if something is missing without which there is no request.
    """
    with reading(hub.engine) as session:
        content = changed(permitted.request_for(session, who, request_id, "edit").draft, {})
    request = as_request(
        content,
        request_id=request_id,
        account=who.name,
        organisation=who.organisation,
        key=key.key_id,
        version=1,
        amends=None,
        created=hub.clock.now(),
        kept_by_hub=True,
    )
    return request.seal(key)


def discard(hub: Hub, who: Account, request_id: str) -> RequestRow:
    """Throw a draft away, with the documents attached to it; that there was one stays in the history.

    Raises:
        RequestNotFound: if there is no such request, or it is somebody else's.
        WrongState: if it is no draft any more.
    """
    with writing(hub.engine) as session:
        row = permitted.request_for(session, who, request_id, "discard")
        gone = attachments.forget_all(session, row.id)
        row.state, row.draft, row.title = RequestState.WITHDRAWN.value, {}, UNTITLED
        row.changed = hub.clock.now()
        permitted.note(session, hub, row, who, "discard", documents=gone)
    attachments.sweep(hub, request_id)
    return row


def codes_of(session: Session, who: Account, draft: Draft) -> frozenset[str]:
    """Return the data-use codes of the datasets that a draft names and its author may see."""
    statement = select(DatasetRow.data_use).where(DatasetRow.iri.in_(draft.datasets), visible(who))
    return frozenset(code for codes in session.scalars(statement) for code in codes)


def view(session: Session, who: Account, row: RequestRow) -> dict[str, Any]:
    """Return a draft for its author: the fields, its documents, and what is missing."""
    content = changed(row.draft, {})
    documents = session.scalars(
        select(AttachmentRow)
        .where(AttachmentRow.request == row.id)
        .order_by(AttachmentRow.at, AttachmentRow.digest)
    )
    return {
        "schema": "request-draft-view/1",
        "id": row.id,
        "state": row.state,
        "version": row.version,
        "changed": iso(row.changed),
        "draft": content.payload(),
        "documents": [{"digest": each.digest, "name": each.name} for each in documents],
        "missing": [
            {"field": each.field, "sentence": each.sentence, "needed": each.needed}
            for each in lacking(content, codes_of(session, who, content))
        ],
    }
