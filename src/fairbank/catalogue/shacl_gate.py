"""The gate before what people write: the rows of a profile, asked of triples, with SHACL's validation report.

The shapes that the hub serves are made from the same rows (`ontology.profiles.shapes`); a test has a SHACL engine judge
the same documents by those shapes and compares. A SHACL engine is not needed to run the hub.

Source: SHACL (W3C 2017), sections 3.6 (validation report) and 4 (constraint components).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyoxigraph as ox

from fairbank.catalogue.errors import ShapesViolated
from fairbank.ontology import terms
from fairbank.ontology.profiles import shapes
from fairbank.ontology.profiles.lexical import is_of_type
from fairbank.ontology.profiles.namespaces import compact
from fairbank.ontology.profiles.rows import NodeKind, Profile, Row, Severity, Table

SH = "http://www.w3.org/ns/shacl#"
_Value = ox.NamedNode | ox.Literal
_Values = dict[str, dict[str, list[_Value]]]


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that does not fit.

    Attributes:
        focus: IRI of what it is about.
        paths: IRIs of the property; several mean "one of these".
        value: the value that does not fit, if one does not.
        component: the constraint, by SHACL's name of it.
        shape: IRI of the shape.
    """

    focus: str
    paths: tuple[str, ...]
    value: _Value | None
    component: str
    severity: Severity
    shape: str
    message: str

    def described(self) -> dict[str, str]:
        """Return the result as names and texts."""
        found = {
            "focus": self.focus,
            "path": " | ".join(self.paths),
            "message": self.message,
            "component": self.component,
            "severity": self.severity.value,
            "shape": self.shape,
        }
        return found if self.value is None else {**found, "value": self.value.value}


def check(profile: Profile, triples: Iterable[ox.Triple]) -> None:
    """Let a document pass that has no violation of a profile.

    Raises:
        ShapesViolated: with all results, if it has one.
    """
    found = list(results(profile, triples))
    wrong = [each for each in found if each.severity is Severity.VIOLATION]
    if not wrong:
        return
    more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
    error = ShapesViolated(
        f"The document does not fit the shapes of its kind: {wrong[0].message.rstrip('.')}{more}.",
        why=f"What is published here fits the profile {profile.name}; each result names its property.",
        todo=f"Complete or correct it; the shapes are at /profile/{profile.name}.",
    )
    error.results = wrong
    raise error


def results(profile: Profile, triples: Iterable[ox.Triple]) -> Iterator[Result]:
    """Yield what a document lacks or has wrong by a profile; its nodes are IRIs."""
    values: _Values = defaultdict(lambda: defaultdict(list))
    for triple in triples:
        if isinstance(triple.subject, ox.NamedNode) and isinstance(triple.object, (ox.NamedNode, ox.Literal)):
            values[triple.subject.value][triple.predicate.value].append(triple.object)
    for table in profile.tables:
        for focus in sorted(_targets(table, values)):
            said = values.get(focus, {})
            for row in table.rows:
                yield from _presence(profile, table, row, focus, said)
                if not row.only_checks:
                    yield from _form(profile, table, row, focus, said.get(row.path, []), values)


def report(found: Sequence[Result], media_type: str) -> bytes:
    """Return the validation report in one of the graph formats."""
    whole, triples = ox.BlankNode("report"), []
    false = ox.Literal("false", datatype=ox.NamedNode(terms.XSD + "boolean"))
    triples.append(ox.Triple(whole, ox.NamedNode(terms.TYPE), ox.NamedNode(SH + "ValidationReport")))
    triples.append(ox.Triple(whole, ox.NamedNode(SH + "conforms"), false))
    for number, each in enumerate(found):
        node = ox.BlankNode(f"result{number}")
        triples.append(ox.Triple(whole, ox.NamedNode(SH + "result"), node))
        links = {
            terms.TYPE: SH + "ValidationResult",
            SH + "focusNode": each.focus,
            SH + "resultSeverity": SH + each.severity.value,
            SH + "sourceConstraintComponent": SH + each.component,
            SH + "sourceShape": each.shape,
        }
        # A path of alternatives would be a list of blank nodes; the message names them.
        if len(each.paths) == 1:
            links[SH + "resultPath"] = each.paths[0]
        triples += [ox.Triple(node, ox.NamedNode(path), ox.NamedNode(iri)) for path, iri in links.items()]
        triples.append(ox.Triple(node, ox.NamedNode(SH + "resultMessage"), ox.Literal(each.message)))
        if each.value is not None:
            triples.append(ox.Triple(node, ox.NamedNode(SH + "value"), each.value))
    prefixes = {"sh": SH, **terms.PREFIXES} if media_type == "text/turtle" else None
    return ox.serialize(triples, format=ox.RdfFormat.from_media_type(media_type), prefixes=prefixes) or b""


def _targets(table: Table, values: _Values) -> set[str]:
    if not table.linked_by:
        of_class = ox.NamedNode(table.types[0])
        return {focus for focus, said in values.items() if of_class in said.get(terms.TYPE, [])}
    return {
        each.value
        for said in values.values()
        for path in table.linked_by
        for each in said.get(path, [])
        if isinstance(each, ox.NamedNode)
    }


def _presence(
    profile: Profile, table: Table, row: Row, focus: str, said: dict[str, list[_Value]]
) -> Iterator[Result]:
    if row.severity is None or any(said.get(path) for path in row.paths):
        return
    names = " or ".join(map(compact, row.paths))
    shape = shapes.presence_shape(profile, table, row)
    message = f"{table.name} says no {names}."
    yield Result(focus, row.paths, None, "MinCountConstraintComponent", row.severity, shape, message)


def _form(
    profile: Profile, table: Table, row: Row, focus: str, said: Sequence[_Value], values: _Values
) -> Iterator[Result]:
    shape, name = shapes.form_shape(profile, table, row), compact(row.path)

    def wrong(component: str, message: str, value: _Value | None) -> Result:
        return Result(focus, row.paths, value, component, Severity.VIOLATION, shape, message)

    if row.most is not None and len(said) > row.most:
        text = f"{table.name} says {len(said)} values of {name}, {row.most} at most are allowed."
        yield wrong("MaxCountConstraintComponent", text, None)
    for value in said:
        kind = NodeKind.LITERAL if isinstance(value, ox.Literal) else NodeKind.IRI
        if row.range.kind not in (kind, NodeKind.EITHER):
            text = f"{name} is to be {_KINDS[row.range.kind]}, and is {_KINDS[kind]}."
            yield wrong("NodeKindConstraintComponent", text, value)
        if row.range.datatype and not (
            isinstance(value, ox.Literal)
            and value.datatype.value == row.range.datatype
            and is_of_type(value.value, row.range.datatype)
        ):
            text = f"{name} is to be of the datatype {compact(row.range.datatype)}."
            yield wrong("DatatypeConstraintComponent", text, value)
        if row.range.of_class and ox.NamedNode(row.range.of_class) not in values.get(value.value, {}).get(
            terms.TYPE, []
        ):
            text = f"{name} is to be described here as {compact(row.range.of_class)}."
            yield wrong("ClassConstraintComponent", text, value)
        if row.range.words and value.value not in row.range.words:
            text = f"{name} is to be one of {', '.join(row.range.words)}."
            yield wrong("InConstraintComponent", text, value)


_KINDS = {NodeKind.IRI: "an IRI", NodeKind.LITERAL: "a text", NodeKind.EITHER: "either"}
