"""Who sees what: worked out from SQL for each question, so that hiding takes effect at once."""

from __future__ import annotations

from sqlalchemy import ColumnElement, CompoundSelect, and_, exists, select, union_all
from sqlalchemy.orm import Session

from fairbank.catalogue import described
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

    Datasets, nodes, what was made from visible datasets only, of what people described what everybody sees, and the
    ontology that all are written in.
    """
    connection = session.connection()
    nodes = connection.scalars(_NODE_NAMES).all()
    return [
        *connection.scalars(_GRAPHS[sees_everything(who)]).all(),
        *(node_graph(base_iri, name) for name in nodes),
        *described.shown_graphs(session),
        ontology_graph(base_iri),
    ]


def _graphs(*, everything: bool) -> CompoundSelect[str]:
    datasets, artefacts, sources = (
        row.metadata.tables[row.__tablename__] for row in (DatasetRow, ArtefactRow, ArtefactDatasetRow)
    )
    seen: ColumnElement[bool] = datasets.c.withdrawn.is_(None)
    if not everything:
        seen = and_(seen, datasets.c.visibility == Visibility.PUBLIC.value)
    hidden_source = exists().where(
        sources.c.iri == artefacts.c.iri, sources.c.dataset.not_in(select(datasets.c.iri).where(seen))
    )
    return union_all(select(datasets.c.graph).where(seen), select(artefacts.c.graph).where(~hidden_source))


# Every query passes here, so these are asked as plain tables, by statements put together once.
_GRAPHS = {everything: _graphs(everything=everything) for everything in (False, True)}
_NODE_NAMES = select(NodeRow.metadata.tables[NodeRow.__tablename__].c.name)
