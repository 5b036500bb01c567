"""Tables and framed pictures of a report; every picture says what its numbers were made from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from fairbank.charts.figure import Figure
from fairbank.federated_jobs.training_record import TrainingRecord


def label(record: TrainingRecord) -> str:
    """Return a tag that says what the numbers of a training were made from."""
    return f"<span class='origin'>{escape(record.origin.value)}</span>"


def framed(record: TrainingRecord, picture: Figure | str, caption: str) -> str:
    """Return a picture with its caption and tag, and with its table where it has one."""
    drawn, details = (picture, "") if isinstance(picture, str) else (picture.svg(), picture.details())
    return (
        f"<figure><div class='wide'>{drawn}</div>"
        f"<figcaption>{label(record)} {escape(caption)}</figcaption>{details}</figure>"
    )


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    caption: str,
    numbers: Iterable[int] = (),
    marks: Sequence[str] = (),
) -> str:
    """Return a table.

    Args:
        numbers: places of the columns that hold numbers.
        marks: classes of the rows.
    """
    right = set(numbers)

    def cell(tag: str, at: int, text: str) -> str:
        place = ' class="n"' if at in right else ""
        return f"<{tag}{place}>{escape(text)}</{tag}>"

    top = "".join(cell("th", at, text) for at, text in enumerate(head))
    body = ""
    for place, row in enumerate(rows):
        mark = f' class="{marks[place]}"' if place < len(marks) and marks[place] else ""
        body += f"<tr{mark}>{''.join(cell('td', at, text) for at, text in enumerate(row))}</tr>"
    return (
        f"<div class='wide'><table><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead>"
        f"<tbody>{body}</tbody></table></div>"
    )
