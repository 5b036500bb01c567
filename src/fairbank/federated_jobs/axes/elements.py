"""What one choice on an axis is: a name, a schema of options, and how it is checked; needs neither numpy nor torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from fairbank.federated_jobs.errors import OptionRefused
from fairbank.federated_jobs.training_errors import PlanRefused


class Options(BaseModel):
    """The root of all options: unknown names and out-of-range values are refused; fractions are decimals as text."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice on an axis.

    Attributes:
        title: what it does, for people.
        source: the paper and section that it follows.
    """

    name: str
    title: str
    source: str
    options: type[Options] = Options


C = TypeVar("C", bound=Choice)


def chosen(axis: str, table: Mapping[str, C], name: str) -> C:
    """Return the entry of a name.

    Args:
        axis: what the table is called in an error, such as `aggregator`.

    Raises:
        PlanRefused: if the table has no such entry.
    """
    if name not in table:
        raise PlanRefused(
            f"There is no {axis} {name!r}.",
            why=f"This version has: {', '.join(sorted(table)) or 'none'}.",
            todo="Choose one of these; 'fairbank job plans' tells what each does.",
        )
    return table[name]


def checked_options(axis: str, choice: Choice, given: Mapping[str, JsonValue]) -> Options:
    """Return the options of a choice, defaults filled in.

    Raises:
        OptionRefused: if one is unknown, of another kind, or out of its range.
    """
    try:
        return choice.options.model_validate_json(json.dumps(dict(given)))
    except ValidationError as err:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or axis}: {e['msg']}" for e in err.errors())
        known = ", ".join(sorted(choice.options.model_fields)) or "none"
        raise OptionRefused(
            f"The options of the {axis} {choice.name!r} are refused.",
            why=f"{faults}.",
            todo=f"Its options are: {known}.",
        ) from err
