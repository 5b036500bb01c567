"""Add up the updates of a round that the sites have encrypted; the hub has parameters and no key, and opens nothing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from fairbank.federated_jobs.aggregators.merge import Merged
from fairbank.federated_jobs.algorithms.errors import UpdateUnfit
from fairbank.federated_jobs.code import UPDATE
from fairbank.federated_jobs.errors import NotesUnreadable
from fairbank.federated_jobs.reasons import Reason
from fairbank.federated_jobs.tensor_files import Form, form_of
from fairbank.federated_jobs.update_notes import N_TRAIN, notes_of

if TYPE_CHECKING:
    from fairbank.federated_jobs.hub.merging import Closing


def examine_encrypted(closing: Closing, *, values: bool = False) -> tuple[dict[str, Reason], Form | None]:
    """Return the sites whose update cannot be added to the others, and the form of all others.

    Only the form can be judged: what is inside nobody can read here.

    Args:
        values: load each ciphertext as well.
    """
    from fairbank.federated_jobs.filters.encrypting import check_file

    found: dict[str, tuple[Form, bytes]] = {}
    for node, path in closing.outputs(UPDATE).items():
        try:
            layout = check_file(path, values=values)
            notes_of(path)
            found[node] = form_of(path), layout
        except (UpdateUnfit, NotesUnreadable):
            continue
    usual = Counter(found.values()).most_common(1)[0][0] if found else None
    odd = [node for node in closing.outputs(UPDATE) if found.get(node) != usual or usual is None]
    return dict.fromkeys(odd, Reason.UPDATE_REFUSED), usual[0] if usual is not None else None


def add_up(closing: Closing, *, into: Path) -> tuple[Merged, dict[str, dict[str, float]]]:
    """Write the sum of a round's encrypted updates; return it with the numbers that each site told beside it.

    Raises:
        UpdateUnfit: if one is no such update.
    """
    from fairbank.federated_jobs.filters.encrypting import add

    arrived = closing.outputs(UPDATE)
    notes = {node: notes_of(path) for node, path in arrived.items()}
    digest, size = add(list(arrived.values()), into)
    samples = {node: max(int(told.get(N_TRAIN, 0)), 1) for node, told in notes.items()}
    total = sum(samples.values())
    record = {node: {"weight": count / total} for node, count in samples.items()}
    return Merged(into, digest, size, tuple(arrived), total, record=record), notes
