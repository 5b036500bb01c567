"""The errors of analysis.

AnalysisError                FB-ANA-001
├── ToolUnknown              FB-ANA-002
├── ToolParametersRefused    FB-ANA-003
├── ToolDigestMismatch       FB-ANA-004
├── StagedInputsUnreadable   FB-ANA-005
├── RowsRefused              FB-ANA-006
├── NothingToMerge           FB-ANA-007
├── WorkersUnusable          FB-ANA-010
├── SchedulerUnreachable     FB-ANA-011
├── StatisticRefused         FB-ANA-020
├── StatisticWithheld        FB-ANA-021
├── SumsUnreadable           FB-ANA-022
├── StatisticUndetermined    FB-ANA-023
├── BundleRefused            FB-ANA-030
├── ModelUnusable            FB-ANA-031
├── ModelMissing             FB-ANA-032
└── BundleUntrainable        FB-ANA-033
"""

from __future__ import annotations

from fairbank.errors import FairbankError, Kind


class AnalysisError(FairbankError):
    """An analysis cannot run or its results cannot be merged."""

    code = "FB-ANA-001"


class ToolUnknown(AnalysisError):
    """No analysis tool has that name."""

    code = "FB-ANA-002"
    kind = Kind.NOT_FOUND


class ToolParametersRefused(AnalysisError):
    """A parameter of a tool is unknown or out of range."""

    code = "FB-ANA-003"
    kind = Kind.REFUSED


class ToolDigestMismatch(AnalysisError):
    """The tool's code at this site is not the code that was approved."""

    code = "FB-ANA-004"
    kind = Kind.REFUSED


class StagedInputsUnreadable(AnalysisError):
    """The list of staged series is missing or damaged."""

    code = "FB-ANA-005"


class RowsRefused(AnalysisError):
    """A result row breaks the tool's output contract."""

    code = "FB-ANA-006"
    kind = Kind.REFUSED


class NothingToMerge(AnalysisError):
    """There are no site results to merge."""

    code = "FB-ANA-007"
    kind = Kind.REFUSED


class WorkersUnusable(AnalysisError):
    """No process can be started to measure in."""

    code = "FB-ANA-010"


class SchedulerUnreachable(AnalysisError):
    """The Dask scheduler that should spread the items cannot be reached."""

    code = "FB-ANA-011"


class StatisticRefused(AnalysisError):
    """A federated statistic names a column or word that there is not."""

    code = "FB-ANA-020"
    kind = Kind.REFUSED


class StatisticWithheld(AnalysisError):
    """The sums of a federated statistic would tell about few subjects of this site."""

    code = "FB-ANA-021"
    kind = Kind.REFUSED


class SumsUnreadable(AnalysisError):
    """The sums of a site are not those of the statistic that was asked for."""

    code = "FB-ANA-022"
    kind = Kind.REFUSED


class StatisticUndetermined(AnalysisError):
    """The sums of all sites together do not determine the statistic."""

    code = "FB-ANA-023"
    kind = Kind.REFUSED


class BundleRefused(AnalysisError):
    """A MONAI bundle names code, files or forms that are not taken."""

    code = "FB-ANA-030"
    kind = Kind.REFUSED


class ModelUnusable(AnalysisError):
    """A model cannot be loaded, or takes or gives other arrays than the tool does."""

    code = "FB-ANA-031"
    kind = Kind.REFUSED


class ModelMissing(AnalysisError):
    """The file of a model that parameters name is not there, or has another digest."""

    code = "FB-ANA-032"


class BundleUntrainable(AnalysisError):
    """A MONAI bundle holds nothing that is not allowed, but not what training needs either."""

    code = "FB-ANA-033"
    kind = Kind.REFUSED


class ItemImpossible(Exception):
    """One item of a cohort cannot be measured; it becomes a row with this reason, and the others go on.

    Args:
        reason: a word of the tool's contract.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
