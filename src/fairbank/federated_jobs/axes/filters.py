"""The update filters: what changes in an update before it leaves a site."""

from __future__ import annotations

from dataclasses import dataclass

from fairbank.federated_jobs.axes.elements import Choice


@dataclass(frozen=True, slots=True)
class FilterChoice(Choice):
    """One update filter.

    Attributes:
        place: filters of a lower place come first in a chain.
        linear: whether the sum of filtered updates is the filtered sum, so that it goes with summing what nobody sees.
        keeps_names: whether the tensors keep names, shapes and types.
        stateful: whether the site keeps tensors for it from round to round, such as an error that is fed back.
        local_layers: whether some layers never leave a site.
        sparse: whether most values of an update are left out.
    """

    place: int = 0
    linear: bool = False
    keeps_names: bool = True
    stateful: bool = False
    local_layers: bool = False
    sparse: bool = False


FILTERS: dict[str, FilterChoice] = {}
