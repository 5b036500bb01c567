"""What a draft of a request says, what it lacks, and the request that it becomes. Pure: the rows are `drafting`'s.

What a draft lacks is said as a list before it can be sealed: what no request can be without, and what the terms of its
datasets or their committees ask for besides.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from pydantic import Field, ValidationError

from fairbank.catalogue.governance.request_errors import DraftIncomplete, DraftRefused
from fairbank.clock import iso
from fairbank.ontology.outputs import OutputClass
from fairbank.ontology.signed_objects import (
    Evidence,
    EvidenceKind,
    KeyKeeper,
    OrganisationKind,
    Person,
    Purpose,
    Request,
)
from fairbank.ontology.wire import Country, Iri, Moment, ShortText, Text, Wire

UNTITLED: Final = "Untitled request"

_DataUse = Annotated[str, Field(pattern=r"^DUO:\d{7}$")]
_Disease = Annotated[str, Field(pattern=r"^MONDO:\d{7}$")]


class Draft(Wire):
    """What has been written of a request; every piece may be missing."""

    schema_name = "request-draft/1"

    title: ShortText | None = None
    organisation: ShortText | None = None
    organisation_kind: OrganisationKind | None = None
    country: Country | None = None
    project: ShortText | None = None
    datasets: Annotated[tuple[Iri, ...], Field(max_length=200)] = ()
    minimum_datasets: Annotated[int, Field(ge=1, le=200)] = 1
    data_use: Annotated[tuple[_DataUse, ...], Field(max_length=20)] = ()
    diseases: Annotated[tuple[_Disease, ...], Field(max_length=50)] = ()
    commercial: bool = False
    statement: Text | None = None
    output_classes: Annotated[tuple[OutputClass, ...], Field(max_length=4)] = ()
    until: Moment | None = None
    evidence: Annotated[tuple[Evidence, ...], Field(max_length=50)] = ()
    people: Annotated[tuple[Person, ...], Field(max_length=200)] = ()
    funding: Annotated[tuple[ShortText, ...], Field(max_length=20)] = ()
    publication_plan: Text | None = None

    def fields(self) -> dict[str, Any]:
        """Return the fields as JSON values, those that say nothing left out."""
        return self.model_dump(mode="json", exclude_defaults=True)


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that a draft does not say.

    Attributes:
        field: the field that would say it.
        sentence: what is missing and why it is asked for.
        needed: whether the draft cannot be sealed without; otherwise committees will most likely ask for it.
    """

    field: str
    sentence: str
    needed: bool


def changed(before: dict[str, Any], pieces: dict[str, Any]) -> Draft:
    """Return a draft with some pieces changed; a piece that is None is taken out.

    Raises:
        DraftRefused: if a piece has no such name or not its form.
    """
    merged = {**before, **pieces}
    try:
        return Draft.parse(
            {
                "schema": Draft.schema_name,
                **{name: value for name, value in merged.items() if value is not None},
            }
        )
    except Exception as err:
        raise _refused(err) from err


def as_request(
    draft: Draft,
    *,
    request_id: str,
    account: str,
    organisation: str,
    key: str,
    version: int,
    amends: str | None,
    created: datetime,
    kept_by_hub: bool = False,
) -> Request:
    """Return the request that a draft becomes, ready to be sealed.

    Args:
        organisation: that of the account, where the draft names none.
        amends: digest of the version before, None for the first.
        kept_by_hub: whether the key is one that the hub keeps.

    Raises:
        DraftIncomplete: if something is missing without which there is no request.
        DraftRefused: if its pieces do not fit together.
    """
    missing = [each for each in lacking(draft) if each.needed]
    if missing:
        names = ", ".join(each.field for each in missing)
        raise DraftIncomplete(
            f"The request cannot be sealed yet, {len(missing)} things are missing: {names}.",
            why="A committee decides on what a request says.",
            todo=f"Add them with 'fairbank request edit {request_id}'.",
        )
    try:
        return Request(
            id=request_id,
            requester_key=key,
            requester_account=account,
            key_kept_by=KeyKeeper.HUB if kept_by_hub else None,
            organisation=draft.organisation or organisation,
            title=draft.title or UNTITLED,
            version=version,
            amends=amends,
            organisation_kind=draft.organisation_kind,
            country=draft.country,
            project=draft.project,
            datasets=draft.datasets,
            minimum_datasets=draft.minimum_datasets,
            purpose=Purpose(
                data_use=draft.data_use,
                diseases=draft.diseases,
                commercial=draft.commercial,
                statement=draft.statement or "",
            ),
            output_classes=draft.output_classes,
            evidence=draft.evidence,
            people=draft.people,
            funding=draft.funding,
            publication_plan=draft.publication_plan,
            until=draft.until or "",
            created=iso(created),
        )
    except ValidationError as err:
        raise _refused(err) from err


def of_request(request: Request) -> Draft:
    """Return the draft that would become this request: what an amendment starts from."""
    return Draft(
        title=request.title,
        organisation=request.organisation,
        organisation_kind=request.organisation_kind,
        country=request.country,
        project=request.project,
        datasets=request.datasets,
        minimum_datasets=request.minimum_datasets,
        data_use=request.purpose.data_use,
        diseases=request.purpose.diseases,
        commercial=request.purpose.commercial,
        statement=request.purpose.statement,
        output_classes=request.output_classes,
        until=request.until,
        evidence=request.evidence,
        people=request.people,
        funding=request.funding,
        publication_plan=request.publication_plan,
    )


def lacking(draft: Draft, codes: Iterable[str] = ()) -> list[Lack]:
    """Return what a draft does not say, what is needed first.

    Args:
        codes: the data-use codes (DUO) of the datasets that it names; some of them ask for a document or a field.
    """
    needed = [Lack(name, sentence, True) for name, sentence in _NEEDED if not getattr(draft, name)]
    if draft.datasets and draft.minimum_datasets > len(set(draft.datasets)):
        needed.append(Lack("minimum_datasets", "It is more than the datasets asked for.", True))
    held = frozenset(codes)
    advised = [
        Lack(name, sentence, False)
        for code, name, sentence in _BY_CODE
        if code in held and not _says(draft, name)
    ]
    known = {each.field for each in advised}
    usual = [
        Lack(name, sentence, False)
        for name, sentence in _USUAL
        if name not in known and not _says(draft, name)
    ]
    return [*needed, *advised, *usual]


def _says(draft: Draft, name: str) -> bool:
    if name in _DOCUMENTS:
        return any(each.kind is _DOCUMENTS[name] for each in draft.evidence)
    return bool(getattr(draft, name))


def _refused(err: Exception) -> DraftRefused:
    if isinstance(err, ValidationError):
        places = sorted({".".join(map(str, each["loc"])) or "the whole" for each in err.errors()})
        fault = f"not of its form: {', '.join(places[:5])}"
    else:
        fault = getattr(err, "what", "not of its form")
    return DraftRefused(
        f"The draft was not changed: {fault}",
        why="Each piece has a form, so that committees and machines read it alike.",
        todo="See 'fairbank request template' for the pieces and their forms.",
    )


_DOCUMENTS: Final = {
    "ethics document": EvidenceKind.ETHICS_APPROVAL,
    "data-management plan": EvidenceKind.DATA_MANAGEMENT_PLAN,
}
_NEEDED: Final = (
    ("title", "A title, by which people find the request."),
    ("datasets", "At least one dataset (its IRI in the catalogue)."),
    ("data_use", "The purpose as a data-use code (DUO), such as DUO:0000006."),
    ("statement", "The purpose in words."),
    ("output_classes", "What may come back: aggregate, measurements, model-update or download."),
    ("until", "Until when access is wanted."),
)
_BY_CODE: Final = (
    ("DUO:0000021", "ethics document", "A dataset may only be used with an ethics approval (DUO:0000021)."),
    ("DUO:0000019", "publication_plan", "A dataset asks that results be published (DUO:0000019): say how."),
    ("DUO:0000018", "organisation_kind", "A dataset is for organisations of some kinds only (DUO:0000018)."),
    ("DUO:0000045", "organisation_kind", "A dataset is for organisations of some kinds only (DUO:0000045)."),
    ("DUO:0000022", "country", "A dataset may be used in some places only (DUO:0000022)."),
    ("DUO:0000027", "project", "A dataset is for named projects only (DUO:0000027)."),
    ("DUO:0000007", "diseases", "A dataset is for named diseases only (DUO:0000007): say which (MONDO)."),
)
_USUAL: Final = (
    ("ethics document", "An ethics approval, or why none is needed."),
    ("data-management plan", "A data-management plan."),
    ("organisation_kind", "What kind of organisation asks: public, not-for-profit or for-profit."),
    ("country", "The country in which results will be used."),
    ("people", "Who works on the project."),
    ("funding", "Who pays for the project."),
    ("publication_plan", "How results will be published."),
)
