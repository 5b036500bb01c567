"""The pure rules of jobs: states, update notes, addresses of datasets, seeds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from fairbank.federated_jobs.errors import NotesUnreadable, StateRefused
from fairbank.federated_jobs.manifest import dataset_iri, node_of
from fairbank.federated_jobs.protocol import Claim, Renew, SiteStateReport
from fairbank.federated_jobs.states import (
    ACTIVE_SITES,
    ENDED_JOBS,
    JOB_MOVES,
    SITE_MOVES,
    JobEvent,
    JobState,
    SiteEvent,
    SiteState,
    move,
)
from fairbank.federated_jobs.update_notes import annotate, notes_of
from fairbank.release import tensors
from fairbank.release.control import ControlMessage

_END = {SiteState.REJECTED, SiteState.EXPIRED, SiteState.WITHHELD, SiteState.FAILED}


def test_a_site_that_dropped_out_moves_again_only_if_what_failed_is_tried_again():
    assert {move for move in SITE_MOVES if move[0] in _END} == {(SiteState.FAILED, SiteEvent.RETRY)}
    assert SITE_MOVES[SiteState.FAILED, SiteEvent.RETRY] is SiteState.QUEUED
    assert not ACTIVE_SITES & _END


def test_every_state_of_a_site_can_be_reached():
    assert {SiteState.PENDING_REVIEW, *SITE_MOVES.values()} == set(SiteState)


def test_a_job_that_is_over_moves_again_only_if_what_failed_is_tried_again():
    assert {move for move in JOB_MOVES if move[0] in ENDED_JOBS} == {(JobState.FAILED, JobEvent.RETRY)}
    with pytest.raises(StateRefused):
        move(JOB_MOVES, JobState.COMPLETED, JobEvent.CANCEL)


@given(st.lists(st.sampled_from(list(SiteEvent)), max_size=30))
def test_no_row_of_events_brings_a_site_to_work_without_an_approval(events):
    state, approved = SiteState.PENDING_REVIEW, False
    for event in events:
        try:
            state = move(SITE_MOVES, state, event)
        except StateRefused:
            continue
        approved = approved or event is SiteEvent.APPROVE
        assert approved or state in _END | {SiteState.PENDING_REVIEW}


@pytest.mark.parametrize("message", [Claim, Renew, SiteStateReport])
def test_what_a_node_says_about_jobs_is_a_control_message(message):
    assert issubclass(message, ControlMessage)


def test_notes_come_back_and_the_tensors_are_untouched(tmp_path):
    source, target = tmp_path / "a", tmp_path / "b"
    weights = {"w": np.arange(7, dtype=np.float32), "b": np.ones((2, 3), dtype=np.float32)}
    save_file(weights, source)
    annotate(source, {"n_train": 12, "after_loss": 0.25, "before_loss": 1e-05}, to=target)
    assert notes_of(target) == {"n_train": 12.0, "after_loss": 0.25, "before_loss": 1e-05}
    for name, found in load_file(target).items():
        np.testing.assert_array_equal(found, weights[name])
    with safe_open(target, framework="np") as opened:
        assert opened.metadata()["n_train"] == "12"
    assert tensors.problems(target, None) == []


@given(
    st.dictionaries(
        st.sampled_from(["n_train", "n_heldout"])
        | st.from_regex(r"(before|after)_[a-z_]{1,20}", fullmatch=True),
        st.integers(0, 10**6) | st.floats(-1e6, 1e6),
        max_size=6,
    )
)
def test_equal_notes_give_equal_bytes_that_the_gate_takes(tmp_path_factory, notes):
    folder = tmp_path_factory.mktemp("notes")
    save_file({"w": np.ones(3, dtype=np.float32)}, folder / "a")
    one = annotate(folder / "a", notes, to=folder / "b").read_bytes()
    other = annotate(folder / "b", dict(reversed(notes.items())), to=folder / "c").read_bytes()
    assert one == other
    assert tensors.problems(folder / "c", None) == []


def test_what_is_no_safetensors_file_has_no_notes(tmp_path):
    (tmp_path / "a").write_bytes(b"\x80\x04pickle, or worse")
    with pytest.raises(NotesUnreadable):
        notes_of(tmp_path / "a")


@pytest.mark.parametrize(
    "iri",
    [
        "http://other.test/datasets/a/b",
        "http://hub.test/datasets/a",
        "http://hub.test/datasets/a/b/c",
        "http://hub.test/datasets//b",
    ],
)
def test_an_address_that_is_no_dataset_of_the_hub_names_no_node(iri):
    assert node_of(iri, "http://hub.test") is None


def test_the_address_of_a_dataset_names_its_node():
    assert node_of(dataset_iri("http://hub.test", "north", "ct"), "http://hub.test") == ("north", "ct")
