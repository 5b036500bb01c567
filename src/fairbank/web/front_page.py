"""The first page of the hub: what is here, and how to ask it. The pages of a working day come later."""

from __future__ import annotations

from html import escape

from fairbank.catalogue import search
from fairbank.catalogue.context import Hub
from fairbank.database import reading
from fairbank.ontology.counts import Count

_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>fairbank</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1a1a1a }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #bbb; vertical-align: top }}
td.number, th.number {{ text-align: right }}
code {{ background: #eee; padding: .1rem .3rem }}
</style></head>
<body><main>
<h1>Imaging collections</h1>
<p>{count} of {nodes}. The images stay where they are; approved tools travel to them.</p>
<table><thead><tr><th>Collection</th><th>Biobank</th><th class="number">Subjects</th><th class="number">Studies</th>
<th class="number">Series</th></tr></thead><tbody>
{rows}
</tbody></table>
<p>Counts below the biobank's smallest count are withheld. Subjects are not de-duplicated across biobanks.</p>
<h2>Ask it</h2>
<ul>
<li>SPARQL: <code>{base}/sparql</code></li>
<li>Search: <code>{base}/search?q=CT</code></li>
<li>Every address above as JSON, Turtle or JSON-LD, by the <code>Accept</code> header</li>
<li>All routes: <a href="/openapi.json">openapi.json</a></li>
</ul>
</main></body></html>
"""


def front_page(hub: Hub) -> str:
    """Return the page, with the collections that everyone may see."""
    with reading(hub.engine) as session:
        datasets = search.listing(session, None)
    rows = "\n".join(
        f'<tr><td><a href="{escape(one["iri"].removeprefix(hub.base_iri))}">{escape(one["title"])}</a></td>'
        f"<td>{escape(one['node'] or one['publisher'])}</td>"
        + "".join(
            f'<td class="number">{_count(one["totals"].get(what))}</td>'
            for what in ("subjects", "studies", "series")
        )
        + "</tr>"
        for one in datasets
    )
    nodes = len({one["node"] for one in datasets if one["node"]})
    return _PAGE.format(
        count=_many(len(datasets), "collection"),
        nodes=_many(nodes, "biobank"),
        rows=rows,
        base=escape(hub.base_iri),
    )


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _count(raw: dict[str, object] | None) -> str:
    return escape(str(Count.model_validate(raw))) if raw else ""
