"""Whatever the order of rows and the rights of the user: three clients see the same, and the source proves it whole."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import pytest
from fastapi import HTTPException
from httpx import Headers

from fairbank.harvest.errors import ColumnsLeftOut, QueryRefused
from fairbank.harvest.sources.polite import Answer
from fairbank.harvest.sources.protocol import Snapshot
from fairbank.harvest.sources.xnat import XnatSource
from fairbank.harvest.sources.xnat_tables import Query, read_table
from fairbank.harvest.xnat_standin import tables
from fairbank.harvest.xnat_standin.faults import Fault, Faults, Trouble
from fairbank.harvest.xnat_standin.site import Site, User

SEEDS = [1, 2, 3, 4, 5, *[pytest.param(seed, marks=pytest.mark.long) for seed in range(6, 56)]]
# Somebody who is a member of one project only, and does not see its radiographs.
MEMBER = User(
    "member", "member", projects=frozenset({"LIVER"}), hidden_types=frozenset({"xnat:crSessionData"})
)

Listing = dict[str, Counter[str]]


def _truth(xnat: Any) -> Listing:
    series = {str(each.SeriesInstanceUID) for each in xnat.headers("LIVER") if each.Modality != "CR"}
    return {"LIVER": Counter(series)}


def _as_xnatpy_sees(url: str) -> Listing:
    import xnat

    seen: Listing = {}
    with xnat.connect(url, user=MEMBER.name, password=MEMBER.password, loglevel=logging.ERROR) as connection:
        for project in connection.projects.values():
            found = seen.setdefault(project.id, Counter())
            for subject in project.subjects.values():
                for session in subject.experiments.values():
                    found.update(scan.uid for scan in session.scans.values())
    return seen


def _as_pyxnat_sees(url: str) -> Listing:
    import pyxnat

    seen: Listing = {}
    interface = pyxnat.Interface(server=url, user=MEMBER.name, password=MEMBER.password)
    for project in interface.select.projects():
        rows = interface.array.scans(
            project_id=project.id(),
            experiment_type="xnat:imageSessionData",
            scan_type="xnat:imageScanData",
            columns=["xnat:imageScanData/UID"],
        ).data
        seen[project.id()] = Counter(row["xnat:imagescandata/uid"] for row in rows)
    interface.disconnect()
    return seen


def _as_we_see(source: XnatSource) -> Listing:
    seen: Listing = {}
    for container in source.list_containers():
        snapshot = source.snapshot(container.id)
        assert snapshot.complete
        described = [each.description for each in source.describe(container.id, snapshot.items)]
        seen[container.id] = Counter(each.series_uid.reveal() for each in described if each is not None)
        assert len(described) == len(snapshot.items)
    return seen


@pytest.mark.parametrize("seed", SEEDS)
def test_three_clients_see_the_same_in_any_order_of_rows(xnat: Any, seed: int) -> None:
    xnat.site.users = (MEMBER,)
    xnat.site.seed = seed
    source = xnat.source(user=MEMBER)
    assert _as_we_see(source) == _as_xnatpy_sees(xnat.url) == _as_pyxnat_sees(xnat.url) == _truth(xnat)


@pytest.mark.parametrize("cap", [1, 3, 7, 100])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_listing_that_comes_in_pages_only_is_put_together_whole(seed: int, cap: int) -> None:
    site = Site(users=(), seed=seed, star=False, always_pages=True, page_cap=cap)
    rows = [{"id": f"E{number:02d}", "label": "x"} for number in range(20)]
    table = read_table(_paging(rows, site), Query("/data/experiments", ("ID", "label")), archive="archive")
    assert sorted(row["id"] for row in table.rows) == [row["id"] for row in rows if _readable(row)]
    assert table.whole


def _readable(row: dict[str, str]) -> bool:
    return int(row["id"][1:]) % 3 != 0


def _paging(rows: list[dict[str, str]], site: Site, note: Any = lambda _: None) -> Any:
    """Return what asks the stand-in's own tables, without a server in between."""

    def ask(path: str, query: dict[str, str], read: Any) -> Any:
        note(query)
        try:
            answer = tables.answer(rows, query, default=("ID",), site=site, readable=_readable)
        except HTTPException as err:
            raise QueryRefused(str(err.status_code)) from err
        return read(Answer(200, Headers(), bytes(answer.body)))

    return ask


@pytest.mark.long
@pytest.mark.parametrize("cap", [3, 100])
@pytest.mark.parametrize("seed", range(1, 6))
def test_pages_over_the_network_are_put_together_whole(xnat: Any, seed: int, cap: int) -> None:
    xnat.site.users = (MEMBER,)
    xnat.site.seed, xnat.site.always_pages, xnat.site.star, xnat.site.page_cap = seed, True, False, cap
    assert _as_we_see(xnat.source(user=MEMBER)) == _truth(xnat)


def _items(snapshot: Snapshot) -> set[str]:
    return {item.local_id for item in snapshot.items}


def test_pages_in_a_steady_order_need_three_passes_only() -> None:
    asked: list[dict[str, str]] = []
    site = Site(users=(), star=False, always_pages=True, page_cap=7)
    rows = [row for number in range(21) if _readable(row := {"id": f"E{number:02d}"})]
    table = read_table(_paging(rows, site, note=asked.append), Query("/data", ("ID",)), archive="archive")
    assert (len(table.rows), table.whole) == (14, True)
    # A refused star and an answer without a total, then three passes of two full pages and two empty ones.
    assert [query.get("offset") for query in asked] == [None, None, *["0", "7", "14", "21"] * 3]


def test_a_row_that_vanishes_between_pages_is_found_again() -> None:
    answers = iter(range(10**6))
    rows = [{"id": f"E{number:02d}"} for number in range(20)]
    site = Site(users=(), star=False, always_pages=True, page_cap=10)
    whole, short = _paging(rows, site), _paging(rows[2:], site)

    def ask(path: str, query: dict[str, str], read: Any) -> Any:
        return (short if next(answers) in (3, 4) else whole)(path, query, read)

    table = read_table(ask, Query("/data/experiments", ("ID",)), archive="archive")
    assert (len(table.rows), table.whole) == (13, True)


def test_a_session_that_the_joined_table_lost_is_read_by_itself(xnat: Any) -> None:
    whole = xnat.source().snapshot("LIVER")
    # One scan of the session of one scan, so that the session as a whole is missing from the table.
    gone = Faults(*[Fault(Trouble.VANISHING_ROW, where="/data/experiments", times=1)])
    source = xnat.source(faults=gone)
    source.list_containers()
    found = source.snapshot("LIVER")
    assert _items(found) == _items(whole)
    assert {item.files for item in found.items} == {item.files for item in whole.items}


def test_a_session_added_while_pages_are_read_is_there_at_the_latest_next_time(xnat: Any) -> None:
    source = xnat.source()
    before = _items(source.snapshot("LIVER"))
    (xnat.root / "LIVER" / "new.dcm").write_bytes((xnat.root / "BRAIN" / "in0" / "0.dcm").read_bytes())
    after = _items(source.snapshot("LIVER"))
    assert before < after
    (xnat.root / "LIVER" / "new.dcm").unlink()
    assert _items(source.snapshot("LIVER")) == before


def _answering(rows: str, total: str = "") -> Any:
    def ask(path: str, query: dict[str, str], read: Any) -> Any:
        return read(Answer(200, Headers(), f'{{"ResultSet": {{"Result": [{rows}]{total}}}}}'.encode()))

    return ask


def test_a_column_that_was_left_out_is_an_error_and_not_a_loss() -> None:
    query = Query(
        "/data/experiments", ("ID", "xnat:imageScanData/ID"), needed=("id", "xnat:imagescandata/id")
    )
    with pytest.raises(ColumnsLeftOut, match="1 of the columns"):
        read_table(_answering('{"ID": "1"}', ', "totalRecords": "1"'), query, archive="archive")


def test_a_total_that_is_not_reached_makes_a_listing_incomplete() -> None:
    table = read_table(
        _answering('{"ID": "1"}', ', "totalRecords": "2"'),
        Query("/data/projects", ("ID",)),
        archive="archive",
    )
    assert (len(table.rows), table.whole) == (1, False)


def test_a_shared_session_is_listed_once_in_each_project_and_flagged(xnat: Any) -> None:
    study = next(each.StudyInstanceUID for each in xnat.headers("LIVER") if each.Modality == "CR")
    xnat.say("LIVER", f'shares = [{{ study = "{study}", into = "BRAIN", label = "borrowed" }}]')
    source = xnat.source()
    snapshots = {name: source.snapshot(name) for name in ("LIVER", "BRAIN")}
    common = _items(snapshots["LIVER"]) & _items(snapshots["BRAIN"])
    assert len(common) == 1
    assert max(Counter(item.local_id for item in snapshots["BRAIN"].items).values()) == 1
    flags = {}
    for name, snapshot in snapshots.items():
        for each in source.describe(name, [item for item in snapshot.items if item.local_id in common]):
            assert each.description is not None
            flags[name] = each.description.shared
    assert flags == {"LIVER": False, "BRAIN": True}
