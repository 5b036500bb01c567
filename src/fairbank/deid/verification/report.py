"""What a verification found, as a report: numbers, rules and names of elements, nothing of a person and no path."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fairbank.deid._e1_1 import EDITION, TABLE_SHA256
from fairbank.deid.method import Method
from fairbank.deid.profiles import Profile
from fairbank.deid.rules import rule_for
from fairbank.deid.verification.folder import FolderVerdict
from fairbank.deid.verification.problem import Problem
from fairbank.deid.verification.safe_harbor import PSEUDONYMISED, coverage
from fairbank.deid.verification.sampling import drawn, files_to_review


def problem_rows(found: FolderVerdict) -> list[dict[str, Any]]:
    """Return one row per problem: rule, element, how Table E.1-1 calls it, and how many files have it."""
    return [
        {"rule": one.rule, "tag": one.tag, "element": _element(one), "files": count}
        for one, count in sorted(
            found.problems.items(), key=lambda item: (-item[1], item[0].rule, item[0].tag or "")
        )
    ]


def summary(found: FolderVerdict) -> dict[str, Any]:
    """Return the counts that a person looks at first."""
    dicom = [verdict for verdict in found.verdicts if verdict.problems is not None]
    return {
        "files": len(found.verdicts),
        "verified": len(dicom),
        "not DICOM": len(found.verdicts) - len(dicom),
        "in quarantine, left out": found.quarantined,
        "made by fairbank": sum(verdict.ours for verdict in dicom),
        "say how they were de-identified": sum(verdict.options_known for verdict in dicom),
        "with problems": sum(bool(verdict.problems) for verdict in dicom),
        "originals": dict(found.originals) or found.unmatched_because,
        "uid graph": found.graph.summary() if found.graph else f"not checked: {_why(found)}",
        "asked dciodvfy": found.standard_files,
    }


def report(found: FolderVerdict, *, method: Method | None, seed: str = "1") -> dict[str, Any]:
    """Return the whole report, ready to be written as JSON.

    Args:
        found: what was found.
        method: how the files were cleaned; None if each file's own word was taken.
        seed: by which files are drawn for people to look at.
    """
    good = [str(verdict.number) for verdict in found.verdicts if verdict.problems == ()]
    review = files_to_review(len(good))
    return {
        "table": {"edition": EDITION, "digest": f"sha256:{TABLE_SHA256}"},
        "method": method.digest if method else "as each file says",
        "summary": summary(found),
        "problems": problem_rows(found),
        "files": [
            {"file": f"file #{verdict.number}", "problems": [asdict(one) for one in verdict.problems]}
            for verdict in found.verdicts
            if verdict.problems
        ],
        "dciodvfy": {
            "compared with originals": found.standard_compared,
            "errors": dict(found.standard or {}),
        },
        "review": {
            "files to look at": review,
            "seed": seed,
            "drawn": [f"file #{number}" for number in sorted(drawn(good, review, seed=seed), key=int)],
            "means": "if none of them is bad, then with 95 % confidence at most 1 % of all are",
        },
        "safe harbor": [asdict(one) for one in coverage(method or Method(Profile.BASIC))],
        "statement": PSEUDONYMISED,
    }


def _why(found: FolderVerdict) -> str:
    return found.unmatched_because or "no output could be matched with an original"


def _element(one: Problem) -> str:
    rule = rule_for(int(one.tag, 16)) if one.tag else None
    return rule.name if rule else ""
