"""Make the rows of an analysis ready for the gate: what was left out is counted by reason, and few are not told.

It is done here, outside the sandbox: no code of a job says whose series a row is of, nor how many subjects there are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fairbank.analysis.contract import Contract
from fairbank.analysis.run import is_measured
from fairbank.federated_jobs.node.cohort import Member
from fairbank.release.exclusions import may_leave, told_exclusions
from fairbank.release.tables import TableRules


def leave_out(file: Path, members: Sequence[Member], contract: Contract, rules: TableRules) -> int:
    """Rewrite the rows of a worker as they may leave, and return of how many subjects they tell anything measured.

    What is no table of rows of this cohort stays as it is, and is of no subject, so that the gate refuses it.

    Args:
        file: `rows/1`, the node's own copy; it gets `exclusions`.
        members: the series of the cohort, in its order.
    """
    try:
        return _leave_out(file, members, contract, rules)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return 0


def subjects_of(rows: Sequence[Mapping[str, Any]], members: Sequence[Member]) -> dict[str, str]:
    """Return the subject of each row's series: a worker's names begin with the place in the cohort.

    Raises:
        KeyError: if a row names no series of the cohort.
    """
    by_place = {f"s{place:06d}": member.subject for place, member in enumerate(members, 1)}
    return {str(row["row"]): by_place[str(row["row"]).partition("-")[0]] for row in rows}


def _leave_out(file: Path, members: Sequence[Member], contract: Contract, rules: TableRules) -> int:
    told = json.loads(file.read_bytes())
    subject_of = subjects_of(told["rows"], members)
    exclusions = told_exclusions(told["rows"], subject_of, rules)
    told["rows"] = [row for row in told["rows"] if may_leave(row, exclusions, rules)]
    told["exclusions"] = [each.model_dump(mode="json", exclude_none=True) for each in exclusions]
    file.write_text(json.dumps(told, allow_nan=False, separators=(",", ":")))
    return len({subject_of[row["row"]] for row in told["rows"] if is_measured(row, contract)})
