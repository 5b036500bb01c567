"""Asking for live counts: a sealed question is taken in and nodes are woken; on a page it is sealed here first."""

from __future__ import annotations

from collections.abc import Sequence

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.clock import iso
from fairbank.database import writing
from fairbank.federated_jobs.hub import counts
from fairbank.federated_jobs.hub.grants import GrantLookup, granted
from fairbank.ontology.count_questions import CountQuestion
from fairbank.ontology.signed_objects import VisaDataset
from fairbank.signing import SigningKey

# As many as a question can name.
MOST_DATASETS = 200


def take(hub: Hub, who: Account, envelope: bytes, *, grants: GrantLookup) -> str:
    """Take a sealed question in, wake the nodes that it concerns, and return its id.

    Raises:
        CountRefused: as `counts.ask` does.
    """
    with writing(hub.engine) as session:
        question = counts.ask(hub, session, envelope, who=who, grants=grants)
    hub.notifier.notify(work=False, questions=True)
    return question


def ask(hub: Hub, who: Account, key: SigningKey, datasets: Sequence[VisaDataset]) -> str:
    """Seal a question with the key that the hub keeps for its requester, ask it under no grant, and return its id.

    Raises:
        CountRefused: as `counts.ask` does.
    """
    question = CountQuestion(
        id=hub.clock.new_id(),
        requester_key=key.key_id,
        requester_account=who.name,
        datasets=tuple(datasets),
        created=iso(hub.clock.now()),
    )
    return take(hub, who, question.seal(key), grants=granted(hub))
