"""The hub's audit log in the RDF view, for administrators and auditors only.

Entries lie in named graphs of a thousand each; what they say of other things than themselves in one more, because no
statement may stand in two graphs: a query over both would count it twice. For the same reason nothing is said that the
things' own graphs say: what they are, and what models and results come from. Entries never change, so they are only
added; an entry comes in with the next event that the view takes.
"""

from __future__ import annotations

from typing import Final

from pyoxigraph import Literal, NamedNode, Quad
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from fairbank.audit import HubAudit
from fairbank.catalogue.accounts import Account, Role
from fairbank.catalogue.governance.provenance import visas
from fairbank.clock import iso
from fairbank.ontology import terms
from fairbank.ontology.audit_provenance import MOMENT, Entry, Triple, entry_iri, triples

ENTRIES_PER_GRAPH: Final = 1000
AT_ONCE: Final = 5000


def may_read(who: Account | None) -> bool:
    """Tell whether somebody sees the log: administrators and auditors."""
    return who is not None and who.has(Role.ADMIN, Role.AUDITOR)


def graph_of(base_iri: str, seq: int) -> str:
    """Return the named graph that an entry is in.

    >>> graph_of("http://hub.test", 1000), graph_of("http://hub.test", 1001)
    ('http://hub.test/graphs/audit/0', 'http://hub.test/graphs/audit/1')
    """
    return f"{base_iri}/graphs/audit/{(seq - 1) // ENTRIES_PER_GRAPH}"


def graphs(session: Session, base_iri: str) -> list[str]:
    """Return the named graphs of the whole log."""
    newest = session.scalar(select(func.max(HubAudit.seq))) or 0
    of_entries = [graph_of(base_iri, seq) for seq in range(1, newest + 1, ENTRIES_PER_GRAPH)]
    return [*of_entries, graph_of_things(base_iri)]


def graph_of_things(base_iri: str) -> str:
    """Return the named graph of what the log says of other things than its entries."""
    return f"{base_iri}/graphs/audit/things"


def quads(session: Session, base_iri: str, *, after: int) -> tuple[list[Quad], int]:
    """Return some thousand entries after a number as quads, and the number of the last (`after` if there is none)."""
    statement = select(HubAudit).where(HubAudit.seq > after).order_by(HubAudit.seq).limit(AT_ONCE)
    rows = list(session.scalars(statement))
    log, things = f"{base_iri}/audit", graph_of_things(base_iri)
    found: list[Quad] = []
    for row in rows:
        entry, graph = entry_iri(log, row.seq), graph_of(base_iri, row.seq)
        said = list(triples(_entry(row), base_iri=base_iri, log_iri=log))
        found += [_quad(each, graph) for each in said if each.subject == entry]
        found += [
            _quad(each, things) for each in said if each.subject != entry and _is_told_here(each, base_iri)
        ]
    named = {visa for row in rows if isinstance(visa := row.detail.get("visa"), str)}
    told = visas(session, sorted(named), base_iri=base_iri)
    found += [_quad(each, things) for each in told if _is_told_here(each, base_iri)]
    return found, rows[-1].seq if rows else after


def _is_told_here(one: Triple, base_iri: str) -> bool:
    if one.predicate == terms.TYPE:
        return False
    of_its_own = one.subject.startswith((f"{base_iri}/models/", f"{base_iri}/results/"))
    return not (of_its_own and one.predicate == terms.PROV + "wasDerivedFrom")


def _entry(row: HubAudit) -> Entry:
    return Entry(row.seq, iso(row.at), row.actor, row.act, row.target, row.detail, row.hash)


def _quad(one: Triple, graph: str) -> Quad:
    said: NamedNode | Literal
    if one.datatype is None:
        said = NamedNode(one.object)
    elif one.datatype == MOMENT:
        said = Literal(one.object, datatype=NamedNode(MOMENT))
    else:
        said = Literal(one.object)
    return Quad(NamedNode(one.subject), NamedNode(one.predicate), said, NamedNode(graph))
