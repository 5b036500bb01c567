"""The record of processing activities (GDPR article 30), and everything that left, from what the node knows."""

from __future__ import annotations

from collections.abc import Iterator

from fairbank.clock import iso
from fairbank.federated_jobs.manifest import terms_used
from fairbank.federated_jobs.node.gdpr.document import Document, Section, Table
from fairbank.federated_jobs.node.gdpr.facts import Facts, Use, purpose_of, requester_of
from fairbank.ontology.duo import TERMS
from fairbank.ontology.places import ADEQUATE, EEA
from fairbank.settings import Settings

_UNSAID = "not stated"


def record(facts: Facts, settings: Settings) -> Document:
    """Return the record, with the annex on what left."""
    return Document(
        title=f"Record of processing activities: {facts.title}",
        lead=f"Made by fairbank from the node {facts.name} on {iso(facts.now)}. It names no subject. For the site's "
        "own use: it tells more of the site than what is published.",
        sections=(
            _controller(facts, settings),
            _purposes(facts),
            _categories(facts),
            _recipients(facts, settings),
            _transfers(facts, settings),
            _retention(facts),
            _security(facts, settings),
            _legal_bases(facts),
            _rights(facts),
            _left(facts),
            _messages(facts),
        ),
    )


def security_rows(facts: Facts, settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return the measures of security and how they are set here."""
    active = [one for one in facts.persons if one.is_active]
    return (
        ("Small counts withheld", f"below {settings.release_minimum_count} subjects"),
        (
            "Published counts rounded",
            "no" if settings.release_rounding_base == 1 else f"to {settings.release_rounding_base}",
        ),
        (
            "Jobs",
            f"sandboxed without network, mode {settings.sandbox_mode}; nothing runs without the site's approval",
        ),
        (
            "Who decides",
            f"{len(active)} named persons, each signing with an own key under a passphrase"
            if active
            else "whoever has the account of the node; no person is named",
        ),
        ("Two persons before something leaves", settings.node_four_eyes),
        ("Grants countersigned by the site", settings.node_countersign),
        (
            "Way to the hub",
            _way(facts, settings),
        ),
        (
            "Pseudonyms",
            f"keyed, {facts.master_keys} master keys so far; a salt per subject that is erased on withdrawal",
        ),
        ("What leaves", "judged, logged with its digest, readable before and after"),
        ("Log", f"hash chain of {facts.head.seq:,} entries, heads exchanged with the hub"),
    )


def _way(facts: Facts, settings: Settings) -> str:
    if facts.hub is None:
        return "not enrolled"
    if facts.hub.startswith("https://"):
        return "TLS; each request is signed"
    allowed = (
        "to another machine allowed" if settings.hub_allow_plain_http == "yes" else "on this machine only"
    )
    return f"plain HTTP, {allowed}; each request is signed"


def _controller(facts: Facts, settings: Settings) -> Section:
    rows = (
        ("Controller", settings.node_controller or _UNSAID),
        ("Data protection officer", settings.node_data_protection_officer or _UNSAID),
        ("Site", f"{facts.title} ({facts.name})"),
        ("Country", settings.node_country or _UNSAID),
        ("Federation's hub", facts.hub or "not enrolled"),
    )
    missing = {
        "the controller (setting node_controller)": settings.node_controller,
        "the data protection officer (setting node_data_protection_officer)": settings.node_data_protection_officer,
        "the country (setting node_country)": settings.node_country,
    }
    unsaid = [name for name, said in missing.items() if not said]
    return Section(
        "Controller and contacts",
        "Art. 30(1)(a)",
        tables=(Table("Who answers for the processing", ("what", "who"), rows),),
        open_points=(f"Not stated: {'; '.join(unsaid)}.",) if unsaid else (),
    )


def _purposes(facts: Facts) -> Section:
    rows = tuple(
        (use.title, requester_of(use), _codes(use), _statement(use), _datasets(facts, use), use.state)
        for use in facts.uses
    )
    granted = tuple(
        (
            one.visa.id,
            f"{one.request.requester_account}, {one.request.organisation}",
            ", ".join(map(_label, one.visa.purpose.data_use)),
            ", ".join(terms.iri.rpartition("/")[2] for terms in one.here),
            max((terms.expires for terms in one.here), default=""),
            one.state,
        )
        for one in facts.grants
    )
    return Section(
        "Purposes",
        "Art. 30(1)(b)",
        text=(
            "The site describes its image collections in a catalogue, and runs analyses at the site for requesters "
            "whom an access committee has granted that. Purposes are those of the signed requests.",
        ),
        tables=(
            Table(
                "Grants over this site's data",
                ("grant", "requester", "purpose", "datasets", "until", "state"),
                granted,
            ),
            Table("Jobs", ("job", "requester", "purpose", "in words", "datasets", "state"), rows),
        ),
    )


def _categories(facts: Facts) -> Section:
    rows = tuple(
        (one.name, ", ".join(one.datasets) or "none published", one.subjects, one.used)
        for one in facts.projects
    )
    return Section(
        "Categories of data subjects and of data",
        "Art. 30(1)(c)",
        text=(
            "Data subjects: patients and study participants whose images the site holds.",
            "Data concerning health (Art. 9): medical images, de-identified and pseudonymised before any analysis; "
            "facts about how they were taken; sex, and age in bands of five years; clinical variables where they were "
            "imported.",
        ),
        tables=(Table("Projects", ("project", "datasets", "subjects known", "subjects used now"), rows),),
    )


def _recipients(facts: Facts, settings: Settings) -> Section:
    rows = sorted(
        {
            (requester_of(use), _country(use), "results and models that left, by way of the hub")
            for use in facts.uses
            if use.chain is not None and use.state in ("released", "approved")
        }
    )
    hub = (
        ((facts.hub, settings.hub_country or _UNSAID, "descriptions, counts, results, updates"),)
        if facts.hub
        else ()
    )
    return Section(
        "Recipients",
        "Art. 30(1)(d)",
        text=("Nobody receives images or rows of the index. Results leave by the release gate only.",),
        tables=(Table("Who receives what", ("recipient", "country", "what"), (*hub, *rows)),),
    )


def _transfers(facts: Facts, settings: Settings) -> Section:
    countries = sorted({_country(use) for use in facts.uses if use.chain is not None})
    rows = tuple((country, _protection(country)) for country in countries)
    rules = (
        ("results", settings.node_results_may_go),
        ("model updates", settings.node_updates_may_go),
        ("other sites of a training", settings.node_peers_may_be),
    )
    anywhere = [name for name, rule in rules if rule == "any"]
    return Section(
        "Transfers to third countries",
        "Art. 30(1)(e), 44-49",
        tables=(
            Table("Rules of this site, checked before anything leaves", ("what", "may go to"), rules),
            Table("Countries of requesters", ("country", "protection"), rows),
        ),
        open_points=(f"No rule limits where these may go: {', '.join(anywhere)}.",) if anywhere else (),
    )


def _retention(facts: Facts) -> Section:
    rows = tuple(
        (one.project, one.last_day.isoformat(), one.said_by, one.note, "over" if one.over else "runs")
        for one in facts.retentions
    )
    without = sorted({one.name for one in facts.projects} - {one.project for one in facts.retentions})
    return Section(
        "Time limits for erasure",
        "Art. 30(1)(f)",
        text=("After the last day nothing of a project is used; its series are then deleted by the site.",),
        tables=(
            Table("Retention of projects", ("project", "last day", "said by", "rests on", "state"), rows),
        ),
        open_points=(f"No end is recorded for: {', '.join(without)}.",) if without else (),
    )


def _security(facts: Facts, settings: Settings) -> Section:
    return Section(
        "Security of processing",
        "Art. 30(1)(g), 32",
        tables=(Table("Measures", ("measure", "here"), security_rows(facts, settings)),),
    )


def _legal_bases(facts: Facts) -> Section:
    rows = tuple((one.name, one.basis, one.note or "each subject's consent") for one in facts.projects)
    stands = tuple((one.name, word, count) for one in facts.projects for word, count in one.standings.items())
    return Section(
        "Legal bases",
        "Art. 6, 9",
        tables=(
            Table("Basis of each project", ("project", "basis", "rests on"), rows),
            Table("How subjects stand", ("project", "consent", "subjects"), stands),
        ),
    )


def _rights(facts: Facts) -> Section:
    rows = (
        ("Withdrawals carried out", facts.withdrawals),
        ("Entries of the list that keeps who withdrew out", facts.suppressed),
        ("Re-identifications, each by two persons", facts.reidentified),
    )
    return Section(
        "Rights of data subjects",
        "Art. 7(3), 17, 21",
        text=("A withdrawal reaches index, research store, cohorts and running jobs, and is remembered.",),
        tables=(Table("Counts since the node was made", ("what", "count"), rows),),
    )


def _left(facts: Facts) -> Section:
    rows = tuple(
        (
            one.number,
            one.door_class,
            one.name,
            one.size_bytes,
            one.state,
            iso(one.left) if one.left else "",
            requester_of(one.use) or "the catalogue",
            _request(one.use),
            _visa(one.use),
            purpose_of(one.use),
            one.digest,
        )
        for one in facts.left
    )
    columns = (
        *("no.", "class", "name", "bytes", "state", "left", "for"),
        *("request", "visa", "purpose", "digest"),
    )
    return Section(
        "Annex A: everything that left, or was kept back",
        text=(
            "Each line is an entry of the node's ledger; 'fairbank node content NO' prints exactly its bytes.",
        ),
        tables=(Table("Contents", columns, rows),),
    )


def _messages(facts: Facts) -> Section:
    rows = tuple((one.name, one.count, one.size_bytes) for one in facts.messages)
    return Section(
        "Annex B: messages of the protocol",
        text=("Closed words, ids, digests, numbers and times; never text, never anything of a subject.",),
        tables=(Table("Messages that left, by kind", ("message", "count", "bytes"), rows),),
    )


def _codes(use: Use) -> str:
    return ", ".join(map(_label, use.chain.visa.purpose.data_use)) if use.chain else "cannot be verified"


def _label(code: str) -> str:
    term = TERMS.get(code)
    return f"{term.label} ({code})" if term is not None else code


def _statement(use: Use) -> str:
    return use.chain.visa.purpose.statement if use.chain else ""


def _datasets(facts: Facts, use: Use) -> str:
    if use.chain is None:
        return ""
    mine = f"/datasets/{facts.name}/"
    iris = [terms.iri for terms in terms_used(use.chain.manifest, use.chain.visa)]
    return ", ".join(iri.rpartition("/")[2] for iri in iris if mine in iri)


def _country(use: Use) -> str:
    return (use.chain.request.country if use.chain else None) or _UNSAID


def _protection(country: str) -> str:
    if country == _UNSAID:
        return "not known"
    if country in EEA:
        return "European Economic Area"
    if country in ADEQUATE:
        return "adequacy decision (Art. 45)"
    return "third country: needs safeguards under Art. 46, or Art. 49"


def _request(use: Use | None) -> str:
    return use.chain.request.id if use is not None and use.chain is not None else ""


def _visa(use: Use | None) -> str:
    return use.chain.visa.id if use is not None and use.chain is not None else ""


def by_site(facts: Facts) -> Iterator[str]:
    """Yield the names of projects that are used on another basis than consent."""
    yield from (one.name for one in facts.projects if one.basis != "consent")
