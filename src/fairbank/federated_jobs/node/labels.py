"""The labels that a job learns: from clinical variables or fact sheets of this site, in the words of the job.

A curator says what the site's own codes mean; a code of which nothing is said means itself. Labels stay at the site.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue
from sqlalchemy import select
from sqlalchemy.orm import Session

from fairbank import audit
from fairbank.database import reading, writing
from fairbank.federated_jobs.code import Tool, WorkerKind
from fairbank.federated_jobs.node.clinical_columns import as_number, clinical_words
from fairbank.federated_jobs.node.cohort import Member
from fairbank.federated_jobs.node.store import LabelWordRow
from fairbank.federated_jobs.node.subject_facts import subject_facts
from fairbank.federated_jobs.training_errors import LabelRefused
from fairbank.release.node import Node

LABEL, NUMBER = "label", "number"
OF_SUBJECTS = ("sex", "age_band")
OF_SERIES = ("contrast", "kernel_class", "respiratory_phase")
CLINICAL = "clinical_"
_LONGEST = 64

Asked = dict[tuple[str, str], dict[str, str]]


def asked_of(
    node: Node,
    tool: Tool,
    parameters: Mapping[str, JsonValue],
    members: Sequence[Member],
    facts: Mapping[tuple[str, str], Mapping[str, str]],
) -> Asked:
    """Return what a training job asks for of each series of a cohort, by dataset and UID: `label`, sex, age band.

    Args:
        parameters: of the job, as they were checked.
        facts: of series, as fact sheets keep them.
    """
    label = parameters.get("label")
    if tool.worker is not WorkerKind.TRAINING or (label is None and "structures" not in parameters):
        return {}
    subjects = subject_facts(node, members)
    words = _label_words(node, members, str(label), subjects, facts) if label is not None else {}
    meanings = _meanings(node, str(label))
    found: Asked = {}
    for member in members:
        key = (member.dataset, member.series_uid)
        known = {name: word for name, word in subjects.get(member.subject, {}).items() if word != "unknown"}
        if key in words:
            word = meanings.get(words[key], words[key])
            known[LABEL] = word
            number = as_number(word)
            if number is not None:
                known[NUMBER] = repr(number)
        found[key] = known
    return found


def set_word(node: Node, *, label: str, code: str, word: str, by: str) -> None:
    """Say what a code of this site means in the words of jobs.

    Raises:
        LabelRefused: if the label is none that a job could name, or the word is empty or too long.
    """
    _check(label)
    if not 1 <= len(word) <= _LONGEST or not 1 <= len(code) <= _LONGEST:
        raise LabelRefused(
            f"A code and the word for it have 1 to {_LONGEST} characters.",
            why="A job names its classes by such words.",
            todo="Set another word.",
        )
    with writing(node.engine) as session:
        session.merge(LabelWordRow(label=label, code=code, word=word, by=by, since=node.clock.now()))
        _note(session, node, by, "label.set", label)


def remove_word(node: Node, *, label: str, code: str, by: str) -> None:
    """Have a code mean itself again.

    Raises:
        LabelRefused: if nothing is said of it.
    """
    with writing(node.engine) as session:
        row = session.get(LabelWordRow, (label, code))
        if row is None:
            raise LabelRefused(
                "Nothing is said of this code.",
                why="A code of which nothing is said means itself.",
                todo="See what is said: fairbank node labels list.",
            )
        session.delete(row)
        _note(session, node, by, "label.remove", label)


def words(session: Session) -> Sequence[LabelWordRow]:
    """Return all that is said of codes, sorted."""
    return session.scalars(select(LabelWordRow).order_by(LabelWordRow.label, LabelWordRow.code)).all()


def _label_words(
    node: Node,
    members: Sequence[Member],
    label: str,
    subjects: Mapping[str, Mapping[str, str]],
    facts: Mapping[tuple[str, str], Mapping[str, str]],
) -> dict[tuple[str, str], str]:
    """Return the word of each series of which one is known, as this site has it."""
    if label in OF_SERIES:
        return {key: sheet[label] for key, sheet in facts.items() if label in sheet}
    if label.startswith(CLINICAL):
        by_subject: Mapping[str, str] = clinical_words(node, members, label)
    else:
        by_subject = {
            subject: known[label]
            for subject, known in subjects.items()
            if known.get(label) not in (None, "unknown")
        }
    return {
        (member.dataset, member.series_uid): by_subject[member.subject]
        for member in members
        if member.subject in by_subject
    }


def _meanings(node: Node, label: str) -> dict[str, str]:
    with reading(node.engine) as session:
        rows = session.scalars(select(LabelWordRow).where(LabelWordRow.label == label))
        return {row.code: row.word for row in rows}


def _check(label: str) -> None:
    if label not in (*OF_SUBJECTS, *OF_SERIES) and not label.startswith(CLINICAL):
        raise LabelRefused(
            f"No job can learn {label[:_LONGEST]!r}.",
            why=f"A label is clinical_NAME, or one of {', '.join((*OF_SUBJECTS, *OF_SERIES))}.",
            todo="Name it as jobs do.",
        )


def _note(session: Session, node: Node, by: str, act: str, label: str) -> None:
    audit.record(session, audit.NodeAudit, clock=node.clock, actor=by, act=act, target=label, detail={})
