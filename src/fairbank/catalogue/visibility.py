"""Who sees what: worked out from SQL for each question, so that hiding takes effect at once."""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.description import node_graph
from fairbank.catalogue.ontology_view import ontology_graph
from fairbank.catalogue.records import Visibility
from fairbank.catalogue.store import ArtefactDatasetRow, ArtefactRow, DatasetRow, NodeRow


def sees_everything(who: Account | None) -> bool:
    """Tell whether hidden datasets are shown: to the committee and to administrators."""
    return who is not None and who.has(Role.COMMITTEE, Role.ADMIN)


def visible(who: Account | None) -> ColumnElement[bool]:
    """Return the condition on `DatasetRow` that holds for what a caller may see; what was withdrawn nobody sees."""
    there = DatasetRow.withdrawn.is_(None)
    return there if sees_everything(who) else and_(there, DatasetRow.visibility == Visibility.PUBLIC.value)


def visible_graphs(session: Session, base_iri: str, who: Account | None) -> list[str]:
    """Return the named graphs that a caller may see.

    Datasets, nodes, what was made from visible datasets only, and the ontology that all are written in.
    """
    hidden_source = exists().where(
        ArtefactDatasetRow.iri == ArtefactRow.iri,
        ArtefactDatasetRow.dataset.not_in(select(DatasetRow.iri).where(visible(who))),
    )
    return [
        *session.scalars(select(DatasetRow.graph).where(visible(who))),
        *session.scalars(select(ArtefactRow.graph).where(~hidden_source)),
        *(node_graph(base_iri, name) for name in session.scalars(select(NodeRow.name))),
        ontology_graph(base_iri),
    ]
