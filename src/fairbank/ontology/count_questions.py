"""The question of how many subjects sites have for a selection: what a requester signs, and its answers in words."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from fairbank.ontology.signed_objects import SignedObject, VisaDataset
from fairbank.ontology.wire import DigestText, Id, KeyText, Moment, ShortText


class CountQuestion(SignedObject):
    """A researcher asks sites how many subjects a selection has; sealed with the requester's key.

    Attributes:
        visa: the grant under which it is asked; None: under none, as in a search.
        datasets: what is counted, each by itself.
    """

    schema_name = "count-question/1"
    kind = "count-question"

    id: Id
    requester_key: KeyText
    requester_account: ShortText
    visa: DigestText | None = None
    datasets: Annotated[tuple[VisaDataset, ...], Field(min_length=1, max_length=200)]
    created: Moment

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        iris = [dataset.iri for dataset in self.datasets]
        if len(set(iris)) != len(iris):
            raise ValueError("a dataset is named twice")
        return self
