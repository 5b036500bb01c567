"""Errors say what, why and what to do, in one form everywhere, and never a value that may identify."""

from __future__ import annotations

import json
import pickle

import pytest

from fairbank.errors import FairbankError, Kind, MissingExtra, RemoteError, Sensitive, all_error_classes


class _Refused(FairbankError):
    code = "FB-CORE-999"
    kind = Kind.REFUSED


def test_an_error_reads_as_what_why_and_todo() -> None:
    error = _Refused("The scan was refused.", why="It is empty.", todo="Send another.")
    assert str(error) == "The scan was refused. It is empty. Send another."


def test_an_error_without_reason_reads_as_one_sentence() -> None:
    assert str(_Refused("The scan was refused.")) == "The scan was refused."


def test_a_problem_document_carries_the_code_and_the_status_of_the_kind() -> None:
    problem = _Refused("What.", why="Why.", todo="Todo.").problem()
    assert problem["code"] == "FB-CORE-999"
    assert problem["status"] == 422
    assert problem["type"] == "urn:fairbank:error:FB-CORE-999"
    assert problem["detail"] == "Why. Todo."
    assert json.loads(json.dumps(problem)) == problem


def test_an_error_survives_the_way_to_a_client() -> None:
    sent = _Refused("What.", why="Why.", todo="Todo.")
    received = FairbankError.from_problem(dict(sent.problem()))
    assert isinstance(received, RemoteError)
    assert (received.what, received.why, received.todo) == ("What.", "Why.", "Todo.")
    assert received.remote_code == "FB-CORE-999"
    assert received.status == 422


@pytest.mark.parametrize("problem", [{}, {"status": "oops"}, {"title": 7, "code": None}])
def test_a_malformed_problem_document_still_makes_an_error(problem: dict[str, object]) -> None:
    received = FairbankError.from_problem(problem)
    assert isinstance(received, RemoteError)
    assert received.status == 500


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_an_exit_code_and_an_http_error_status(kind: Kind) -> None:
    assert kind.exit_code in (1, 2)
    assert 400 <= kind.http_status < 600


def test_only_misuse_exits_with_two() -> None:
    assert [kind for kind in Kind if kind.exit_code == 2] == [Kind.MISUSE]


def test_a_missing_extra_says_what_to_install() -> None:
    error = MissingExtra.named("postgres", needed_for="A PostgreSQL database")
    assert "pip install 'fairbank[postgres]'" in error.todo


@pytest.mark.parametrize(
    "shown", [str, repr, lambda value: f"{value}", lambda value: f"{value!r}", lambda value: f"{[value]}"]
)
def test_a_sensitive_value_shows_only_its_reference(shown) -> None:  # type: ignore[no-untyped-def]
    text = shown(Sensitive("DOE^JANE", reference="file #17"))
    assert "DOE" not in text
    assert "file #17" in text


def test_a_sensitive_value_is_revealed_on_purpose_only() -> None:
    assert Sensitive("DOE^JANE", reference="file #17").reveal() == "DOE^JANE"


def test_a_sensitive_value_never_leaves_its_process_by_pickle() -> None:
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(Sensitive("DOE^JANE", reference="file #17"))


def test_sensitive_values_compare_by_value() -> None:
    one, same = Sensitive("a", reference="#1"), Sensitive("a", reference="#2")
    assert one == same
    assert hash(one) == hash(same)
    assert one != "a"


def test_all_error_classes_finds_the_whole_tree() -> None:
    found = all_error_classes()
    assert FairbankError in found
    assert _Refused in found
    assert [cls.code for cls in found] == sorted(cls.code for cls in found)
