"""A small REDCap server: one POST address, contents of its API, tokens, rights, and errors as it says them.

Records are flat rows with events and repeats; `dateRangeBegin` picks whole records that changed since, as the real one
does; deletions are found in the log only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

TOKEN = "0123456789ABCDEF0123456789ABCDEF"


@dataclass
class RedcapFake:
    """What the project holds: fields, rows with the moment they changed, and its log.

    Attributes:
        asked: the parameters of every request, without the token.
        may_read_log: whether the token's user has the right to see the log.
    """

    metadata: list[dict[str, Any]]
    rows: list[dict[str, Any]] = field(default_factory=list)
    changed: dict[str, datetime] = field(default_factory=dict)
    log: list[dict[str, str]] = field(default_factory=list)
    asked: list[dict[str, str]] = field(default_factory=list)
    may_read_log: bool = True
    broken: str = ""

    def put(self, *rows: dict[str, Any], at: datetime) -> None:
        for row in rows:
            self.rows.append(row)
            self.changed[row["record_id"]] = at

    def delete(self, record: str, at: datetime) -> None:
        self.rows = [row for row in self.rows if row["record_id"] != record]
        self.log.append(
            {
                "timestamp": at.strftime("%Y-%m-%d %H:%M"),
                "username": "curator",
                "action": f"Delete record {record}",
                "details": "",
                "record": record,
            }
        )

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/api/")
        async def api(request: Request) -> Response:
            asked = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
            token = asked.pop("token", "")
            self.asked.append(asked)
            if self.broken:
                return PlainTextResponse(self.broken, media_type="text/html")
            if token != TOKEN:
                said = "You do not have permissions to use the API"
                return JSONResponse({"error": said}, status_code=403)
            return self._answer(asked)

        return app

    def _answer(self, asked: dict[str, str]) -> Response:
        match asked["content"]:
            case "metadata":
                return JSONResponse(self.metadata)
            case "version":
                return PlainTextResponse("14.5.2")
            case "log":
                if not self.may_read_log:
                    said = "You do not have Logging privileges"
                    return JSONResponse({"error": said}, status_code=403)
                begin = asked.get("beginTime", "")[:16]
                return JSONResponse([row for row in self.log if row["timestamp"] >= begin])
            case "record":
                return self._records(asked)
        return JSONResponse({"error": 'The value of the parameter "content" is not valid'}, status_code=400)

    def _records(self, asked: dict[str, str]) -> Response:
        fields = [value for key, value in asked.items() if key.startswith("fields[")]
        known = {one["field_name"] for one in self.metadata}
        if unknown := [name for name in fields if name not in known]:
            said = f'The following values in the parameter "fields" are not valid: {unknown}'
            return JSONResponse({"error": said}, status_code=400)
        rows = self.rows
        if begin := asked.get("dateRangeBegin"):
            after = datetime.strptime(begin, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            rows = [row for row in rows if self.changed[row["record_id"]] >= after]
        kept = {"redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance"}
        return JSONResponse(
            [
                {
                    name: value
                    for name, value in row.items()
                    if name in kept or name.partition("___")[0] in fields
                }
                for row in rows
            ]
        )
