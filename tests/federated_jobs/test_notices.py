"""The site's people are told of a job that waits for them: once, again while it waits, and when its time is over."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from fairbank.database import reading
from fairbank.federated_jobs.errors import NotApproved
from fairbank.federated_jobs.node.notices import FILE_NAME, look
from fairbank.federated_jobs.node.store import ReviewRow


@pytest.fixture
def fed(start):
    return start("east")


@pytest.fixture
def site(fed):
    return fed.sites["east"]


def told(site) -> list[dict[str, str]]:
    path = site.node.settings.home / FILE_NAME
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def arrived(fed) -> str:
    job = fed.submit(fed.manifest(fed.visa()))
    fed.settle()
    return job


def test_a_job_that_waits_is_told_once_and_again_after_some_days(fed, site):
    job = arrived(fed)
    look(site.node)
    assert [(one["kind"], one["job"], one["tool"]) for one in told(site)] == [("waiting", job, "noop")]
    assert (site.node.settings.home / FILE_NAME).stat().st_mode & 0o077 == 0
    fed.clock.advance(timedelta(days=2).total_seconds())
    assert look(site.node) == []
    fed.clock.advance(timedelta(days=1).total_seconds())
    assert [one.kind.value for one in look(site.node)] == ["reminder"]
    assert look(site.node) == []


def test_a_job_whose_deadline_has_passed_is_over_at_the_site(fed, site):
    job = arrived(fed)
    fed.clock.advance(timedelta(days=31).total_seconds())
    assert [one.kind.value for one in look(site.node)] == ["expired"]
    with reading(site.node.engine) as session:
        row = session.get_one(ReviewRow, job)
        assert (row.state, row.reason, row.ended) == ("expired", "approval_deadline", True)
    with pytest.raises(NotApproved):
        site.approve(job)
    assert look(site.node) == []


def test_a_notice_that_cannot_be_written_holds_up_nothing_and_is_tried_again(fed, site):
    path = site.node.settings.home / FILE_NAME
    path.mkdir()
    arrived(fed)  # the agent goes on
    assert look(site.node) == []
    path.rmdir()
    assert [one.kind.value for one in look(site.node)] == ["waiting"]


def test_what_was_decided_is_not_told(fed, site):
    job = arrived(fed)
    site.approve(job)
    fed.clock.advance(timedelta(days=5).total_seconds())
    assert look(site.node) == []


def test_a_program_is_given_the_notice_and_one_that_fails_holds_up_nothing(fed, site, tmp_path: Path):
    target = tmp_path / "given"
    program = tmp_path / "program.py"
    program.write_text(
        f"import sys, pathlib; pathlib.Path({str(target)!r}).write_text(sys.stdin.read()); sys.exit(3)"
    )
    command = f"{sys.executable} {program}"
    arrived(fed)
    settings = replace(site.node.settings, node_notice_program=command, node_remind_days=1)
    node = replace(site.node, settings=settings)
    fed.clock.advance(timedelta(days=1).total_seconds())
    (notice,) = look(node)
    given = json.loads(target.read_text())
    assert (given["schema"], given["job"], given["kind"]) == ("notice/1", notice.job, "reminder")
    for program in (str(tmp_path / "absent"), 'no "end'):
        absent = replace(node, settings=replace(settings, node_notice_program=program))
        fed.clock.advance(timedelta(days=1).total_seconds())
        assert len(look(absent)) == 1
