"""The annex for an impact assessment (GDPR article 35): risks, what this node does about them, and what is left open.

It gives the controller what the software knows. Necessity, proportionality and the rest of the risk are judged by
people, so their places are open points.

Sources: GDPR article 35(7); Article 29 Working Party, WP 248 rev.01, annex 2; opinion 05/2014 (WP 216) for singling
out, linkability and inference.
"""

from __future__ import annotations

from fairbank.federated_jobs.node.gdpr.document import Section, Table
from fairbank.federated_jobs.node.gdpr.facts import Facts
from fairbank.federated_jobs.node.gdpr.processing import by_site
from fairbank.settings import Settings


def assessment(facts: Facts, settings: Settings) -> tuple[Section, ...]:
    """Return the sections of the annex."""
    return (_description(facts), _necessity(facts), _risks(facts, settings), _consulted(settings))


def _description(facts: Facts) -> Section:
    return Section(
        "Annex C: impact assessment, systematic description",
        "Art. 35(7)(a)",
        text=(
            "Images are de-identified at the site and stay there. The catalogue holds descriptions and counts. A "
            "requester's job comes to the site with four signed objects: request, visa of the committee, manifest, and "
            "the site's own approval. It runs in a sandbox without network; results pass a gate that refuses small "
            "counts, identifiers and anything undeclared, and are logged before they leave.",
            f"Scale at this site: {len(facts.projects)} projects, "
            f"{sum(one.used for one in facts.projects):,} subjects in use (a subject of two projects counts twice), "
            f"{len(facts.uses)} jobs so far.",
        ),
    )


def _necessity(facts: Facts) -> Section:
    other = list(by_site(facts))
    return Section(
        "Annex C: necessity and proportionality",
        "Art. 35(7)(b)",
        text=(
            "Each use is limited to its purpose by the visa: datasets, selection of series, output classes, tools, "
            "runs and end. Data minimisation: the code goes to the data, and the least that answers leaves.",
            f"Projects used on another basis than consent: {', '.join(other) or 'none'}.",
        ),
        open_points=("Why these purposes need personal data, in the controller's words.",),
    )


def _risks(facts: Facts, settings: Settings) -> Section:
    rows = (
        (
            "Singling somebody out from published counts",
            f"counts below {settings.release_minimum_count} withheld with those that would tell them; changes of few "
            "subjects wait for others",
            _level(settings.release_minimum_count >= 10, "k is below 10"),
        ),
        (
            "Recognising somebody in an image",
            "burned-in text and faces removed or held; images never leave by a job",
            "low while the research store stays at the site",
        ),
        (
            "Inference from results or a trained model (membership, reconstruction)",
            "results per subject only where the visa grants measurements; updates bounded in form; no noise unless a "
            "job asks for it",
            "to be judged for each grant of models or measurements",
        ),
        (
            "A job that does more than it says",
            f"code by content hash, no network, own user, limits; sandbox {settings.sandbox_mode}",
            _level(settings.sandbox_mode == "strict", "the sandbox only reports"),
        ),
        (
            "A hub that lies or is taken over",
            "pinned hub key, requester's signature, site's approval by named persons, rules signed",
            _level(any(one.is_active for one in facts.persons), "no person is named at this node"),
        ),
        (
            "Somebody at the site acts alone",
            "each decision signed; re-identification takes two; log chained with the hub",
            _level(settings.node_four_eyes == "yes", "one person lets results go (setting node_four_eyes)"),
        ),
        (
            "Whoever owns the node's account reads keys and images",
            "file modes; keys of persons under passphrases",
            "not prevented by the software: disk encryption, and few accounts",
        ),
        (
            "Listening in on the way",
            "TLS, and each request signed with digest and nonce",
            _level(settings.hub_allow_plain_http == "no", "plain HTTP is allowed"),
        ),
        (
            "A withdrawal that does not reach everything",
            "index, store, cohorts, running jobs, suppression list; what has left cannot be called back",
            "models trained before stay; their requesters can be told",
        ),
        (
            "Use in a country without protection",
            "rule of transfers checked before anything leaves",
            _level(
                "any" not in (settings.node_results_may_go, settings.node_updates_may_go), "no rule is set"
            ),
        ),
    )
    return Section(
        "Annex C: risks to rights and freedoms, and measures",
        "Art. 35(7)(c)-(d)",
        tables=(Table("Risks", ("risk", "measures here", "what remains"), rows),),
        open_points=("Likelihood and severity of each, judged by the controller.",),
    )


def _consulted(settings: Settings) -> Section:
    officer = settings.node_data_protection_officer
    return Section(
        "Annex C: who was asked",
        "Art. 35(2), 35(9), 36",
        open_points=(
            f"Advice of the data protection officer{f' ({officer})' if officer else ''}, with date.",
            "Views of data subjects or their representatives, or why they were not sought.",
            "Whether the supervisory authority has to be consulted, and who approved this assessment when.",
        ),
    )


def _level(good: bool, open_word: str) -> str:
    return "low" if good else f"open: {open_word}"
