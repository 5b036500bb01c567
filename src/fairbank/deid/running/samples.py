"""A sample of the outputs for people to look at: how many, which, what was found, and what follows.

What follows is reckoned in `verification/sampling.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fairbank.clock import Clock, iso
from fairbank.deid.errors import NoSuchGroup
from fairbank.deid.reports.summary import Sampling
from fairbank.deid.running.journal import Journal
from fairbank.deid.verification.sampling import CONFIDENCE, drawn, files_to_review, share_at_most


@dataclass(frozen=True, slots=True)
class Sample:
    """Outputs that were drawn, relative to the output folder."""

    number: int
    outputs: tuple[str, ...]


def draw(journal: Journal, agent: str, clock: Clock) -> Sample:
    """Draw a sample of the outputs, anew each time, and note it. Whoever has no key cannot foretell what is drawn."""
    number = 1 + len(journal.select("select number from samples"))
    by_item = {row.item: str(row.output) for row in journal.cleaned()}
    chosen = drawn(by_item, files_to_review(len(by_item)), seed=str(number))
    outputs = tuple(sorted(by_item[item] for item in chosen))
    told = json.dumps({"population": len(by_item), "outputs": outputs})
    with journal.writing():
        journal.execute("insert into samples values (?,?,?,?)", number, told, agent, iso(clock.now()))
    return Sample(number, outputs)


def last_sample(journal: Journal) -> Sample | None:
    """Return the sample that was drawn last."""
    row = _last(journal)
    return None if row is None else Sample(row["number"], tuple(json.loads(row["drawn"])["outputs"]))


def record_look(journal: Journal, outputs: tuple[str, ...], agent: str, clock: Clock, *, clean: bool) -> int:
    """Note what was seen in files of the last sample; return how many of it were not looked at yet.

    Raises:
        NoSuchGroup: if there is no sample, or a file was not drawn.
    """
    sample = last_sample(journal)
    if sample is None or not set(outputs) <= set(sample.outputs):
        raise NoSuchGroup(
            "Not all of these files were drawn." if sample else "No sample was drawn yet.",
            why="What is said of all files holds only if chance has chosen which are looked at.",
            todo="Draw one with 'fairbank deid review sample', and name files as it lists them.",
        )
    at = iso(clock.now())
    with journal.writing():
        for output in outputs:
            journal.execute(
                "insert into looks (sample, output, clean, agent, at) values (?,?,?,?,?)",
                sample.number,
                output,
                int(clean),
                agent,
                at,
            )
    return len(unseen(journal))


def unseen(journal: Journal) -> list[str]:
    """Return the files of the last sample that nobody has looked at."""
    sample = last_sample(journal)
    if sample is None:
        return []
    seen = {row["output"] for row in _looks(journal, sample.number)}
    return [output for output in sample.outputs if output not in seen]


def sampling_of(journal: Journal) -> Sampling | None:
    """Return what the last sample tells; None if none was drawn."""
    row = _last(journal)
    if row is None:
        return None
    told = json.loads(row["drawn"])
    looks = _looks(journal, row["number"])
    return sampling_told(
        told["population"], len(told["outputs"]), [(one["clean"], one["agent"]) for one in looks]
    )


def sampling_told(population: int, drawn_files: int, looks: Sequence[tuple[bool, str]]) -> Sampling:
    """Return what looks at a sample tell.

    Args:
        population: files that the sample was drawn from.
        drawn_files: how many were drawn.
        looks: of each file that was looked at whether it was clean, and who looked.
    """
    failed = sum(not clean for clean, _ in looks)
    bound = share_at_most(len(looks), bad=failed, population=population) if looks else None
    return Sampling(
        population=population,
        drawn=drawn_files,
        looked_at=len(looks),
        failed=failed,
        confidence=CONFIDENCE,
        upper_bound=bound,
        agents=tuple(sorted({agent for _, agent in looks})),
    )


def _looks(journal: Journal, sample: int) -> list[dict[str, Any]]:
    """Return the last look at each file of a sample."""
    query = (
        "select * from looks where number in"
        " (select max(number) from looks where sample = ? group by output) order by output"
    )
    return journal.select(query, sample)


def _last(journal: Journal) -> dict[str, Any] | None:
    found = journal.select("select * from samples order by number desc limit 1")
    return found[0] if found else None
