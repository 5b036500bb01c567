"""Lists of models, one model, and a file that somebody brought."""

from __future__ import annotations

from tests.web.filled_hub import Filled
from tests.web.pages.asking import JSON, client_of, fields_of, told

from fairbank.catalogue import blobs


def test_a_model_is_for_its_owner_and_who_oversees_all_and_its_files_for_its_owner_alone(
    filled: Filled,
) -> None:
    address = f"/models/{filled.models['trained']}"
    assert {each["model"]["digest"] for each in told(filled, "rita", "/models")["rows"]} >= set(
        filled.models.values()
    )
    assert told(filled, "otto", "/models")["rows"] == [] == told(filled, "otto", "/models?show=all")["rows"]
    assert filled.client.get(address, headers={**filled.people["otto"].headers, **JSON}).status_code == 404
    mine, overseen = told(filled, "rita", address), told(filled, "ursula", address)
    assert all(each["address"] for each in mine["files"]) and not any(
        each["address"] for each in overseen["files"]
    )
    assert overseen["moves"] == [] and [each["state"] for each in mine["moves"]] == ["withdrawn"]
    for file in mine["files"]:
        assert filled.client.get(file["address"], headers=filled.people["rita"].headers).status_code == 200


def test_a_card_says_what_was_off_first_and_who_does_worst(filled: Filled) -> None:
    card = told(filled, "rita", f"/models/{filled.models['trained']}")["card"]
    assert [each["on"] for each in card["protections"]] == sorted(each["on"] for each in card["protections"])
    assert (card["metric"], card["worst"]) == ("accuracy", "beta")
    assert [each["title"] for each in card["figures"]] == [
        "accuracy at each biobank",
        "accuracy by age",
        "accuracy by sex",
    ]
    assert {(each["then"], each["now"]) for each in card["made_from"]} == {(1, 1)}


def test_a_withdrawn_subject_asks_for_another_training_and_what_was_released_is_told(filled: Filled) -> None:
    again = told(filled, "rita", f"/models/{filled.models['trained again']}")
    assert (again["before"]["updates"], again["before"]["files"]) == (10, 10) and again["withdrawn"]
    assert told(filled, "rita", f"/models/{filled.models['trained']}")["withdrawn"] is None
    marked = {
        each["model"]["digest"]: each["model"]["withdrawn"]
        for each in told(filled, "rita", "/models")["rows"]
    }
    assert {digest for digest, day in marked.items() if day} == {filled.models["trained again"]}


def test_a_damaged_file_is_named_and_cannot_be_fetched(kept: Filled) -> None:
    digest = kept.models["trained"]
    path = blobs.path_of(kept.hub, digest)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"!")
    try:
        page = client_of(kept, "rita").get(f"/models/{digest}").text
        assert "A file is not the one that the card names" in page and f"/v1/blobs/{digest}" not in page
        metrics = next(
            each for each in told(kept, "rita", f"/models/{digest}")["files"] if each["name"] == "metrics"
        )
        assert metrics["address"], "the other file is whole"
    finally:
        path.write_bytes(whole)


def test_its_owner_withdraws_a_model_once_and_its_files_are_handed_to_nobody(kept: Filled) -> None:
    digest, client = kept.models["trained"], client_of(kept, "rita")
    address = f"/models/{digest}"
    form = fields_of(client.get(address).text, act="move", holding="withdrawn")
    stale = fields_of(client.get(address).text, act="move", holding="withdrawn")
    refused = client.post(address, data={**form, "state": "released"})
    assert refused.status_code == 422 and "does not say where the model shall go" in refused.text
    for _ in range(2):
        assert client.post(address, data=form).headers["location"] == address
    assert client.post(address, data=stale).status_code == 409
    page = client.get(address).text
    assert "Withdrawn" in page and f"/v1/blobs/{digest}" not in page
    assert client.get(f"/v1/blobs/{digest}").status_code == 404


def test_a_file_that_was_brought_has_a_page_for_who_brought_it(kept: Filled) -> None:
    made = kept.call("rita", "POST", "/v1/model-files?name=lungs.onnx&format=onnx", b"\x08\x07made up")
    (row,) = told(kept, "rita", "/models")["brought"]
    said = told(kept, "rita", row["address"])
    assert (said["title"], said["files"][0]["digest"], said["files"][0]["look"]) == (
        "lungs.onnx",
        made["digest"],
        "good",
    )
    assert kept.client.get(row["address"], headers={**kept.people["otto"].headers, **JSON}).status_code == 404
