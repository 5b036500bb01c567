"""De-identified series go to an XNAT project and to a DICOMweb archive, whole, once, and only if they may."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from tests.deid.corpus.damaged_part import series_of_studies
from tests.harvest.servers import PASSWORD, USER, Orthanc, lacking_orthanc

from fairbank.audit import NodeAudit
from fairbank.database import reading, writing
from fairbank.deid.admitted import EVERYBODY
from fairbank.deid.cleaning import Order
from fairbank.deid.faces.store import FaceSeriesRow
from fairbank.deid.folder_groups import groups_under
from fairbank.deid.identity import IDENTITY_FILE, IdentityStore
from fairbank.deid.method import Method
from fairbank.deid.pipeline import Site as DeidSite
from fairbank.deid.pipeline import deidentify_series
from fairbank.deid.research_store import ResearchStore
from fairbank.errors import Sensitive
from fairbank.harvest.errors import (
    BadDefinition,
    CannotReceive,
    SourceForbidden,
    SourceLoginRefused,
    SourceUnreachable,
)
from fairbank.harvest.pushing.destination import Destination
from fairbank.harvest.pushing.leaving import may_leave
from fairbank.harvest.pushing.opening import open_destination
from fairbank.harvest.pushing.outgoing import OutgoingSeries, outgoing
from fairbank.harvest.pushing.push import Push, Pushed, State
from fairbank.harvest.pushing.stow import DicomwebDestination
from fairbank.harvest.pushing.xnat import XnatDestination, session_label
from fairbank.harvest.sources.opening import add_source
from fairbank.harvest.sources.pace import Politeness
from fairbank.harvest.sources.protocol import SourceKind
from fairbank.harvest.xnat_standin.app import create_app
from fairbank.harvest.xnat_standin.site import Site, User
from fairbank.release.node import Node

FAST = Politeness(requests_per_s=10_000, tries=2)
STORER, READER = User("storer", "secret", stores=True), User("reader", "reader")
SECRET = Sensitive("secret", reference="password")


@dataclasses.dataclass
class Biobank:
    """A node with de-identified series."""

    node: Node
    store: ResearchStore
    identity: IdentityStore

    @property
    def series(self) -> list[OutgoingSeries]:
        return outgoing(self.node.engine, self.store, "thorax")

    def push(self, to: Destination, **more: object) -> list[Pushed]:
        defaults = {"called": ("research", "THORAX"), "may_leave": lambda project, series: True}
        return list(Push(self.node, "thorax", to, identity=self.identity, **defaults | more).run(self.series))

    def files(self) -> list[Path]:
        return list(self.store.files("thorax"))


@pytest.fixture
def biobank(node: Node, tmp_path: Path) -> Biobank:
    incoming = tmp_path / "incoming"
    for file in series_of_studies(7, 1, 2):
        if "mixed" not in file.name:
            path = incoming / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
    node.settings.home.mkdir(exist_ok=True)
    identity = IdentityStore.open_or_create(node.settings.home / IDENTITY_FILE, clock=node.clock)
    store = ResearchStore(node.settings.store_path)
    site = DeidSite(identity, store, node.engine, node.clock)
    order = Order("thorax", Method())
    groups = groups_under(incoming, identity)
    done = list(deidentify_series(groups, order, site=site, agent="curator", admitted=EVERYBODY))
    assert len([one for one in done if one.path]) == len(done) == 12
    return Biobank(node, store, identity)


class Research:
    """A research XNAT with an empty project."""

    def __init__(self, root: Path, serve: Callable[[object], AbstractContextManager[str]]) -> None:
        self.root = root
        (root / "THORAX").mkdir(parents=True)
        self.site = Site(users=(STORER, READER))
        self.broken: Callable[[Request], Response | None] = lambda request: None
        self._open = ExitStack()
        app = create_app(root, recheck_s=0, site=self.site, interrupt=lambda request: self.broken(request))
        self.url = self._open.enter_context(serve(app))

    def to(self, user: User = STORER, project: str = "THORAX") -> XnatDestination:
        password = Sensitive(user.password, reference="password")
        to = XnatDestination(self.url, user.name, password, project=project, manners=FAST)
        self._open.callback(to.close)
        return to

    def held(self) -> dict[str, Path]:
        return {pydicom.dcmread(path).SOPInstanceUID: path for path in self.root.rglob("*.dcm")}

    def imports(self) -> int:
        return sum("services/import" in asked.path for asked in self.site.log)

    def close(self) -> None:
        self._open.close()


@pytest.fixture
def research(tmp_path: Path, serve: Callable[[object], AbstractContextManager[str]]) -> Iterator[Research]:
    archive = Research(tmp_path / "research", serve)
    yield archive
    archive.close()


def states(results: list[Pushed]) -> Counter[State]:
    return Counter(result.state for result in results)


def test_an_xnat_gets_each_file_as_it_lies_in_the_store(biobank: Biobank, research: Research) -> None:
    results = biobank.push(research.to())
    assert states(results) == {State.SENT: len(biobank.series)}
    assert sum(result.sent for result in results) == 12
    ours = {pydicom.dcmread(path).SOPInstanceUID: path for path in biobank.files()}
    held = research.held()
    assert held.keys() == ours.keys()
    assert all(held[uid].read_bytes() == ours[uid].read_bytes() for uid in ours)


def test_sessions_are_called_by_pseudonyms_only(biobank: Biobank, research: Research) -> None:
    biobank.push(research.to())
    folders = {path.parent.name for path in research.root.rglob("*.dcm")}
    assert folders == {session_label(series) for series in biobank.series}
    assert all(label.startswith(biobank.series[0].subject) for label in folders)
    names = " ".join(asked.path + asked.query for asked in research.site.log)
    originals = {file.subject for file in series_of_studies(7, 1, 2)}
    assert not any(subject in names for subject in originals)


def test_pushing_again_sends_nothing_and_fetches_nothing(biobank: Biobank, research: Research) -> None:
    biobank.push(research.to())
    imports = research.imports()
    research.site.log.clear()
    assert states(biobank.push(research.to())) == {State.UNCHANGED: len(biobank.series)}
    assert imports and not research.imports()
    assert not [asked for asked in research.site.log if "format=zip" in asked.query]


def test_without_receipts_what_is_there_is_compared_and_not_sent(
    biobank: Biobank, research: Research
) -> None:
    biobank.push(research.to())
    imports = research.imports()
    (receipts,) = (biobank.node.settings.home / "pushed").iterdir()
    receipts.unlink()
    assert states(biobank.push(research.to())) == {State.UNCHANGED: len(biobank.series)}
    assert research.imports() == imports


def test_a_push_goes_on_where_it_was_killed(biobank: Biobank, research: Research) -> None:
    work = Push(
        biobank.node, "thorax", research.to(), ("research", "THORAX"), biobank.identity, lambda *_: True
    )
    running = work.run(biobank.series)
    next(running)
    running.close()
    (receipts,) = (biobank.node.settings.home / "pushed").iterdir()
    receipts.write_text(receipts.read_text()[:-10])  # killed while it wrote a line
    counted = states(biobank.push(research.to()))
    assert counted == {State.UNCHANGED: 1, State.SENT: len(biobank.series) - 1}


def test_what_the_archive_lost_is_sent_again(biobank: Biobank, research: Research) -> None:
    biobank.push(research.to())
    next(iter(research.held().values())).unlink()
    results = biobank.push(research.to())
    assert states(results) == {State.SENT: 1, State.UNCHANGED: len(biobank.series) - 1}
    assert sum(result.sent for result in results) == 1
    assert len(research.held()) == 12


def test_what_was_changed_at_the_archive_is_replaced(biobank: Biobank, research: Research) -> None:
    biobank.push(research.to())
    (biobank.node.settings.home / "pushed").joinpath(
        next((biobank.node.settings.home / "pushed").iterdir()).name
    ).unlink()
    uid, path = next(iter(research.held().items()))
    dataset = pydicom.dcmread(path)
    dataset.KVP = "7"
    dataset.save_as(path)
    assert states(biobank.push(research.to()))[State.REPLACED] == 1
    assert pydicom.dcmread(research.held()[uid]).get("KVP") != "7"


def test_a_rehearsal_changes_nothing(biobank: Biobank, research: Research) -> None:
    assert states(biobank.push(research.to(), rehearse=True)) == {State.WOULD_SEND: len(biobank.series)}
    assert not research.imports() and not research.held()
    assert not (biobank.node.settings.home / "pushed").exists()
    assert _pushes(biobank.node) == []


def test_what_may_not_leave_stays(biobank: Biobank, research: Research) -> None:
    kept = biobank.series[0]
    results = biobank.push(research.to(), may_leave=lambda project, series: series != kept.series_uid)
    assert states(results)[State.MAY_NOT_LEAVE] == 1
    assert not {file.sop_uid for file in kept.files} & research.held().keys()


@pytest.mark.parametrize("change", ["altered", "missing", "stray"])
def test_what_was_not_verified_stays(change: str, biobank: Biobank, research: Research) -> None:
    series = biobank.series[0]
    path = series.files[0].path
    if change == "altered":
        path.write_bytes(path.read_bytes()[:-2] + b"\1\1")
    elif change == "missing":
        path.unlink()
    else:
        path.with_name("1.2.3.dcm").write_bytes(path.read_bytes())
    results = biobank.push(research.to())
    assert states(results) == {State.NOT_VERIFIED: 1, State.SENT: len(biobank.series) - 1}
    assert not {file.sop_uid for file in series.files} & research.held().keys()


def test_one_refused_series_does_not_stop_the_rest(biobank: Biobank, research: Research) -> None:
    refused: list[str] = []

    def broken(request: Request) -> Response | None:
        if "services/import" in request.url.path and not refused:
            refused.append(request.url.path)
            return Response(status_code=422)
        return None

    research.broken = broken
    results = biobank.push(research.to())
    assert states(results) == {State.FAILED: 1, State.SENT: len(biobank.series) - 1}
    (failed,) = [result for result in results if result.error]
    assert failed.error is not None and failed.error.code == "FB-HARV-030"


def test_an_archive_that_alters_what_it_takes_is_told(biobank: Biobank, research: Research) -> None:
    """A project's own anonymisation script may still run: what is there then is not what was sent."""
    work = Push(
        biobank.node, "thorax", research.to(), ("research", "THORAX"), biobank.identity, lambda *_: True
    )
    send = work.destination.send

    def altering(series, files, *, replace):
        send(series, files, replace=replace)
        for path in research.root.rglob("*.dcm"):
            dataset = pydicom.dcmread(path)
            dataset.PatientComments = "altered"
            dataset.save_as(path)

    work.destination.send = altering  # type: ignore[method-assign]
    assert set(states(list(work.run(biobank.series)))) == {State.DIFFERS}


def test_who_may_not_store_is_told(biobank: Biobank, research: Research) -> None:
    with pytest.raises(SourceForbidden, match="store"):
        biobank.push(research.to(READER))
    with pytest.raises(SourceLoginRefused):
        biobank.push(research.to(User("nobody", "x")))
    assert not research.held()


def test_a_push_is_audited_also_if_it_breaks_off(biobank: Biobank, research: Research) -> None:
    biobank.push(research.to())
    (entry,) = _pushes(biobank.node)
    assert entry.target == "thorax"
    assert entry.detail == {"to": "research", "into": "THORAX", "sent": len(biobank.series)}
    research.close()
    with pytest.raises(SourceUnreachable):
        biobank.push(research.to())
    assert len(_pushes(biobank.node)) == 2


def test_archives_are_opened_as_the_node_knows_them(
    biobank: Biobank, research: Research, secret_file: Path
) -> None:
    node = biobank.node
    add_source(node, "x", kind=SourceKind.XNAT, location=research.url, user="storer", secret_file=secret_file)
    add_source(node, "w", kind=SourceKind.DICOMWEB, location="http://127.0.0.1:9/dicom-web")
    add_source(node, "f", kind=SourceKind.FOLDER, location=str(research.root))
    open_destination(node, "x", into="THORAX").close()
    open_destination(node, "w", into="").close()
    for name, into in (("x", ""), ("w", "THORAX")):
        with pytest.raises(BadDefinition):
            open_destination(node, name, into=into)
    with pytest.raises(CannotReceive):
        open_destination(node, "f", into="")


@pytest.fixture
def empty_orthanc(orthanc: Orthanc) -> Orthanc:
    orthanc.clear()
    return orthanc


orthanc_only = [
    pytest.mark.orthanc,
    pytest.mark.skipif(lacking_orthanc() is not None, reason=str(lacking_orthanc())),
]


class TestDicomweb:
    pytestmark = orthanc_only

    def to(self, server: Orthanc) -> DicomwebDestination:
        return DicomwebDestination(
            server.dicomweb, USER, Sensitive(PASSWORD, reference="password"), manners=FAST
        )

    def test_an_archive_gets_each_instance_once(self, biobank: Biobank, empty_orthanc: Orthanc) -> None:
        results = biobank.push(self.to(empty_orthanc), called=("web", ""))
        assert states(results) == {State.SENT: len(biobank.series)}
        assert empty_orthanc.get("/statistics")["CountInstances"] == 12
        again = biobank.push(self.to(empty_orthanc), called=("web", ""))
        assert states(again) == {State.UNCHANGED: len(biobank.series)}

    def test_without_receipts_nothing_is_sent_again(self, biobank: Biobank, empty_orthanc: Orthanc) -> None:
        biobank.push(self.to(empty_orthanc), called=("web", ""))
        results = biobank.push(self.to(empty_orthanc), called=("web", "other"))
        assert states(results) == {State.UNCHANGED: len(biobank.series)}

    def test_a_deleted_series_is_sent_again(self, biobank: Biobank, empty_orthanc: Orthanc) -> None:
        biobank.push(self.to(empty_orthanc), called=("web", ""))
        empty_orthanc.delete_series(biobank.series[1].series_uid)
        counted = states(biobank.push(self.to(empty_orthanc), called=("web", "")))
        assert counted == {State.SENT: 1, State.UNCHANGED: len(biobank.series) - 1}

    def test_other_content_that_the_archive_keeps_is_told(
        self, biobank: Biobank, empty_orthanc: Orthanc, tmp_path: Path
    ) -> None:
        path = biobank.series[0].files[0].path
        dataset = pydicom.dcmread(BytesIO(path.read_bytes()))
        dataset.SliceThickness = "77"
        dataset.save_as(tmp_path / "other.dcm")
        empty_orthanc.load([tmp_path / "other.dcm"])
        results = biobank.push(self.to(empty_orthanc), called=("web", ""))
        assert states(results) == {State.DIFFERS: 1, State.SENT: len(biobank.series) - 1}

    def test_a_wrong_password_stops_the_push(self, biobank: Biobank, empty_orthanc: Orthanc) -> None:
        wrong = DicomwebDestination(
            empty_orthanc.dicomweb, USER, Sensitive("wrong", reference="password"), manners=FAST
        )
        with pytest.raises(SourceLoginRefused):
            biobank.push(wrong)


def test_the_command_pushes_and_counts(biobank: Biobank, research: Research, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from fairbank.cli.main import app

    secret = tmp_path / "storer.secret"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    add_source(
        biobank.node,
        "research",
        kind=SourceKind.XNAT,
        location=research.url,
        user="storer",
        secret_file=secret,
    )
    home = ["--home", str(biobank.node.settings.home)]
    asked = ["deid", "push", "thorax", "--to", "research", "--into", "THORAX", "--format", "json"]
    for expected in ("series sent", "series unchanged"):
        result = CliRunner().invoke(app, [*home, *asked])
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)[expected] == len(biobank.series)


def _pushes(node: Node) -> list[NodeAudit]:
    with reading(node.engine) as session:
        return list(session.scalars(select(NodeAudit).where(NodeAudit.act == "series.push")))


def test_a_face_and_what_nobody_has_looked_at_do_not_leave(
    biobank: Biobank, research: Research, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, unseen, *rest = [one.series_uid for one in biobank.series]
    with writing(biobank.node.engine) as session:
        row = session.get_one(FaceSeriesRow, ("thorax", shown))
        row.head = row.in_situ = True
        session.delete(session.get_one(FaceSeriesRow, ("thorax", unseen)))
    may = may_leave(biobank.node)
    assert {one: may("thorax", one) for one in (shown, unseen, *rest)} == {
        shown: False,
        unseen: False,
        **dict.fromkeys(rest, True),
    }
    assert not may("other", rest[0])
    results = biobank.push(research.to(), may_leave=may)
    assert states(results)[State.SENT] == len(rest) and len(results) == len(rest) + 2
    sent = {pydicom.dcmread(path).SeriesInstanceUID for path in research.held().values()}
    assert sent == set(rest)
