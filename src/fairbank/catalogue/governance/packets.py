"""The meeting file: all that waits for a committee in one HTML file that needs nothing else, by due date.

It holds what a member sees of each entry: request, purpose, evidence with digests, how the purpose fits the terms of
use, the terms proposed, votes so far, what is missing to a quorum, conflicts. Entries that the reader may not take part
in are left out, and the file says how many.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from fairbank.catalogue.accounts import Account
from fairbank.catalogue.context import Hub
from fairbank.catalogue.governance import markup, membership, reviews
from fairbank.catalogue.plain_page import framed
from fairbank.clock import iso

MOST_ENTRIES = 500


def packet(session: Session, hub: Hub, who: Account, committee_id: str) -> dict[str, Any]:
    """Return what a committee has to decide, for programs.

    Raises:
        CommitteeNotFound: if there is none, or she neither sits on it nor sees all.
    """
    now = hub.clock.now()
    committee = membership.find_visible(session, who, committee_id, now)
    wanted = reviews.Wanted(committee=committee.id, limit=MOST_ENTRIES)
    rows = reviews.listing(session, who, wanted, now=now)
    open_to_her = [row["id"] for row in rows if row["conflict"] is None]
    return {
        "schema": "packet/1",
        "made": iso(now),
        "committee": reviews.committee_in_full(session, committee, now=now),
        "left_out": len(rows) - len(open_to_her),
        "entries": [
            reviews.in_full(session, who, reviews.find(session, who, leg, now=now), now=now)
            for leg in open_to_her
        ],
    }


def as_html(made: dict[str, Any]) -> str:
    """Return a packet as one HTML file of its own."""
    committee, entries = made["committee"], made["entries"]
    title = f"{committee['title']}: {len(entries)} to decide"
    parts = [markup.heading(title, level=1), markup.fields(_about(made))]
    if made["left_out"]:
        parts.append(markup.paragraph(f"{made['left_out']} left out, in which the reader may not take part."))
    parts.append(
        markup.table(("", "due", "request", "dataset", "data use", "votes", "missing"), _index(entries))
    )
    for number, entry in enumerate(entries, start=1):
        parts += _entry(number, entry)
    return framed(title, parts, alone=True)


def _about(made: dict[str, Any]) -> dict[str, str]:
    committee = made["committee"]
    return {
        "Made": made["made"],
        "Stage": committee["stage"],
        "Quorum": str(committee["quorum"]) + (", four eyes" if committee["four_eyes"] else ""),
        "Members": ", ".join(
            each["account"] + (" (chair)" if each["chair"] else "") for each in committee["members"]
        ),
        "Stand-ins": ", ".join(
            each["account"] + (f" for {each['stands_for']}" if each["stands_for"] else "")
            for each in committee["substitutes"]
        ),
    }


def _index(entries: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            str(number),
            _day(entry["due"]) + (" overdue" if entry["overdue"] else ""),
            entry["title"],
            entry["dataset_title"] or entry["dataset"],
            entry["verdict"],
            votes_in_words(entry["votes"]),
            str(entry["gap"]),
        )
        for number, entry in enumerate(entries, start=1)
    ]


def _entry(number: int, entry: dict[str, Any]) -> list[str]:
    asked = entry["asked"]
    parts = [
        markup.heading(f"{number}. {entry['title']}"),
        markup.fields(
            {
                "Entry": entry["id"],
                "Request": f"{entry['request']}, version {entry['version']}",
                "Dataset": f"{entry['dataset_title'] or ''} ({entry['dataset']})",
                "Asked by": f"{entry['account']}, {asked['organisation']}",
                "Due": _day(entry["due"]) + (" overdue" if entry["overdue"] else ""),
                **_purpose(asked),
            }
        ),
    ]
    parts += _section("People", markup.items(_person(each) for each in asked["people"]))
    parts += _section(
        "Evidence",
        markup.table(
            ("kind", "title", "file or reference", "digest"), (_paper(each) for each in asked["evidence"])
        ),
    )
    parts += _section(
        f"Data use: {entry['verdict']}",
        markup.table(
            ("code", "term", "verdict", "why"),
            ((each["code"], each["label"], each["verdict"], each["reason"]) for each in _explained(entry)),
        ),
    )
    parts += _section(
        "Carried by earlier stages",
        markup.items(f"{each['stage']}: {_terms(each['terms'])}" for each in entry["carried_before"]),
    )
    proposal = entry["proposal"]
    parts += _section(
        "Proposed terms",
        markup.paragraph(f"{_terms(proposal['terms'])} (by {proposal['made_by']})")
        if proposal is not None
        else markup.paragraph("None yet."),
    )
    missing = f", {entry['gap']} missing to the quorum of {entry['needed']}" if entry["gap"] else ""
    parts += _section(
        f"Votes: {votes_in_words(entry['votes']) or 'none'}{missing}",
        markup.table(
            ("member", "may vote", "vote", "comment", "closeness"), (_seat(each) for each in entry["seats"])
        ),
    )
    if not entry["can_decide"]:
        parts.append(
            markup.paragraph(
                "No decision can be reached: too few can vote. The chair can appoint a substitute."
            )
        )
    return parts


def votes_in_words(votes: dict[str, int] | None) -> str:
    """Return numbers of votes as people write them.

    >>> votes_in_words({"approve": 2, "decline": 0, "return": 1, "abstain": 0})
    '2 approve, 1 return'
    """
    return ", ".join(f"{number} {word}" for word, number in (votes or {}).items() if number)


def _section(title: str, content: str) -> list[str]:
    return [markup.heading(title, level=3), content] if content else []


def _purpose(asked: dict[str, Any]) -> dict[str, str]:
    purpose = asked["purpose"]
    return {
        "Project": asked.get("project") or "",
        "Purpose": purpose["statement"],
        "Data use asked for": ", ".join(purpose["data_use"]),
        "Diseases": ", ".join(purpose["diseases"]),
        "Commercial": "yes" if purpose["commercial"] else "no",
        "Outputs": ", ".join(asked["output_classes"]),
        "Until": _day(asked["until"]),
        "Datasets of the request": f"{asked['datasets']}, at least {asked['minimum_datasets']} needed",
        "Country": asked.get("country") or "",
        "Funding": "; ".join(asked["funding"]),
        "Publication plan": asked.get("publication_plan") or "",
    }


def _person(person: dict[str, Any]) -> str:
    return f"{person['name']}, {person['organisation']} ({person['role']})"


def _paper(paper: dict[str, Any]) -> tuple[str, str, str, str]:
    held = paper["file"] or paper.get("reference") or ""
    until = f", valid until {_day(paper['valid_until'])}" if paper.get("valid_until") else ""
    return (paper["kind"], paper["title"] + until, held, paper.get("digest") or "")


def _explained(entry: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {name: str(each.get(name, "")) for name in ("code", "label", "verdict", "reason")}
        for each in entry["match"]
    ]


def _seat(seat: dict[str, Any]) -> tuple[str, ...]:
    vote = seat["vote"]
    return (
        seat["member"] + (" (chair)" if seat["chair"] else ""),
        ", ".join(seat["may_vote"]) or f"nobody: {seat['barred'] or 'the account is shut'}",
        f"{vote['word']}{'' if vote['by'] == seat['member'] else ' by ' + vote['by']}" if vote else "",
        vote["comment"] if vote else "",
        ", ".join(f"same institution: {name}" for name in seat["same_institution"]),
    )


def _terms(terms: dict[str, Any]) -> str:
    said = [f"until {_day(terms['until'])}", f"at most {terms['maximum_runs']} runs"]
    for name, words in (
        ("output_classes", "outputs"),
        ("tool_families", "tools"),
        ("tool_digests", "tools by digest"),
        ("conditions", "conditions"),
    ):
        if terms[name]:
            said.append(f"{words}: {', '.join(terms[name])}")
    if terms.get("agreement"):
        said.append(
            f"agreement “{terms['agreement']['title']}”, checked by {terms['agreement']['countersigner']}"
        )
    return "; ".join(said)


def _day(moment: str | None) -> str:
    return moment[:10] if moment else ""
