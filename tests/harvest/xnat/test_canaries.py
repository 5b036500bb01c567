"""What identifies somebody is planted wherever an archive keeps it, and comes out nowhere."""

from __future__ import annotations

import logging
import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from fairbank.harvest.errors import HarvestError
from fairbank.harvest.xnat_standin.faults import Fault, Faults, Trouble

# Words that nothing else contains, one for each place where an archive keeps something about somebody.
WORDS = {
    "patient": "Qzpatient",
    "name": "Qzname",
    "birth": "19010203",
    "accession": "Qzaccession",
    "operator": "Qzoperator",
    "referrer": "Qzreferrer",
    "place": "Qzplace",
    "station": "Qzstation",
    "study": "Qzstudy",
    "series": "Qzseries",
    "protocol": "Qzprotocol",
    "comment": "Qzcomment",
    "note": "Qznote",
    "variable": "Qzvariable",
    "answer": "Qzanswer",
    "quality": "Qzquality",
    "validator": "Qzvalidator",
    "file": "Qzfile",
    "label": "Qzlabel",
    "title": "Qztitle",
    "waiting": "Qzwaiting",
    "script": "Qzscript",
    "folder": "QZFOLDER",
}


@pytest.fixture
def planted(dicom_root: Path) -> Path:
    """An archive of one project in whose every field stands a word that must stay there."""
    folder = dicom_root / WORDS["folder"]
    folder.mkdir()
    dataset = pydicom.dcmread(dicom_root / "LIVER" / "in0" / "0.dcm")
    for keyword, word in {
        "PatientID": "patient",
        "PatientName": "name",
        "AccessionNumber": "accession",
        "OperatorsName": "operator",
        "ReferringPhysicianName": "referrer",
        "InstitutionName": "place",
        "StationName": "station",
        "StudyDescription": "study",
        "SeriesDescription": "series",
        "ProtocolName": "protocol",
        "PatientComments": "comment",
        "StudyComments": "comment",
    }.items():
        setattr(dataset, keyword, WORDS[word])
    dataset.PatientBirthDate = WORDS["birth"]
    dataset.save_as(folder / f"{WORDS['file']}.dcm")
    (folder / f"{WORDS['file']}.gif").write_bytes(b"GIF89a")
    (folder / "project.toml").write_text(
        f"""
        title = "{WORDS["title"]}"
        anonymisation = {{ script = "{WORDS["script"]}", enabled = true }}
        prearchive = [{{ subject = "{WORDS["waiting"]}", name = "{WORDS["waiting"]}" }}]
        shares = [{{ study = "{dataset.StudyInstanceUID}", into = "BRAIN", label = "{WORDS["label"]}" }}]
        [[subjects]]
        patient = "{WORDS["patient"]}"
        fields = {{ x = "{WORDS["variable"]}" }}
        forms = {{ f1 = {{ q = "{WORDS["answer"]}" }} }}
        [[sessions]]
        study = "{dataset.StudyInstanceUID}"
        note = "{WORDS["note"]}"
        acquisition_site = "{WORDS["place"]}"
        validation = {{ status = "{WORDS["validator"]}", validated_by = "{WORDS["validator"]}" }}
        [[scans]]
        series = "{dataset.SeriesInstanceUID}"
        quality = "{WORDS["quality"]}"
        note = "{WORDS["note"]}"
        resources = [{{ label = "{WORDS["label"]}", files = ["{WORDS["file"]}.gif"] }}]
        """,
        encoding="utf-8",
    )
    for other in ("LIVER", "BRAIN"):
        shutil.rmtree(dicom_root / other)
    (dicom_root / "BRAIN").mkdir()
    return dicom_root


def _found(text: str) -> list[str]:
    lowered = text.lower()
    return [place for place, word in WORDS.items() if word.lower() in lowered]


def _said(source: Any, into: Path) -> Iterator[object]:
    """Yield all that comes back from the source and may be printed; where a step fails, its error."""
    steps = [
        source.check,
        lambda: list(source.describe(WORDS["folder"], source.snapshot(WORDS["folder"]).items)),
        lambda: source.deid_facts(WORDS["folder"]),
        lambda: source.accessibility(WORDS["folder"]),
        lambda: source.waiting(WORDS["folder"]),
        lambda: list(source.custom_variables(WORDS["folder"])),
        lambda: list(source.fetch(WORDS["folder"], source.snapshot(WORDS["folder"]).items[0], into)),
        lambda: source.snapshot(WORDS["patient"]),
    ]
    for step in steps:
        try:
            yield step()
        except (HarvestError, IndexError) as err:
            yield "".join(traceback.format_exception_only(err)) + repr(err)


def test_the_words_are_really_in_what_the_archive_answers(xnat: Any, planted: Path) -> None:
    import httpx

    source = xnat.source()
    session = source.snapshot(WORDS["folder"]).items[0].local_id.split("/")[0]
    login = ("reader", "reader")
    texts = [
        httpx.get(f"{xnat.url}{path}", params={"format": "json"}, auth=login).text
        for path in (
            f"/data/experiments/{session}",
            f"/data/projects/{WORDS['folder']}",
            f"/data/projects/{WORDS['folder']}/subjects/{WORDS['patient']}",
            f"/data/prearchive/projects/{WORDS['folder']}",
            f"/data/experiments/{session}/scans/ALL/files",
            f"/xapi/anonymize/projects/{WORDS['folder']}",
            f"/xapi/custom-fields/projects/{WORDS['folder']}/subjects/{WORDS['patient']}/fields",
        )
    ]
    # XNAT writes a birth date with dashes, and reads neither these three.
    unread = {"birth", "referrer", "comment"}
    assert set(_found("".join(texts))) >= set(WORDS) - unread
    assert "1901-02-03" in "".join(texts)


@pytest.mark.parametrize("trouble", [None, *Trouble])
def test_no_word_comes_out_of_a_harvest_whatever_goes_wrong(
    xnat: Any, planted: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path, trouble: Trouble | None
) -> None:
    caplog.set_level(logging.DEBUG)
    into = tmp_path / "into"
    into.mkdir()
    faults = Faults(Fault(trouble, after=4), sleep=lambda _: None) if trouble else None
    source = xnat.source(faults=faults)
    said = list(_said(source, into))
    source.close()
    # The local id of an item and the file on this machine are the node's own; a container is what a curator named.
    printed = "\n".join(repr(each) for each in said).replace(str(into), "").replace(WORDS["folder"], "")
    assert _found(printed) == []
    assert _found(caplog.text) == []
    assert xnat.url.removeprefix("http://") not in printed + caplog.text
    if trouble is None:
        assert "SeriesDescription(" in printed
        assert "archive_quality='other'" in printed


def _page(request: Request) -> Response | None:
    return (
        HTMLResponse("".join(f"<html>{word}" for word in WORDS.values()))
        if "JSESSION" not in str(request.url)
        else None
    )


def _nonsense(request: Request) -> Response | None:
    return (
        None
        if "JSESSION" in str(request.url)
        else PlainTextResponse('{"items": [{"data_fields": "Qzname"}]}')
    )


@pytest.mark.parametrize("interrupt", [_page, _nonsense])
def test_no_word_of_an_answer_that_is_none_comes_out(
    xnat: Any, planted: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path, interrupt: Any
) -> None:
    from fairbank.harvest.sources.xnat import XnatSource
    from fairbank.harvest.xnat_standin.app import create_app

    caplog.set_level(logging.DEBUG)
    into = tmp_path / "into"
    into.mkdir()
    with xnat.serving(create_app(planted, site=xnat.site, interrupt=interrupt)) as url:
        source: XnatSource = xnat.again(url=url)
        said = "\n".join(map(repr, _said(source, into)))
        source.close()
    assert _found(said.replace(WORDS["folder"], "")) == []
    assert _found(caplog.text) == []
