"""The bodies that requester, hub and node exchange about live counts.

A number leaves a node through the release gate, as a table of one count; that there is none leaves as a control message
of closed words.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from fairbank.federated_jobs.protocol import Envelope, Seconds
from fairbank.ontology.counts import Count, CountReason
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import Output
from fairbank.ontology.wire import Id, Iri, Moment, Part, Slug, Wire
from fairbank.release.control import ControlMessage

_MEDIA_TYPE: Final = "application/json"
_MOST_BYTES: Final = 1000


class CountClaim(ControlMessage):
    """A node asks for one question that concerns a dataset of it."""

    schema_name = "count-claim/1"

    max_wait_s: Seconds


class CountCall(Wire):
    """The hub's answer to a claim: a sealed question, with visa and request if it is asked under a grant."""

    schema_name = "count-call/1"

    question: Envelope
    visa: Envelope | None = None
    request: Envelope | None = None


class CountWord(StrEnum):
    """What a node tells of a count in words."""

    WAITING = "waiting"
    DECLINED = "declined"
    BELOW_K = "below-k"


class CountReport(ControlMessage):
    """A node tells that it has no number for one dataset of a question.

    Attributes:
        place: number of the dataset in the question, from 0.
        k: the site's smallest count, where the count is below it.
    """

    schema_name = "count-report/1"

    place: Annotated[int, Field(ge=0, le=199)]
    word: CountWord
    why: CountReason | None = None
    k: Annotated[int, Field(ge=1)] | None = None


class Asked(Wire):
    """The hub's answer to a question."""

    schema_name = "count-asked/1"

    id: Id


class CountAnswer(Part):
    """What is known of one dataset: how many of its subjects have a series that the selection takes."""

    dataset: Iri
    node: Slug
    subjects: Count


class Counts(Wire):
    """The answers to a question so far; `seen` grows with every answer and feeds the long-poll."""

    schema_name = "counts-live/1"

    id: Id
    created: Moment
    complete: bool
    seen: int
    answers: tuple[CountAnswer, ...]


def output_name(place: int) -> str:
    """Return the name of the output that holds the count of one dataset of a question."""
    return f"live-count-{place}"


def place_of(output: str) -> int | None:
    """Return which dataset of a question an output counts, None if it is no live count.

    >>> place_of("live-count-3"), place_of("live-count-"), place_of("counts")
    (3, None, None)
    """
    number = output.removeprefix("live-count-")
    return int(number) if number != output and number.isascii() and number.isdigit() else None


def declared(place: int, *, k: int) -> Output:
    """Return the limits of such an output, which the gate holds it to."""
    return Output(
        name=output_name(place),
        output_class=OutputClass.AGGREGATE,
        media_type=_MEDIA_TYPE,
        maximum_bytes=_MOST_BYTES,
        minimum_count=k,
    )


def table_of(value: int) -> bytes:
    """Return the bytes of a live count, in the form that the gate reads."""
    count = Count.exact(value).model_dump(mode="json", exclude_none=True)
    return json.dumps({"schema": "counts/1", "counts": [{"group": [], "count": count}]}).encode()


def count_in(table: bytes) -> int:
    """Return the number in the bytes of a live count.

    Raises:
        ValueError: if they are not of that form.

    >>> count_in(table_of(120))
    120
    """
    try:
        (row,) = json.loads(table)["counts"]
        value = Count.model_validate(row["count"]).value
    except (KeyError, TypeError) as err:
        raise ValueError("not a table of one count") from err
    if value is None:
        raise ValueError("not a table of one exact count")
    return value
