"""Whether this site has said yes, or no, to the grant that a job comes under.

With the setting `node_countersign = required` nothing runs here under a grant that no person of the site has
countersigned. A refusal counts whatever the setting says.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy.orm import Session

from fairbank.federated_jobs.checks import Check
from fairbank.federated_jobs.errors import GrantNotCountersigned
from fairbank.federated_jobs.manifest import Chain
from fairbank.federated_jobs.node.judging import terms_here
from fairbank.federated_jobs.reasons import Reason
from fairbank.ontology.person_objects import CountersignWord
from fairbank.release.grants import word_on
from fairbank.release.node import Node


def check_not_refused(session: Session, node: Node, chain: Chain) -> None:
    """Refuse a job under a grant that a person of this site refused for a dataset that the job uses.

    Raises:
        GrantNotCountersigned: with the word `grant_refused_by_site`.
    """
    _check_none_refused(_words(session, node, chain))


def _check_none_refused(words: Mapping[str, CountersignWord | None]) -> None:
    if CountersignWord.REFUSED in words.values():
        raise (
            GrantNotCountersigned(
                "A person of this site refused the grant of this job.",
                why="What a committee grants is used here only if the site agrees.",
                todo="See 'fairbank node grants show'.",
            )
            .because(Reason.GRANT_REFUSED_BY_SITE)
            .at(Check.COUNTERSIGNATURE)
        )


def check_countersigned(session: Session, node: Node, chain: Chain) -> None:
    """Refuse a job under a grant that this site has refused, or has to countersign first.

    Raises:
        GrantNotCountersigned: with the word `grant_refused_by_site` or `grant_not_countersigned`.
    """
    words = _words(session, node, chain)
    _check_none_refused(words)
    if not _enough(node, words):
        raise GrantNotCountersigned(
            "No person of this site has countersigned the grant of this job.",
            why="This site asks for that (setting node_countersign), and a grant on wider terms needs it anew.",
            todo="Look at it with 'fairbank node grants show', then 'fairbank node grants countersign'.",
        ).at(Check.COUNTERSIGNATURE)


def is_countersigned(session: Session, node: Node, chain: Chain) -> bool:
    """Tell whether each dataset here that a job uses is countersigned, or this site does not ask for it."""
    return _enough(node, _words(session, node, chain))


def _enough(node: Node, words: Mapping[str, CountersignWord | None]) -> bool:
    if node.settings.node_countersign != "required":
        return True
    return all(word is CountersignWord.COUNTERSIGNED for word in words.values())


def _words(session: Session, node: Node, chain: Chain) -> dict[str, CountersignWord | None]:
    said = {
        terms.iri: word_on(session, node, chain.visa, chain.sealed_visa.digest, terms.iri)
        for terms in terms_here(node, chain)
    }
    return {iri: found.word if found is not None else None for iri, found in said.items()}
