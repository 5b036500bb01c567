"""What a SPARQL text asks for, as far as it matters before it is run: other servers, changes, and its FROM clauses.

The query worker has no network; this is the other half, and it prefers to refuse too much. It is read in the worker,
which can be killed, and so imports nothing of fairbank. Escapes are decoded first (SPARQL 1.1, section 19.2), then
strings, comments, IRIs and names are taken out; what is left may not hold the letters of SERVICE at all, because
grammars take keywords without space around them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

LONGEST_QUERY = 100_000
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")
_LONG = r'"""(?:[^\\]|\\.)*?"""|' r"'''(?:[^\\]|\\.)*?'''"
_SHORT = r'"(?:[^"\\\n\r]|\\.)*+"|' r"'(?:[^'\\\n\r]|\\.)*+'"
# A string that does not end is taken whole and kept as it stands: reading stays linear in the text's length.
_OPEN_LONG = r'"""(?:[^\\]|\\.)*+|' r"'''(?:[^\\]|\\.)*+"
_OPEN_SHORT = r'"(?:[^"\\\n\r]|\\.)*+|' r"'(?:[^'\\\n\r]|\\.)*+"
_NAME_START = r"[^\W\d]"
# In the order of SPARQL's longest match. The looser forms are what a reader takes for an IRI that checks it later.
_IRIS = (r'<[^<>"{}|^`\\\x00-\x20]*>', r"<[^<>\s]*>", r"<[^<>]*>")
_TOKENS = (
    rf"(?P<long>{_LONG})|(?P<open_long>{_OPEN_LONG})|(?P<short>{_SHORT})|(?P<open_short>{_OPEN_SHORT})"
    r"|(?P<comment>#[^\n\r]*)|(?P<iri>{iri})"
    r"|(?P<variable>[?$]\w+)|(?P<language>@[A-Za-z]+(?:-[A-Za-z0-9]+)*)"
    r"|(?P<blank>_:\w[\w.-]*)"
    r"|(?P<name>(?P<prefix>(?:" + _NAME_START + r"[\w.-]{0,60})?):(?:(?:[\w:%]|\\.)(?:[\w:%.-]|\\.)*)?)"
    r"|(?P<word>" + _NAME_START + r"\w*)|(?P<other>.)"
)
_SKIPPED = frozenset({"long", "short", "open_long", "open_short", "comment"})
_UPDATES = frozenset({"INSERT", "DELETE", "LOAD", "CLEAR", "CREATE", "DROP", "COPY", "MOVE", "ADD"})


class Refused(Exception):
    """A text that is not run: what is wrong, why that matters, and what to do."""

    def __init__(self, what: str, *, why: str, todo: str) -> None:
        super().__init__(what)
        self.what, self.why, self.todo = what, why, todo


class Forbidden(Refused):
    """A text that would change something or reach another server."""


class Malformed(Refused):
    """A text that cannot be read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The RDF dataset that a query's FROM clauses name; None where it has none."""

    default_graphs: tuple[str, ...] | None
    named_graphs: tuple[str, ...] | None


def check(query: str) -> Asked:
    """Refuse what the endpoint does not do, and return what the FROM clauses ask for.

    Raises:
        Forbidden: for SERVICE, LOAD and any other update.
        Malformed: if the text is far too long, or a FROM clause names its graph by a prefixed name.
    """
    if len(query) > LONGEST_QUERY:
        raise Malformed(
            f"The query has {len(query)} characters.",
            why=f"At most {LONGEST_QUERY} are read.",
            todo="Shorten it.",
        )
    decoded = _decoded(query)
    if "service" in decoded.casefold():
        for text in (query, decoded):
            for iri in _IRIS:
                _refuse_service(text, _tokens(iri))
    words = [match for match in _tokens(_IRIS[0]).finditer(decoded) if match.lastgroup not in _SKIPPED]
    _refuse_updates(words)
    return _from_clauses([match for match in words if match.group().strip()])


@cache
def _tokens(iri: str) -> re.Pattern[str]:
    # Made when needed: most texts need one of three, and a worker should start fast.
    return re.compile(_TOKENS.replace("{iri}", iri), re.DOTALL)


def _decoded(text: str) -> str:
    # Until nothing changes: a text that hides an escape in an escape is read in every way it could be meant.
    for _ in range(4):
        plain = _ESCAPE.sub(_character, text)
        if plain == text:
            return plain
        text = plain
    raise Malformed(
        "The query has escapes within escapes.",
        why="Nobody needs that.",
        todo="Write the characters themselves.",
    )


def _character(escape: re.Match[str]) -> str:
    number = int(escape.group(1) or escape.group(2), 16)
    return chr(number) if number < 0x110000 else "\ufffd"


def _refuse_service(text: str, pattern: re.Pattern[str]) -> None:
    left: list[str] = []
    for match in pattern.finditer(text):
        kind, found = match.lastgroup, match.group()
        if kind in ("name", "blank") and ".service" not in found.casefold():
            left.append(f" {match.group('prefix') or ''} ")
        elif kind in ("name", "blank", "word", "other", "open_long", "open_short"):
            left.append(found)
        elif kind != "comment":
            left.append(" ")
    if "service" in "".join(left).casefold():
        raise Forbidden(
            "The query names SERVICE.",
            why="This endpoint reaches no other server, for whoever asks.",
            todo="Ask the other endpoint yourself; if SERVICE is a prefix of yours, rename it.",
        )


def _refuse_updates(words: list[re.Match[str]]) -> None:
    named = [match.group().upper() for match in words if match.lastgroup == "word"]
    # LOAD is a word of no query; the other updates can only stand first, before any form of query.
    first = next((word for word in named if word not in ("BASE", "PREFIX", "VERSION", "WITH", "USING")), "")
    if "LOAD" in named or first in _UPDATES:
        raise Forbidden(
            "The text is an update, not a query.",
            why="The RDF view is made from the records that nodes publish; nobody writes to it directly.",
            todo="Send a SELECT, ASK, CONSTRUCT or DESCRIBE.",
        )


def _from_clauses(tokens: list[re.Match[str]]) -> Asked:
    default: list[str] = []
    named: list[str] = []
    for place, token in enumerate(tokens):
        if token.lastgroup != "word" or token.group().upper() != "FROM":
            continue
        rest = tokens[place + 1 : place + 3]
        is_named = bool(rest) and rest[0].lastgroup == "word" and rest[0].group().upper() == "NAMED"
        target = rest[1] if is_named and len(rest) > 1 else (rest[0] if rest else None)
        if target is None or target.lastgroup != "iri":
            raise Malformed(
                "A FROM clause does not name its graph by a full IRI.",
                why="The graphs are compared with those that you may see before the query is run.",
                todo="Write FROM <https://…>.",
            )
        (named if is_named else default).append(target.group()[1:-1])
    if not default and not named:
        return Asked(None, None)
    return Asked(tuple(default), tuple(named))
