"""The stand-in's import service: a ZIP of DICOM becomes part of a session, and is written into the project's folder.

Source: wiki.xnat.org, "Image Session Upload": `POST /data/services/import`, `import-handler=DICOM-zip`. Files that a
session has are left as they are with `overwrite=append`, and replaced with `overwrite=delete`.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pydicom
from fastapi import HTTPException
from pydicom.errors import InvalidDicomError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from fairbank.harvest.xnat_standin.site import Site, User

IMPORTED = "imported"
_LABEL = re.compile(r"[\w-]{1,64}")


def take_in(root: Path, site: Site, user: User, request: Request, content: bytes) -> Response:
    """Import a ZIP as a user and answer with the address of the session.

    Raises:
        HTTPException: as the archive answers what it does not take.
    """
    asked = request.query_params
    if asked.get("import-handler") != "DICOM-zip" or asked.get("inbody") != "true":
        raise HTTPException(400)
    project, subject, session = (asked.get(name, "") for name in ("PROJECT_ID", "SUBJECT_ID", "EXPT_LABEL"))
    if not all(_LABEL.fullmatch(label) for label in (project, subject, session)):
        raise HTTPException(400)
    folder = root / project
    if not folder.is_dir():
        raise HTTPException(404)
    if not user.stores or (user.projects is not None and project not in user.projects):
        raise HTTPException(site.hidden_status if not user.stores and user.projects else 403)
    if asked.get("overwrite") not in ("append", "delete"):
        raise HTTPException(409)
    _unpack(content, folder / IMPORTED / subject / session, replace=asked["overwrite"] == "delete")
    address = f"/data/archive/projects/{project}/subjects/{subject}/experiments/{session}"
    return PlainTextResponse(f"{address}\r\n")


def _unpack(content: bytes, into: Path, *, replace: bool) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            found = [packed.read(member) for member in packed.infolist() if not member.is_dir()]
    except zipfile.BadZipFile as err:
        raise HTTPException(400) from err
    into.mkdir(parents=True, exist_ok=True)
    for each in found:
        try:
            header = pydicom.dcmread(io.BytesIO(each), stop_before_pixels=True)
        except InvalidDicomError:
            continue
        # As an archive names them: by what is in them, not as they came.
        path = into / f"{header.SeriesInstanceUID}-{header.SOPInstanceUID}.dcm"
        if replace or not path.exists():
            path.write_bytes(each)
