"""What a federated statistic is asked: which one, of which variables, in which groups."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Variable = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}(=[A-Za-z0-9<>=+._ -]{1,40})?$")]
Group = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,59}$")]
Edge = Annotated[Decimal, Field(ge=-(10**9), le=10**9)]
Share = Annotated[Decimal, Field(gt=0, lt=1)]


class Kind(StrEnum):
    """Which statistic."""

    COUNT = "count"
    DESCRIBE = "describe"
    HISTOGRAM = "histogram"
    QUANTILES = "quantiles"
    CONTINGENCY = "contingency"
    T_TEST = "t-test"
    ANOVA = "anova"
    LINEAR = "linear"
    LOGISTIC = "logistic"
    COX = "cox"
    KAPLAN_MEIER = "kaplan-meier"
    PCA = "pca"
    COMBAT = "combat"


ITERATED = frozenset({Kind.LOGISTIC, Kind.COX})
_NEEDS_EDGES = frozenset({Kind.HISTOGRAM, Kind.QUANTILES, Kind.COX, Kind.KAPLAN_MEIER})
# The smallest and the largest number of (variables, groups) of each.
_HOW_MANY: dict[Kind, tuple[tuple[int, int], tuple[int, int]]] = {
    Kind.COUNT: ((0, 0), (0, 3)),
    Kind.DESCRIBE: ((1, 40), (0, 3)),
    Kind.HISTOGRAM: ((1, 1), (0, 2)),
    Kind.QUANTILES: ((1, 1), (0, 0)),
    Kind.CONTINGENCY: ((0, 0), (2, 2)),
    Kind.T_TEST: ((1, 40), (1, 1)),
    Kind.ANOVA: ((1, 40), (1, 1)),
    Kind.LINEAR: ((1, 40), (0, 0)),
    Kind.LOGISTIC: ((1, 40), (0, 0)),
    Kind.COX: ((1, 40), (0, 0)),
    Kind.KAPLAN_MEIER: ((0, 0), (0, 1)),
    Kind.PCA: ((2, 60), (0, 0)),
    Kind.COMBAT: ((1, 60), (0, 0)),
}


class Question(BaseModel):
    """One statistic; unknown names and parts that it has no use for are refused.

    A variable is a numeric column, or `column=word`: 1 where the column has that word, else 0. Lists may be one text,
    separated by commas.

    Args:
        statistic: which one.
        variables: what is described, or the predictors of a model, or the features of PCA and ComBat.
        groups: columns of words whose combinations are the groups.
        outcome: what a linear or logistic model explains; of the logistic one, 0 and 1 only.
        covariates: what ComBat keeps.
        time: until when a subject was followed, for Cox and Kaplan–Meier.
        event: 1 where the event happened at that time, 0 where following ended without it.
        edges: ascending; bins of a histogram, of quantiles and of time are [edge, next edge); what lies below the first
            or from the last on has a bin of its own.
        probabilities: which quantiles.
        scale: whether PCA takes the correlation or the covariance matrix.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    statistic: Kind
    variables: Annotated[tuple[Variable, ...], Field(max_length=60)] = ()
    groups: Annotated[tuple[Group, ...], Field(max_length=3)] = ()
    outcome: Variable | None = None
    covariates: Annotated[tuple[Variable, ...], Field(max_length=10)] = ()
    time: Variable | None = None
    event: Variable | None = None
    edges: Annotated[tuple[Edge, ...], Field(max_length=200)] = ()
    probabilities: Annotated[tuple[Share, ...], Field(max_length=20)] = (
        Decimal("0.25"),
        Decimal("0.5"),
        Decimal("0.75"),
    )
    scale: Literal["correlation", "covariance"] = "correlation"

    @field_validator("variables", "groups", "covariates", mode="before")
    @classmethod
    def _names(cls, given: object) -> object:
        """Take names apart that stand in one text, as a command line gives them."""
        if isinstance(given, str):
            return tuple(given.split(","))
        return tuple(given) if isinstance(given, list) else given

    @field_validator("edges", "probabilities", mode="before")
    @classmethod
    def _numbers(cls, given: object) -> object:
        """Take numbers apart that stand in one text; a single one may be given as it is."""
        listed = given.split(",") if isinstance(given, str) else [given] if isinstance(given, int) else given
        if not isinstance(listed, list):
            return listed
        try:
            return tuple(Decimal(str(each)) for each in listed)
        except InvalidOperation as err:
            raise ValueError("numbers are separated by commas") from err

    @model_validator(mode="after")
    def _fits(self) -> Self:
        kind = self.statistic
        (least, most), (fewest, many) = _HOW_MANY[kind]
        if not least <= len(self.variables) <= most:
            raise ValueError(f"{kind} takes {_range(least, most)} variables")
        if not fewest <= len(self.groups) <= many:
            raise ValueError(f"{kind} takes {_range(fewest, many)} groups")
        named = (*self.variables, *self.groups, *self.covariates, *filter(None, (self.outcome, self.time)))
        if len(set(named)) != len(named):
            raise ValueError("a column is named twice")
        if (self.outcome is not None) != (kind in (Kind.LINEAR, Kind.LOGISTIC)):
            raise ValueError("linear and logistic models have an outcome, and nothing else has")
        survival = kind in (Kind.COX, Kind.KAPLAN_MEIER)
        if survival != (self.time is not None) or survival != (self.event is not None):
            raise ValueError("cox and kaplan-meier have a time and an event, and nothing else has")
        if self.covariates and kind is not Kind.COMBAT:
            raise ValueError("only combat has covariates")
        if bool(self.edges) != (kind in _NEEDS_EDGES) or (self.edges and len(self.edges) < 2):
            raise ValueError(f"two edges and more are for {', '.join(sorted(_NEEDS_EDGES))}, which need them")
        if any(one >= other for one, other in pairwise(self.edges)):
            raise ValueError("the edges do not ascend")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """Return all that a subject must have a value of, as variables and groups are named."""
        single = (self.outcome, self.time, self.event)
        return (*self.variables, *self.covariates, *filter(None, single))

    @property
    def fitted(self) -> int:
        """Return p, the number of parameters that are fitted; a sum needs 3 p subjects and more."""
        match self.statistic:
            case Kind.LINEAR | Kind.LOGISTIC:
                return len(self.variables) + 1
            case Kind.COX:
                return len(self.variables) + len(self.edges) + 1
            case Kind.COMBAT:
                return len(self.covariates) + 2
            case Kind.PCA:
                return len(self.variables) + 1
            case Kind.DESCRIBE | Kind.T_TEST | Kind.ANOVA:
                return 2
            case _:
                return 1

    @property
    def axes(self) -> int:
        """Return how many words name a cell: one for each grouping column, and one for the bin."""
        return len(self.groups) + (self.statistic in (Kind.HISTOGRAM, Kind.QUANTILES))

    @property
    def bins(self) -> int:
        """Return how many bins the edges make."""
        return len(self.edges) + 1


def _range(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"
