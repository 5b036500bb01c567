"""What somebody can start a job from: her grants that hold, what is left of them, and the tools that each allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import grants
from fairbank.catalogue.governance.grant_names import titles
from fairbank.catalogue.governance.store import RequestRow
from fairbank.clock import parse_iso
from fairbank.federated_jobs.code import Tool, tools
from fairbank.federated_jobs.container_tools import container_tool
from fairbank.federated_jobs.errors import VisaRefused
from fairbank.federated_jobs.hub import runs, tool_registry
from fairbank.federated_jobs.manifest import tool_within
from fairbank.federated_jobs.tool_review import ToolState
from fairbank.ontology.signed_objects import GrantedDataset, Visa
from fairbank.ontology.tools import ToolManifest
from fairbank.signing import Sealed


@dataclass(frozen=True, slots=True)
class GrantedNow:
    """A collection that a grant covers now.

    Attributes:
        runs_left: how many jobs may still be sent.
    """

    terms: GrantedDataset
    title: str
    node: str
    runs_left: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class Startable:
    """A grant of somebody's that holds; `sealed` is its visa."""

    id: str
    request: str
    title: str
    requester_key: str
    sealed: Sealed
    datasets: tuple[GrantedNow, ...]


@dataclass(frozen=True, slots=True)
class Usable:
    """A tool that a grant allows on some of its collections.

    Attributes:
        reviewed: the registry has accepted this very version.
    """

    tool: Tool
    reviewed: bool
    datasets: tuple[str, ...]


def startable(hub: Hub, session: Session, who: Account, *, limit: int = 50) -> tuple[Startable, ...]:
    """Return the grants of somebody's own requests that hold, newest first."""
    now = hub.clock.now()
    named = [each.visa_id for each in grants.holding(session, who.name, now=now, limit=limit)]
    found = [grants.grant_named(session, who, each, now=now) for each in named]
    return tuple(_startable(hub, session, each) for each in found if each is not None and each.holds)


def startable_named(hub: Hub, session: Session, who: Account, visa_id: str) -> Startable:
    """Return one grant to start a job from.

    Raises:
        VisaRefused: if there is none, it is somebody else's, or it does not hold.
    """
    grant = grants.grant_named(session, who, visa_id, now=hub.clock.now())
    if grant is None or not grant.holds or grant.account != who.name:
        raise VisaRefused(
            "There is no permit of this name to start a job from.",
            why="It was never given to you, it has ended, or it is paused.",
            todo="Choose one of those that hold, or ask for access.",
        )
    return _startable(hub, session, grant)


def usable(session: Session, who: Account, grant: Startable) -> tuple[Usable, ...]:
    """Return the tools that a grant allows and that have not been revoked: the installed ones, then containers."""
    found = []
    for tool, reviewed in _known(session, who):
        on = tuple(each.terms.iri for each in grant.datasets if tool_within(tool, each.terms))
        if on:
            found.append(Usable(tool, reviewed, on))
    return tuple(found)


def _known(session: Session, who: Account) -> list[tuple[Tool, bool]]:
    rows = tool_registry.versions(session, who)
    revoked = {row.code for row in rows if row.state == ToolState.REVOKED.value}
    accepted = {(row.name, row.version, row.code) for row in rows if row.accepted is not None}
    found = [
        (tool, (tool.name, tool.version, tool.digest) in accepted)
        for tool in tools()
        if tool.digest not in revoked
    ]
    names = {tool.name for tool in tools()}
    for row in rows:
        if row.accepted is None or row.code in revoked or row.name in names:
            continue
        manifest, _ = ToolManifest.open_own(row.manifest)
        if manifest.container is not None:
            found.append((container_tool(manifest), True))
            names.add(row.name)
    return found


def _startable(hub: Hub, session: Session, grant: grants.Grant) -> Startable:
    visa, sealed = Visa.open(grant.envelope, trusted=None)
    used: Mapping[tuple[str, str], int] = runs.counted(session, (grant.request_id,))
    named = titles(session, grant.datasets)
    return Startable(
        id=grant.visa_id,
        request=grant.request_id,
        title=session.get_one(RequestRow, grant.request_id).title,
        requester_key=visa.requester_key,
        sealed=sealed,
        datasets=tuple(
            GrantedNow(
                terms=each,
                title=named[each.iri],
                node=each.iri.removeprefix(f"{hub.base_iri}/datasets/").partition("/")[0],
                runs_left=max(0, each.maximum_runs - used.get((grant.request_id, each.iri), 0)),
                expires=parse_iso(each.expires),
            )
            for each in visa.datasets
            if each.iri in grant.datasets
        ),
    )
