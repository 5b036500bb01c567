"""Who sees what: worked out from SQL for each question, so that hiding takes effect at once.

Hidden datasets are seen by administrators and auditors, by the curators of their node, and by those who sit on a
committee that decides about them, or stand in for such a one.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto
from typing import Any

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    and_,
    bindparam,
    exists,
    literal,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session

from fairbank.catalogue import audit_graph, described
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.description import node_graph
from fairbank.catalogue.governance.store import CommitteeRow, MemberRow, ScopeRow, SubstituteRow
from fairbank.catalogue.identity.store import RoleScopeRow
from fairbank.catalogue.ontology_view import ontology_graph
from fairbank.catalogue.records import Visibility
from fairbank.catalogue.store import ArtefactDatasetRow, ArtefactRow, DatasetRow, NodeRow

_DATASETS, _ARTEFACTS, _SOURCES, _NODES, _COMMITTEES, _SCOPES, _MEMBERS, _STANDS_IN, _ROLES = (
    row.metadata.tables[row.__tablename__]
    for row in (
        DatasetRow,
        ArtefactRow,
        ArtefactDatasetRow,
        NodeRow,
        CommitteeRow,
        ScopeRow,
        MemberRow,
        SubstituteRow,
        RoleScopeRow,
    )
)


class _Sight(Enum):
    """How much of what is hidden somebody sees."""

    NOTHING = auto()
    OWN = auto()
    EVERYTHING = auto()


def sees_everything(who: Account | None) -> bool:
    """Tell whether all hidden datasets are shown: to administrators and auditors."""
    return who is not None and who.has(Role.ADMIN, Role.AUDITOR)


def visible(who: Account | None) -> ColumnElement[bool]:
    """Return the condition on `DatasetRow` that holds for what a caller may see; what was withdrawn nobody sees."""
    return and_(DatasetRow.withdrawn.is_(None), unhidden(who))


def unhidden(who: Account | None) -> ColumnElement[bool]:
    """Return the condition on `DatasetRow` that holds for what is not hidden from a caller, withdrawn or not."""
    sight = _sight(who)
    name = literal(who.name if who is not None else "")
    return _unhidden(sight, name, DatasetRow.visibility, DatasetRow.node, DatasetRow.dataset, DatasetRow.iri)


def hidden_but_seen(session: Session, who: Account | None) -> Sequence[str]:
    """Return the IRIs of the hidden datasets that a caller sees all the same."""
    if _sight(who) is _Sight.NOTHING:
        return ()
    # Named, and not as what is not public: few datasets are hidden, and this finds them by the index.
    hidden = DatasetRow.visibility.in_([each.value for each in Visibility if each is not Visibility.PUBLIC])
    return session.scalars(select(DatasetRow.iri).where(hidden, visible(who))).all()


def visible_graphs(session: Session, base_iri: str, who: Account | None) -> list[str]:
    """Return the named graphs that a caller may see.

    Datasets, nodes, what was made from visible datasets only, of what people described what everybody sees, and the
    ontology that all are written in; for administrators and auditors, the audit log.
    """
    connection = session.connection()
    nodes = connection.scalars(_NODE_NAMES).all()
    sight = _sight(who)
    given = {"who": who.name} if who is not None and sight is _Sight.OWN else {}
    log = audit_graph.graphs(session, base_iri) if audit_graph.may_read(who) else []
    return [
        *log,
        *connection.scalars(_GRAPHS[sight], given).all(),
        *(node_graph(base_iri, name) for name in nodes),
        *described.shown_graphs(session),
        ontology_graph(base_iri),
    ]


def _sight(who: Account | None) -> _Sight:
    if sees_everything(who):
        return _Sight.EVERYTHING
    return _Sight.OWN if who is not None and who.has(Role.CURATOR, Role.COMMITTEE) else _Sight.NOTHING


def _unhidden(
    sight: _Sight, who: ColumnElement[str], visibility: Any, node: Any, dataset: Any, iri: Any
) -> ColumnElement[bool]:
    public: ColumnElement[bool] = visibility == Visibility.PUBLIC.value
    if sight is _Sight.EVERYTHING:
        return true()
    if sight is _Sight.NOTHING:
        return public
    curates = exists().where(
        _ROLES.c.account == who, _ROLES.c.role == Role.CURATOR.value, _ROLES.c.node == node
    )
    sits = select(_MEMBERS.c.committee).where(_MEMBERS.c.account == who, _MEMBERS.c.until.is_(None))
    stands_in = select(_STANDS_IN.c.committee).where(
        _STANDS_IN.c.account == who, _STANDS_IN.c.begun, ~_STANDS_IN.c.over
    )
    decides = exists().where(
        or_(_COMMITTEES.c.id.in_(sits), _COMMITTEES.c.id.in_(stands_in)),
        _COMMITTEES.c.dissolved.is_(None),
        _SCOPES.c.committee == _COMMITTEES.c.id,
        _SCOPES.c.node == node,
        or_(_SCOPES.c.dataset == "", _SCOPES.c.dataset == dataset, _SCOPES.c.dataset == iri),
    )
    return or_(public, curates, decides)


def _graphs(sight: _Sight) -> CompoundSelect[str]:
    of = _DATASETS.c
    seen = and_(
        of.withdrawn.is_(None),
        _unhidden(sight, bindparam("who", type_=of.node.type), of.visibility, of.node, of.dataset, of.iri),
    )
    hidden_source = exists().where(
        _SOURCES.c.iri == _ARTEFACTS.c.iri, _SOURCES.c.dataset.not_in(select(of.iri).where(seen))
    )
    return union_all(select(of.graph).where(seen), select(_ARTEFACTS.c.graph).where(~hidden_source))


# Every query passes here, so these are asked as plain tables, by statements put together once.
_GRAPHS = {sight: _graphs(sight) for sight in _Sight}
_NODE_NAMES = select(_NODES.c.name)
