"""The file in which a curator says what no machine can find out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairbank.ontology.data_use_limits import DataUseLimits
from fairbank.ontology.errors import MalformedObject, UnknownTerm
from fairbank.ontology.profiles import curator_file
from fairbank.ontology.profiles.listing import PROFILES
from fairbank.ontology.stewardship import Guideline, Organisation, Stewardship

PARTS = (Organisation, Guideline, DataUseLimits)


def test_an_untouched_template_says_nothing() -> None:
    assert curator_file.read(curator_file.template()) == Stewardship()


def test_a_template_offers_every_field_once_and_names_profiles_that_there_are() -> None:
    text = curator_file.template()
    offered = re.findall(r"^# (\w+) = ", text, re.M)
    tables = re.findall(r"^# \[(\w+)\]$", text, re.M)
    assert sorted(
        [*set(offered) - {name for part in PARTS for name in part.model_fields}, *tables]
    ) == sorted(Stewardship.model_fields)
    named = {
        name
        for line in re.findall(r"^# [MRO]: .*$", text, re.M)
        for name in re.findall(r"[a-z0-9.-]{7,}", line)
    }
    assert named and named <= set(PROFILES)


def test_a_template_says_what_must_be_given_only_where_it_must() -> None:
    lines = re.findall(r"^# ([MRO]: .*)\n# \[?(\w+)", curator_file.template(), re.M)
    by_field = {field: words for words, field in lines}
    assert by_field["hdab"].startswith("M: eucaim-dcat-ap-2.0, healthdcat-ap-r8-non-public")
    assert by_field["custodian"].startswith("R: ")


def test_conditions_are_taken_by_word_name_or_code_and_kept_as_words() -> None:
    text = (
        'conditions = ["Lungenkrebs", "MONDO:0005233", "melanoma"]\nbiomarkers = ["suv"]\nomics_held = false'
    )
    assert curator_file.read(text) == Stewardship(
        conditions=("lung-cancer", "non-small-cell-lung-cancer", "melanoma"),
        biomarkers=("suv",),
        omics_held=False,
    )


def test_the_example_in_the_how_to_is_read() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "describe-a-dataset.md"
    examples = re.findall(r"^```toml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)
    said, limits = (curator_file.read(example) for example in examples)
    assert limits.data_use_limits is not None
    assert said.conditions == ("non-small-cell-lung-cancer", "copd")
    assert said.annotation_guideline is not None and said.health_records_held is False


@pytest.mark.parametrize(
    ("text", "place", "near"),
    [
        ('conditions = ["melanoma", "lung cancr"]', "conditions.1", "lung-cancer"),
        ('biomarkers = ["suvs"]', "biomarkers.0", "suv"),
        ('conditions = ["Jane Doe"]', "conditions.0", "none"),
    ],
)
def test_a_word_that_is_in_no_list_is_refused_with_those_that_look_like_it(
    text: str, place: str, near: str
) -> None:
    with pytest.raises(UnknownTerm) as refused:
        curator_file.read(text)
    assert place in refused.value.what and near in refused.value.why
    assert "Jane" not in str(refused.value)


def test_a_filled_in_template_is_read() -> None:
    text = """
    contact_email = "data@alpha.test"
    purposes = ["https://w3id.org/dpv#ResearchAndDevelopment"]
    retained_until = 2040
    [hdab]
    name = "Access body"
    page = "https://body.test/apply?for=data#form"
    """
    assert curator_file.read(text) == Stewardship(
        contact_email="data@alpha.test",
        purposes=("https://w3id.org/dpv#ResearchAndDevelopment",),
        retained_until=2040,
        hdab=Organisation(name="Access body", page="https://body.test/apply?for=data#form"),
    )


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("contact_email = ", "not TOML"),
        ('contact = "me"', "contact"),
        ('contact_email = "nobody"', "contact_email"),
        ('landing_page = "ftp://alpha.test"', "landing_page"),
        ('landing_page = "https://alpha.test/a b"', "landing_page"),
        ('landing_page = "https://alpha.test/[1]"', "landing_page"),
        ("retained_from = 2020-01-01", "retained_from"),
        ('temporal_resolution = "one day"', "temporal_resolution"),
        ('hdab = "Access body"', "hdab"),
        ('[hdab]\nemail = "a@b.test"', "hdab.name"),
        ('conditions = "lung-cancer"', "conditions"),
        ("conditions = [3]", "conditions.0"),
        ('omics_held = "yes"', "omics_held"),
        ('planned_follow_up = "one day"', "planned_follow_up"),
        ('[annotation_guideline]\npage = "https://a.test"', "annotation_guideline.title"),
    ],
)
def test_what_is_wrong_is_refused_by_name_and_never_repeated(text: str, named: str) -> None:
    with pytest.raises(MalformedObject) as refused:
        curator_file.read(text)
    assert named in refused.value.what
    assert not any(value in str(refused.value) for value in ("nobody", "a b", "one day", "ftp:"))


def test_the_values_of_data_use_codes_are_read_and_diseases_may_be_named_by_word() -> None:
    said = curator_file.read(
        '[data_use_limits]\ndiseases = ["Lung cancer", "MONDO:9999999"]\ncountries = ["AT", "EEA"]\nmonths = 24\n'
    ).data_use_limits
    assert said == DataUseLimits(
        diseases=("MONDO:0008903", "MONDO:9999999"), countries=("AT", "EEA"), months=24
    )


@pytest.mark.parametrize(
    "line", ['countries = ["Austria"]', 'no_publication_before = "2027-13"', "months = 0", 'users = ["A B"]']
)
def test_a_value_of_another_form_is_refused_by_its_name(line: str) -> None:
    with pytest.raises(MalformedObject, match="data_use_limits." + line.partition(" ")[0]):
        curator_file.read(f"[data_use_limits]\n{line}\n")


def test_a_disease_that_nobody_knows_is_not_guessed() -> None:
    with pytest.raises(UnknownTerm):
        curator_file.read('[data_use_limits]\ndiseases = ["long cancer"]\n')
