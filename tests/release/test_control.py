from __future__ import annotations

import json
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Literal

import pytest
from pydantic import ConfigDict, Field

from fairbank.database import reading
from fairbank.errors import RemoteError
from fairbank.ontology.outputs import DoorClass
from fairbank.ontology.wire import (
    Decimal,
    DigestText,
    Id,
    KeyText,
    Moment,
    Part,
    ShortText,
    SignatureText,
    Slug,
    Text,
)
from fairbank.release import ledger
from fairbank.release.control import ControlMessage, ErrorCode, ErrorReport
from fairbank.release.errors import GateRefused, HubUnreachable
from fairbank.release.hub_client import HubClient
from fairbank.release.node import Node
from fairbank.release.outbox import Outbox

JOB = "01900000-0000-7000-8000-000000000001"


class Word(StrEnum):
    YES = "yes"
    NO = "no"


class Closed(Part):
    word: Word
    job: Id | None = None


class Loose(Part):
    remark: ShortText


class LoosePart(Part):
    model_config = ConfigDict(extra="allow")

    word: Word


class Everything(ControlMessage):
    schema_name = "everything/1"

    word: Word
    literal: Literal["a", "b"]
    job: Id
    jobs: Annotated[tuple[Id, ...], Field(max_length=3)] = ()
    digest: DigestText | None = None
    key: KeyText | None = None
    at: Moment | None = None
    epsilon: Decimal | None = None
    code: ErrorCode | None = None
    signature: SignatureText | None = None
    count: Annotated[int, Field(ge=0)] = 0
    share: float = 0.0
    flag: bool = False
    parts: tuple[Closed, ...] = ()


def test_closed_fields_make_a_control_message() -> None:
    message = Everything(word=Word.YES, literal="a", job=JOB, parts=(Closed(word=Word.NO, job=JOB),))
    assert Everything.parse(message.to_bytes()) == message


@pytest.mark.parametrize(
    "declared",
    [
        str, Text, ShortText, Slug, "str | None", bytes, list[int], dict[str, int], object,
        Annotated[str, Field(pattern=r"^[a-z]+$")], Annotated[str, Field(max_length=5)],
        tuple[str, ...], tuple[Loose, ...], Loose, Id | str,
    ],
    ids=str,
)  # fmt: skip
def test_a_field_that_could_hold_free_text_is_refused_when_the_class_is_made(declared: object) -> None:
    with pytest.raises(TypeError, match="could hold free text"):
        type("Open", (ControlMessage,), {"schema_name": "open/1", "__annotations__": {"field": declared}})


def test_a_message_that_takes_unknown_keys_is_refused() -> None:
    with pytest.raises(TypeError, match="unknown keys"):

        class Open(ControlMessage):
            model_config = ConfigDict(extra="allow")
            schema_name = "open/1"


def test_a_part_that_takes_unknown_keys_is_refused() -> None:
    with pytest.raises(TypeError, match="unknown keys"):
        type("Open", (ControlMessage,), {"schema_name": "o/1", "__annotations__": {"part": LoosePart}})


def test_a_control_message_is_sent_at_once_and_noted_word_for_word(outbox: Outbox, node: Node, hub) -> None:
    message = Everything(word=Word.NO, literal="b", job=JOB)
    assert outbox.control("PUT", "/v1/leases/1", message) == {"ok": True}
    with reading(node.engine) as session:
        entry = ledger.entries(session)[0]
    assert (entry.name, entry.door_class, entry.state) == (
        "PUT /v1/leases/1", DoorClass.CONTROL, ledger.EntryState.SENT,
    )  # fmt: skip
    assert ledger.content(entry, node.outbox_path) == hub.bodies[0][2] == message.to_bytes()


def test_an_answer_without_a_body_is_an_empty_one(outbox: Outbox) -> None:
    assert outbox.control("POST", "/v1/nodes/a/claim", Everything(word=Word.NO, literal="b", job=JOB)) == {}


def test_a_message_that_nobody_received_is_noted_as_such(outbox: Outbox, node: Node, hub) -> None:
    hub.faults = [hub.refuse_connection] * 9
    with pytest.raises(HubUnreachable):
        outbox.control("PUT", "/v1/x", Everything(word=Word.NO, literal="b", job=JOB))
    with reading(node.engine) as session:
        assert ledger.entries(session)[0].state is ledger.EntryState.UNDELIVERED
        assert ledger.bytes_by_class(session) == {}


def test_a_message_that_the_hub_refused_has_left(outbox: Outbox, node: Node, hub) -> None:
    hub.faults = [lambda _: hub.problem(409, "FB-JOBS-001", "No.")]
    with pytest.raises(RemoteError):
        outbox.control("PUT", "/v1/x", Everything(word=Word.NO, literal="b", job=JOB))
    with reading(node.engine) as session:
        assert ledger.entries(session)[0].state is ledger.EntryState.SENT


@pytest.mark.parametrize("count", [2**60, 10**300], ids=["large", "a message in digits"])
def test_a_number_too_large_to_be_one_is_refused(outbox: Outbox, hub, count: int) -> None:
    with pytest.raises(GateRefused, match="too large"):
        outbox.control("PUT", "/v1/x", Everything(word=Word.NO, literal="b", job=JOB, count=count))
    assert hub.bodies == []


def test_a_message_built_around_its_checks_is_refused(outbox: Outbox, hub) -> None:
    smuggled = Everything.model_construct(word=Word.NO, literal="b", job="DOE^JANE")
    with pytest.raises(Exception, match=r"malformed|more than its class"):
        outbox.control("PUT", "/v1/x", smuggled)
    assert hub.bodies == []


def test_an_error_report_is_a_code_and_nothing_else() -> None:
    assert json.loads(ErrorReport(code="FB-ANA-003").to_bytes()) == {
        "schema": "error/1",
        "code": "FB-ANA-003",
    }
    with pytest.raises(ValueError):
        ErrorReport(code="file 17 of DOE^JANE")


def test_bodies_of_control_messages_are_forgotten_in_time_but_not_their_lines(
    outbox: Outbox, node: Node, connect: Callable[[Node], HubClient]
) -> None:
    from fairbank.database import writing

    outbox.control("PUT", "/v1/x", Everything(word=Word.NO, literal="b", job=JOB))
    node.clock.advance(90 * 86_400)
    with writing(node.engine) as session:
        assert ledger.forget_control_bodies(session, before=node.clock.now()) == 1
    with reading(node.engine) as session:
        entry = ledger.entries(session)[0]
        assert entry.body is None and ledger.bytes_by_class(session)[DoorClass.CONTROL].bodies == 1
