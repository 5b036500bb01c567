"""What a curator is asked, and what an answer means."""

from __future__ import annotations

import pytest

from fairbank.ontology.errors import MalformedObject, UnknownTerm
from fairbank.ontology.profiles import asking
from fairbank.ontology.profiles.listing import PROFILES, profile_named
from fairbank.ontology.stewardship import Stewardship


def test_every_field_can_be_asked_for_and_answered_as_it_is_shown(everything_said: Stewardship) -> None:
    said = everything_said.model_dump(mode="json")
    asked = {one.field: one for one in asking.questions(list(PROFILES.values()), optional=True)}
    assert set(asked) == set(Stewardship.model_fields)
    for field, value in said.items():
        parts = (
            {key: asking.as_answer(text) for key, text in value.items() if text}
            if asked[field].parts
            else None
        )
        assert asking.understood(asked[field], parts or asking.as_answer(value)) == value, field


def test_what_a_profile_needs_comes_before_what_it_recommends() -> None:
    wanted = [one.wanted for one in asking.questions([profile_named("healthdcat-ap-r8-non-public")])]
    needed = ["healthdcat-ap-r8-non-public" in text.partition("R:")[0] for text in wanted]
    assert needed == sorted(needed, reverse=True) and any(needed) and not all(needed)


@pytest.mark.parametrize(
    ("field", "answer", "error"),
    [
        ("contact_email", "Dr. Doe", MalformedObject),
        ("planned_time_points", "three", MalformedObject),
        ("omics_held", "perhaps", MalformedObject),
        ("languages", "https://a.test; German", MalformedObject),
        ("conditions", "house fire", UnknownTerm),
    ],
)
def test_an_answer_of_another_form_is_refused(field: str, answer: str, error: type[Exception]) -> None:
    asked = {one.field: one for one in asking.questions(list(PROFILES.values()), optional=True)}
    with pytest.raises(error):
        asking.understood(asked[field], answer)
