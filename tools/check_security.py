"""Look for insecure code with bandit, without network.

    .venv/bin/python tools/check_security.py

A finding is accepted where its line says so with a reason (`# noqa: S608  why`: the numbers are bandit's), or where the
table below says so for a file. Nothing is skipped as a whole but `assert`, which here only tells types apart. An entry
of the table that no finding needs any more is a fault as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_PROGRAMS = "runs programs of a fixed name with a list of arguments, never a shell"
_OWN_XML = "writes XML, and reads none that anybody sent"

# (test, file): why it is accepted.
ACCEPTED: dict[tuple[str, str], str] = {
    **{
        (test, f"src/fairbank/{path}"): _PROGRAMS
        for test in ("B404", "B603")
        for path in (
            "catalogue/query_pool.py",
            "deid/faces/command.py",
            "deid/pixels/tesseract.py",
            "deid/verification/dciodvfy.py",
            "demo/processes.py",
            "federated_jobs/algorithms/several.py",
            "federated_jobs/node/container_runner.py",
            "federated_jobs/node/sandbox.py",
        )
    },
    **{
        (
            test,
            "src/fairbank/federated_jobs/node/notices.py",
        ): "runs the program that the site's settings name"
        for test in ("B404", "B603")
    },
    ("B404", "src/fairbank/deid/pixels/stage.py"): "names an exception of the module, and starts nothing",
    ("B406", "src/fairbank/catalogue/sparql_worker.py"): _OWN_XML,
    ("B112", "src/fairbank/deid/risk_rows.py"): "a row that cannot be read is counted where it is left out",
    ("B608", "src/fairbank/federated_jobs/node/cohort.py"): "a sentence for people that begins like SQL",
    (
        "B105",
        "src/fairbank/catalogue/identity/passwords.py",
    ): "stands for the lack of a password, and matches none",
    ("B105", "src/fairbank/harvest/intake.py"): "an empty word, compared with",
    ("B105", "src/fairbank/harvest/sources/xnat_items.py"): "the word for a check that was passed",
}


def main() -> None:
    """Print what is found, and exit with 1 if there is anything."""
    found = findings()
    wrong = [line for line, key in found if key not in ACCEPTED]
    left_over = [
        f"no longer needed in ACCEPTED: {key}" for key in ACCEPTED if key not in {key for _, key in found}
    ]
    for line in [*wrong, *left_over]:
        print(line)
    raise SystemExit(bool(wrong or left_over))


def findings() -> list[tuple[str, tuple[str, str]]]:
    """Return what bandit finds and no line accepts, each with its key in the table."""
    run = subprocess.run(
        [sys.executable, "-m", "bandit", "-q", "-r", "src/fairbank", "-f", "json", "--skip", "B101"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        results = json.loads(run.stdout)
    except ValueError:
        raise SystemExit(f"bandit did not run: {run.stderr[-500:]}") from None
    if results["errors"]:
        raise SystemExit(f"bandit could not read: {results['errors']}")
    return [
        (
            f"{each['filename']}:{each['line_number']}: {each['test_id']} {each['issue_text']}",
            (each["test_id"], each["filename"]),
        )
        for each in results["results"]
        if not is_accepted_there(each)
    ]


def is_accepted_there(result: dict[str, object]) -> bool:
    """Tell whether one of the statement's lines accepts a finding, with a reason."""
    lines = (REPOSITORY / str(result["filename"])).read_text(encoding="utf-8").splitlines()
    numbers = [int(number) for number in result["line_range"]]  # type: ignore[attr-defined]
    mark = f"# noqa: S{str(result['test_id'])[1:]}"
    # A statement of several lines carries its mark where the formatter leaves it.
    return any(mark in line for line in lines[min(numbers) - 1 : max(numbers) + 1])


if __name__ == "__main__":
    main()
