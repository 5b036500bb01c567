"""What a researcher does with a request before and after it is sealed: from a file, piece by piece, by her own key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fairbank.catalogue.governance import amending, drafts
from fairbank.catalogue.governance.request_errors import NothingChanged, RequestFileUnreadable
from fairbank.errors import FairbankError, Kind
from fairbank.ontology.signed_objects import Request
from fairbank.web.api_client import HubApi

LARGEST_FILE_BYTES = 1_000_000


class SealedFileRefused(FairbankError):
    """The file into which a request is to be sealed cannot be made."""

    code = "FB-WEB-038"
    kind = Kind.REFUSED


def read_pieces(path: Path) -> dict[str, Any]:
    """Return the pieces of a draft that a YAML file names; pieces that are empty are left out.

    Raises:
        RequestFileUnreadable: if it cannot be read, or is no mapping of pieces.
    """
    import yaml

    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise _unreadable("it is larger than a request can be")
        read = yaml.load(path.read_text("utf-8"), Loader=_loader())  # noqa: S506  a safe loader, made below
    except OSError as err:
        raise _unreadable("it cannot be opened") from err
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as err:
        mark = getattr(err, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        raise _unreadable(f"it is no YAML{where}") from err
    if not isinstance(read, dict) or not all(isinstance(name, str) for name in read):
        raise _unreadable("it does not consist of names and what they say")
    return {name: value for name, value in read.items() if value is not None and value != []}


def begin(api: HubApi, pieces: Mapping[str, Any]) -> dict[str, Any]:
    """Begin a draft at the hub and return it with what it lacks."""
    return api.post("/v1/requests/drafts", {"schema": drafts.Draft.schema_name, **pieces}, signed_in=True)


def edit(api: HubApi, request: str, pieces: Mapping[str, Any]) -> dict[str, Any]:
    """Change pieces of a draft; None takes one out. Return the draft with what it lacks."""
    body = {"schema": drafts.Draft.schema_name, **pieces}
    return api.post(f"/v1/requests/{request}/draft", body, signed_in=True)


def attach(api: HubApi, request: str, path: Path, **said: str | None) -> dict[str, Any]:
    """Attach a file to a request and return what the hub made of it.

    Args:
        said: `kind`, `title` and `valid_until` of the evidence that it is.
    """
    given = {name: value for name, value in said.items() if value is not None}
    return api.upload(f"/v1/requests/{request}/documents", path, name=path.name, **given)


def seal_draft(api: HubApi, request: str) -> dict[str, Any]:
    """Seal a draft with the requester's key and submit it; return its id and state.

    Raises:
        DraftIncomplete: if something is missing without which there is no request.
    """
    return api.post("/v1/requests", _sealed_draft(api, request), signed_in=True)


def seal_to_file(api: HubApi, request: str, to: Path) -> Path:
    """Seal a draft with the requester's key into a new file, to be sent from its page.

    Raises:
        DraftIncomplete: if something is missing without which there is no request.
        SealedFileRefused: if the file cannot be made, or is there already.
    """
    sealed = _sealed_draft(api, request)
    try:
        with to.open("xb") as file:
            file.write(sealed)
    except OSError as err:
        raise SealedFileRefused(
            f"The sealed request was not written: {to.name} cannot be made.",
            why="It is written into a new file, so that nothing is lost.",
            todo="Name a file that does not exist, in a folder that you may write to.",
        ) from err
    return to


def amend(api: HubApi, request: str, pieces: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Seal a further version of a request, its newest with some pieces changed; return the answer and what changed.

    Where datasets were returned this submits them again; where they are granted they stay so meanwhile.

    Raises:
        NothingChanged: if the pieces say what the newest version says.
        DraftRefused: if a piece has no such name or not its form.
    """
    newest, digest = _newest(api, request)
    draft = drafts.changed(drafts.of_request(newest).fields(), dict(pieces))
    again = _request(api, draft, request, version=newest.version + 1, amends=digest)
    changes = amending.compare(newest, again)
    state = api.get(f"/v1/requests/{request}/progress", signed_in=True)
    returned = any("returned" in (leg["state"], leg["pending_state"]) for leg in state["legs"])
    if changes.nothing and not returned:
        raise NothingChanged(
            "The amendment says what the newest version says already.",
            why="A committee would have nothing to decide.",
            todo="Name what is to change, such as --until.",
        )
    answer = api.post("/v1/requests", again.seal(api.key()), signed_in=True)
    return answer, amending.sentences(changes)


def on_legs(api: HubApi, request: str, command: str, datasets: list[str], note: str) -> list[dict[str, Any]]:
    """Give a command to the legs of a request that can take it, or to those of some datasets; return them as they are.

    Without datasets, legs to which the command cannot be given are passed over.
    """
    legs = api.get(f"/v1/requests/{request}/progress", signed_in=True)["legs"]
    wanted = [leg for leg in legs if leg["dataset"] in datasets]
    if not datasets:
        wanted = [leg for leg in legs if command in leg["commands"]]
    body = {"schema": "command/1", "note": note}
    return [
        api.post(f"/v1/requests/{request}/legs/{leg['id']}/commands/{command}", body, signed_in=True)
        for leg in wanted
    ]


def listed(api: HubApi, what: str, most: int, **query: Any) -> list[dict[str, Any]]:
    """Return the rows of a list (requests, legs or grants), page by page, until there are enough."""
    rows: list[dict[str, Any]] = []
    after: str | None = None
    while len(rows) < most:
        page = api.get(
            f"/v1/lists/{what}", signed_in=True, limit=min(most - len(rows), 200), after=after, **query
        )
        rows += page[what]
        after = page["next"]
        if after is None:
            break
    return rows


def document(api: HubApi, request: str, digest: str, to: Path) -> Path:
    """Fetch a document of a request to a new file and check its digest."""
    return api.download(digest, to, path=f"/v1/requests/{request}/documents/{quote(digest)}")


def _sealed_draft(api: HubApi, request: str) -> bytes:
    view = api.get(f"/v1/requests/{request}/draft", signed_in=True)
    draft = drafts.Draft.parse(view["draft"])
    return _request(api, draft, request, version=1, amends=None).seal(api.key())


def _request(api: HubApi, draft: drafts.Draft, request: str, *, version: int, amends: str | None) -> Request:
    who, key = api.signer()
    return drafts.as_request(
        draft,
        request_id=request,
        account=str(who["account"]),
        organisation=str(who["organisation"]),
        key=key.key_id,
        version=version,
        amends=amends,
        created=api.clock.now(),
    )


def _newest(api: HubApi, request: str) -> tuple[Request, str]:
    """Return the newest version of one's own request and the digest of its payload, as it was sealed."""
    answer = api.get(f"/v1/requests/{request}", signed_in=True)
    envelope = json.dumps(answer["envelope"]).encode()
    # Her own signature, or an earlier key of hers: what is shown as changed is compared with what she signed.
    found, sealed = Request.open(envelope, trusted=None)
    return found, sealed.digest


def _loader() -> Any:
    """Return a loader that leaves dates as they are written: a request's moments are texts."""
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def _unreadable(reason: str) -> RequestFileUnreadable:
    return RequestFileUnreadable(
        f"The file of the request was not read: {reason}.",
        why="It is YAML, as 'fairbank request template' writes it.",
        todo="Correct it, or begin with a new template.",
    )
