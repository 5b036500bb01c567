"""Where the outputs come from, as PROV-JSON: which software did what, by which method, for whom, when.

Source: W3C PROV-JSON (member submission of 2013), PROV-DM.
"""

from __future__ import annotations

from typing import Any

from fairbank.deid.reports.summary import Summary

_NAMESPACE = "urn:fairbank:deid:"


def provenance(summary: Summary) -> dict[str, Any]:
    """Return a PROV-JSON document of all runs of a summary. Of the key it holds a name only."""
    document: dict[str, Any] = {
        "prefix": {"fb": _NAMESPACE},
        "entity": {
            "fb:method": _method(summary),
            "fb:source": {"prov:label": "files as they came in", "fb:files": summary.came_in["files"]},
            "fb:outputs": {
                "prov:label": "pseudonymised files",
                **{f"fb:{word}": count for word, count in sorted(summary.went_out.items())},
            },
        },
        "agent": {"fb:software": {"prov:type": "prov:SoftwareAgent", "prov:label": summary.tool}},
        "activity": {},
        "used": {},
        "wasAssociatedWith": {},
        "wasGeneratedBy": {},
        "wasDerivedFrom": {"_:d1": {"prov:generatedEntity": "fb:outputs", "prov:usedEntity": "fb:source"}},
    }
    for name, digest in sorted(summary.digests.items()):
        document["entity"][f"fb:{name}"] = {"prov:label": name, "fb:digest": digest}
    people = sorted({str(run["agent"]) for run in summary.runs})
    agents = {agent: f"fb:person-{number}" for number, agent in enumerate(people, 1)}
    for agent, name in agents.items():
        document["agent"][name] = {"prov:type": "prov:Person", "prov:label": agent}
    for run in summary.runs:
        _add_run(document, run, agents[str(run["agent"])])
    return document


def _method(summary: Summary) -> dict[str, Any]:
    told = summary.method
    return {
        "prov:type": "prov:Plan",
        "prov:label": f"DICOM PS3.15 Annex E {told['edition']}, profile {told['profile']}",
        "fb:digest": told["digest"],
        "fb:tableEdition": told["edition"],
        "fb:tableDigest": told["table_sha256"],
        "fb:options": told["options"],
        "fb:keyId": summary.key_id,
        "fb:project": summary.project,
    }


def _add_run(document: dict[str, Any], run: dict[str, Any], person: str) -> None:
    name = f"fb:run-{run['id']}"
    activity = {
        "prov:label": "de-identification",
        "prov:startTime": run["started"],
        "fb:tool": run["tool"],
        "fb:state": run["state"],
    }
    if run["ended"]:
        activity["prov:endTime"] = run["ended"]
    document["activity"][name] = activity
    number = len(document["activity"])
    document["used"][f"_:u{number}"] = {"prov:activity": name, "prov:entity": "fb:source"}
    document["wasGeneratedBy"][f"_:g{number}"] = {"prov:entity": "fb:outputs", "prov:activity": name}
    for part, agent in (("s", "fb:software"), ("p", person)):
        document["wasAssociatedWith"][f"_:{part}{number}"] = {
            "prov:activity": name,
            "prov:agent": agent,
            "prov:plan": "fb:method",
        }
