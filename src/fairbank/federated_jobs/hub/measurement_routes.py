"""The hub's routes of the measurement database: parse, ask, write down who asked, answer."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse

from fairbank import audit
from fairbank.catalogue.accounts import Account, account
from fairbank.catalogue.context import Hub
from fairbank.database import reading, writing
from fairbank.federated_jobs.hub import measurements
from fairbank.federated_jobs.hub.measurement_files import FileFormat, as_csv, check_writable, write_parquet
from fairbank.federated_jobs.hub.measurements import LARGEST_PAGE, Question

_Text = Annotated[str | None, Query(max_length=500)]


def add(routes: APIRouter, hub: Hub) -> None:
    """Add the routes of the measurement database."""
    anybody = Depends(account(hub))

    @routes.get("/v1/measurements")
    def query_measurements(
        who: Account = anybody,
        dataset: _Text = None,
        tool: _Text = None,
        biomarker: _Text = None,
        job: _Text = None,
        after: _Text = None,
        limit: Annotated[int, Query(ge=1, le=LARGEST_PAGE)] = 100,
    ) -> Response:
        question = Question(dataset, tool, biomarker, job, after, limit)
        with reading(hub.engine) as session:
            page = measurements.page(hub, session, who.name, question)
        with writing(hub.engine) as session:
            audit.record(
                session,
                audit.HubAudit,
                clock=hub.clock,
                actor=who.name,
                act="measurements.query",
                target=job or dataset or "",
                detail={**_asked(question), "rows": len(page.measurements)},
            )
        return JSONResponse(
            {"schema": "measurements/1", "measurements": list(page.measurements), "next": page.following}
        )

    @routes.get("/v1/measurements/export")
    def export_measurements(
        who: Account = anybody,
        dataset: _Text = None,
        tool: _Text = None,
        biomarker: _Text = None,
        job: _Text = None,
        format: FileFormat = FileFormat.CSV,
    ) -> Response:
        check_writable(format)
        question = Question(dataset, tool, biomarker, job)
        with reading(hub.engine) as session:
            # What cannot be asked is refused before a file begins.
            measurements.page(hub, session, who.name, question)
        # Written down before anything is sent.
        with writing(hub.engine) as session:
            audit.record(
                session,
                audit.HubAudit,
                clock=hub.clock,
                actor=who.name,
                act="measurements.export",
                target=job or dataset or "",
                detail={**_asked(question), "format": format.value},
            )
        pages = measurements.pages(hub, who.name, question)
        headers = {"Content-Disposition": f'attachment; filename="measurements.{format.value}"'}
        if format is FileFormat.CSV:
            return StreamingResponse(as_csv(pages), media_type=format.media_type, headers=headers)
        handle, name = tempfile.mkstemp(dir=hub.blobs / "incoming", prefix="measurements-")
        os.close(handle)
        try:
            write_parquet(pages, Path(name))
        except BaseException:
            Path(name).unlink()
            raise
        return FileResponse(
            name, media_type=format.media_type, headers=headers, background=BackgroundTask(Path(name).unlink)
        )


def _asked(question: Question) -> dict[str, Any]:
    names = ("dataset", "tool", "biomarker", "job")
    return {name: value for name in names if (value := getattr(question, name))}
