"""The files that a hub merged for a job, read by their names."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

from fairbank.web.api_client import HubApi

TABLE = "table.json"
RESULT = "result.json"
LEFT_OUT = "exclusions.csv"


def result_text(api: HubApi, job: str, name: str) -> str | None:
    """Return the text of a job's file of the last round that has it, None if there is none.

    Raises:
        JobNotFound: if the account has no such job.
    """
    files = api.get(f"/v1/jobs/{job}/results", signed_in=True)["files"]
    digest = next((one["digest"] for one in reversed(files) if one["name"] == name), None)
    if digest is None:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        return api.download(digest, Path(scratch) / name).read_text(encoding="utf-8")


def left_out(api: HubApi, job: str) -> list[dict[str, str]]:
    """Return what the sites left out of an analysis: site, reason, series and subjects; nothing if they did not.

    Numbers are text: `<10` where a site does not tell one. `other-reasons` are those that are not told one by one.
    """
    return list(csv.DictReader(io.StringIO(result_text(api, job, LEFT_OUT) or "")))
