"""What a curator says beside data-use codes that only name a question: which disease, which countries, until when.

A code of the Data Use Ontology such as `GS` says that there is a limit; the values are here. They are in the record of
a dataset, so they are public: users are named by their accounts, never by more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Final

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from fairbank.ontology import duo
from fairbank.ontology.places import EEA
from fairbank.ontology.wire import Part, ShortText, Slug

EU: Final = EEA - {"IS", "LI", "NO"}
REGIONS: Final = {"EU": EU, "EEA": EEA}

_Mondo = Annotated[str, Field(pattern=r"^MONDO:\d{7}$")]
_Place = Annotated[str, Field(pattern=r"^([A-Z]{2}|EEA)$")]
_Month = Annotated[str, Field(pattern=r"^20\d\d-(0[1-9]|1[0-2])$")]
_Code = Annotated[str, Field(pattern=r"^DUO:\d{7}$")]


class DataUseLimits(Part):
    """The values of a dataset's data-use codes; what is empty is not stated, and goes to a person.

    Attributes:
        diseases: of DS, as MONDO ids.
        countries: of GS, ISO 3166-1 alpha-2 codes, `EU` or `EEA`.
        no_publication_before: of MOR, the first month in which results may be published, such as 2027-06.
        months: of TS, the longest use in months.
        users: of US, accounts at the hub.
        projects: of PS, names of projects as their requests write them.
        institutions: of IS, names of organisations.
        research_types: of RS, codes of the kinds of research that are meant.
        collaborators: of COL, people or organisations one of whom takes part.
    """

    diseases: Annotated[tuple[_Mondo, ...], Field(max_length=50)] = ()
    countries: Annotated[tuple[_Place, ...], Field(max_length=60)] = ()
    no_publication_before: _Month | None = None
    months: Annotated[int, Field(ge=1, le=600)] | None = None
    users: Annotated[tuple[Slug, ...], Field(max_length=200)] = ()
    projects: Annotated[tuple[ShortText, ...], Field(max_length=50)] = ()
    institutions: Annotated[tuple[ShortText, ...], Field(max_length=200)] = ()
    research_types: Annotated[tuple[_Code, ...], Field(max_length=20)] = ()
    collaborators: Annotated[tuple[ShortText, ...], Field(max_length=50)] = ()

    @model_serializer(mode="wrap")
    def _what_was_said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Write no empty field, so that an older reader is not stopped by one that nobody filled."""
        fields: dict[str, Any] = write(self)
        return {name: value for name, value in fields.items() if value not in (None, [], ())}


NO_LIMITS: Final = DataUseLimits()
_OF_CODE: Final = {
    duo.DS: "diseases",
    duo.GS: "countries",
    duo.MOR: "no_publication_before",
    duo.TS: "months",
    duo.US: "users",
    duo.PS: "projects",
    duo.IS: "institutions",
    duo.RS: "research_types",
    duo.COL: "collaborators",
}


def stated(limits: DataUseLimits | None) -> Iterator[tuple[str, str]]:
    """Yield each value that is stated with the code that it belongs to, each a text.

    >>> list(stated(DataUseLimits(countries=("AT", "EEA"), months=24)))
    [('DUO:0000022', 'AT'), ('DUO:0000022', 'EEA'), ('DUO:0000025', '24')]
    """
    if limits is None:
        return
    for code, name in _OF_CODE.items():
        value = getattr(limits, name)
        values = value if isinstance(value, tuple) else () if value is None else (value,)
        for one in values:
            yield code, str(one)


def in_countries(country: str, places: tuple[str, ...]) -> bool:
    """Return whether a country is one of some countries and regions.

    >>> in_countries("NO", ("EEA",)), in_countries("NO", ("EU",)), in_countries("CH", ("AT", "CH"))
    (True, False, True)
    """
    return any(country in REGIONS.get(place, {place}) for place in places)
