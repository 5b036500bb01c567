"""The SHACL shapes of a profile, made from its tables.

Each row becomes up to two property shapes with IRIs of their own: that the property is there, judged as the row says,
and that its values have the right form, which is a violation however optional the property is. So a property that is
missing gives exactly one result.
"""

from __future__ import annotations

from collections.abc import Iterator

from fairbank.ontology.profiles import namespaces as ns
from fairbank.ontology.profiles.namespaces import compact
from fairbank.ontology.profiles.rows import Profile, Row, Severity, Table


def presence_shape(profile: Profile, table: Table, row: Row) -> str:
    """Return the IRI of the shape that asks for a property."""
    return f"{profile.namespace}{table.name}-{'-or-'.join(compact(path).replace(':', '-') for path in row.paths)}"


def form_shape(profile: Profile, table: Table, row: Row) -> str:
    """Return the IRI of the shape that asks for the form of a property's values."""
    return presence_shape(profile, table, row) + "-form"


def turtle(profile: Profile) -> str:
    """Return all shapes of a profile as Turtle."""
    lines = [f"@prefix {prefix}: <{iri}> ." for prefix, iri in ns.PREFIXES.items()]
    lines += [
        "@prefix sh: <http://www.w3.org/ns/shacl#> .",
        f"# {profile.title}",
        f"# Covers: {profile.covers}",
    ]
    for table in profile.tables:
        lines += ["", *_node_shape(profile, table)]
    return "\n".join(lines) + "\n"


def _node_shape(profile: Profile, table: Table) -> Iterator[str]:
    properties = [*_property_shapes(profile, table)]
    yield f"<{profile.namespace}{table.name}> a sh:NodeShape ;"
    if table.linked_by:
        yield f"    sh:targetObjectsOf {', '.join(f'<{path}>' for path in table.linked_by)} ;"
    else:
        yield f"    sh:targetClass <{table.types[0]}> ;"
    yield f'    sh:name "{table.name}" .'
    for iri, body in properties:
        yield f"<{profile.namespace}{table.name}> sh:property <{iri}> ."
        yield f"<{iri}> {body} ."


def _property_shapes(profile: Profile, table: Table) -> Iterator[tuple[str, str]]:
    for row in table.rows:
        if row.severity is not None:
            name = " or ".join(compact(path) for path in row.paths)
            message = f'sh:message "{table.name} says no {name}."'
            yield (
                presence_shape(profile, table, row),
                f"sh:path {_path(row)} ; sh:minCount 1 ; sh:severity sh:{row.severity.value} ; {message}",
            )
        if not row.only_checks:
            yield form_shape(profile, table, row), _form(row)


def _path(row: Row) -> str:
    if row.only_checks:
        return f"[ sh:alternativePath ( {' '.join(f'<{path}>' for path in row.paths)} ) ]"
    return f"<{row.path}>"


def _form(row: Row) -> str:
    said = [f"sh:path <{row.path}>", f"sh:nodeKind sh:{row.range.kind.value}"]
    said.append(f"sh:severity sh:{Severity.VIOLATION.value}")
    if row.most is not None:
        said.append(f"sh:maxCount {row.most}")
    if row.range.datatype:
        said.append(f"sh:datatype <{row.range.datatype}>")
    if row.range.of_class:
        said.append(f"sh:class <{row.range.of_class}>")
    if row.range.words:
        said.append(f"sh:in ( {' '.join(f'<{word}>' for word in row.range.words)} )")
    return " ; ".join(said)
