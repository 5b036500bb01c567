"""Talking to a DICOM archive by DIMSE: associations, C-ECHO, C-FIND, C-GET and C-MOVE (DICOM PS3.4, PS3.7, PS3.8).

pynetdicom prints what it sends and receives, names included; here it is silent.
"""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, TypeVar, cast

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pynetdicom import AE, _config, build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from fairbank.deid.part10 import quiet_pydicom
from fairbank.harvest.errors import AssociationRefused, ReceiverNotOpened, SourceFailed, SourceUnreachable
from fairbank.harvest.sources.dimse_contexts import Offer
from fairbank.harvest.sources.dimse_gate import guard
from fairbank.harvest.sources.pace import back_off_s

_SUCCESS: Final = 0x0000
_PENDING: Final = frozenset({0xFF00, 0xFF01})
# Out of resources, limit of responses reached, cancelled (DICOM PS3.4, table C.4-1 and section C.6.4.4).
_CAPPED: Final = frozenset({0xA700, 0xB001, 0xFE00})
_NOT_WANTED: Final = 0x0124
_CANNOT_STORE: Final = 0xA700
_TRIES: Final = 2
# "Rejected, transient" (DICOM PS3.8, table 9-21), and how often to come back.
_TRANSIENT: Final = 2
_REFUSALS: Final = 4
# An association that ends sooner than this was ended by the archive, not by our patience.
_AT_ONCE_S: Final = 5.0
_CHANCE: Final = random.SystemRandom()

# Verification, and the Study Root models of C-FIND, C-MOVE and C-GET (DICOM PS3.6, table A-1).
_ECHO: Final = "1.2.840.10008.1.1"
_FIND: Final = "1.2.840.10008.5.1.4.1.2.2.1"
_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
_GET: Final = "1.2.840.10008.5.1.4.1.2.2.3"

Row = dict[str, str]
# Takes the UIDs of an image and of its class, and the bytes of a whole file.
Store = Callable[[str, str, bytes], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Address:
    """Where an archive answers, and under which application entity titles; a title has at most 16 characters.

    Attributes:
        tls: how the connection is encrypted; None for none.
    """

    host: str
    port: int
    called_ae: str
    calling_ae: str
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where this node receives what an archive sends after C-MOVE: its title there, and where it listens."""

    title: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a C-FIND gave; `whole` tells whether the archive ended it as one that found all."""

    rows: tuple[Row, ...]
    whole: bool


class DimsePeer:
    """One archive; questions share an association, which is opened when needed. Close it after use.

    Args:
        name: what messages call the archive: its name at the node.
        timeout_s: longest silence of the archive.
        pause_s: pause before each request.
    """

    def __init__(
        self,
        address: Address,
        *,
        name: str,
        timeout_s: float = 120,
        pause_s: float = 0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._address = address
        self._name = name
        self._pause_s = pause_s
        self._sleep = sleep
        # What the archive calls its software, once it has answered.
        self.software = ""
        self._questions: Association | None = None
        self._listening: Listening | None = None
        _set_up_pynetdicom()
        self._ae = AE(ae_title=address.calling_ae)
        self._ae.connection_timeout = self._ae.acse_timeout = min(timeout_s, 30)
        self._ae.dimse_timeout = self._ae.network_timeout = timeout_s

    def echo(self) -> None:
        """See that the archive answers (C-ECHO).

        Raises:
            SourceUnreachable: if it does not.
            AssociationRefused: if it does not accept the titles.
        """
        if _code(self._asked(lambda link: link.send_c_echo())) != _SUCCESS:
            raise self._failed("it does not answer C-ECHO with success")

    def find(self, level: str, keys: Mapping[str, str]) -> Found:
        """Ask for studies, series or images (C-FIND of the Study Root model).

        Args:
            level: `STUDY`, `SERIES` or `IMAGE`.
            keys: what to match; an empty value asks for the attribute.

        Raises:
            SourceUnreachable, AssociationRefused: as `echo`.
            SourceFailed: if the archive refuses the question.
        """
        with quiet_pydicom():
            question = _identifier(level, keys)
            return self._asked(lambda link: self._found(link, question, tuple(keys)))

    def get(
        self, asked: Sequence[tuple[str, Mapping[str, str]]], *, offer: Offer, store: Store
    ) -> set[tuple[str, str]]:
        """Fetch images over the association that asks for them (C-GET), and return the contexts that were accepted.

        No port is opened here.

        Args:
            asked: what to fetch, each with its level; the later ones only if the first brings anything.
            offer: the presentation contexts that images may come in.
            store: takes what comes.
        """
        came = 0

        def counted(instance: str, sop_class: str, content: bytes) -> None:
            nonlocal came
            store(instance, sop_class, content)
            came += 1

        roles = [
            build_role(uid, scp_role=True) for uid in {str(context.abstract_syntax) for context in offer}
        ]
        self._release_questions()
        link = self._associated(
            [build_context(_GET), *offer], roles, [(evt.EVT_C_STORE, _storing(lambda: (counted, None)))]
        )
        with quiet_pydicom(), _releasing(link):
            if not _accepted(link, _GET):
                raise self._failed("it does not offer C-GET; use the option move_to")
            for level, keys in asked:
                self._sleep(self._pause_s)
                self._finished(link.send_c_get(_identifier(level, keys), _GET))
                if not came:
                    break
            return {
                (str(context.abstract_syntax), str(context.transfer_syntax[0]))
                for context in link.accepted_contexts
            }

    def move(self, of_series: Mapping[str, str], *, receiver: Receiver, store: Store) -> None:
        """Have a series sent to a receiver that listens for as long as this takes (C-MOVE).

        Args:
            of_series: the UIDs of study and series; images of other series are refused.
            store: takes what comes.

        Raises:
            ReceiverNotOpened: if the receiver's address cannot be listened on.
        """
        self._release_questions()
        if self._listening is None:
            self._listening = Listening(receiver, name=self._name)
        link = self._associated([build_context(_MOVE)], [], [])
        wanted = self._listening.taking(store, of_series["SeriesInstanceUID"])
        with quiet_pydicom(), _releasing(link), wanted:
            if not _accepted(link, _MOVE):
                raise self._failed("it does not offer C-MOVE; leave out the option move_to")
            self._sleep(self._pause_s)
            self._finished(link.send_c_move(_identifier("SERIES", of_series), receiver.title, _MOVE))

    def close(self) -> None:
        """End the association and the listening; a closed peer may be closed again."""
        self._release_questions()
        if self._listening is not None:
            self._listening.close()
            self._listening = None

    def _release_questions(self) -> None:
        """End the association for questions: some archives talk to one caller at a time."""
        if self._questions is not None:
            _released(self._questions)
            self._questions = None

    def _asked(self, ask: Callable[[Association], T]) -> T:
        """Ask over the association for questions; once more over a new one, if the archive has ended it meanwhile."""
        for attempt in range(1, _TRIES + 1):
            self._sleep(self._pause_s)
            if self._questions is None or not self._questions.is_established:
                contexts = [build_context(_ECHO), build_context(_FIND)]
                self._questions = self._associated(contexts, [], [])
            try:
                return ask(self._questions)
            except (_BrokeOff, RuntimeError) as err:
                _released(self._questions)
                self._questions = None
                if attempt == _TRIES:
                    raise self._unreachable() from err
        raise AssertionError("the last try either returns or raises")

    def _found(self, link: Association, question: Dataset, wanted: Sequence[str]) -> Found:
        if not _accepted(link, _FIND):
            raise self._failed("it does not offer C-FIND of the Study Root model")
        rows: list[Row] = []
        whole = True
        for status, identifier in link.send_c_find(question, _FIND):
            code = _code(status)
            if code in _PENDING:
                # What cannot be decoded at all is one series that nobody can name; the others are not affected.
                whole = whole and identifier is not None
                if identifier is not None:
                    rows.append(_row(identifier, wanted))
            elif code in _CAPPED:
                whole = False
            elif code != _SUCCESS:
                raise self._failed(f"it answers C-FIND with status {code:04X}")
        return Found(tuple(rows), whole)

    def _finished(self, responses: Iterator[tuple[Dataset, Dataset | None]]) -> None:
        """Wait for the end of a retrieval; which images came is seen from what was stored."""
        try:
            for status, _ in responses:
                code = _code(status)
        except _BrokeOff as err:
            raise self._unreachable() from err
        if code & 0xF000 == 0xC000 or code in (0xA801, 0xA900):
            # The address of the receiver is not known (A801), the request is not understood (A900, Cxxx).
            raise self._failed(f"it answers the retrieval with status {code:04X}")

    def _associated(
        self, contexts: list[PresentationContext], roles: list[Any], handlers: list[Any]
    ) -> Association:
        where = self._address
        for attempt in range(1, _REFUSALS + 1):
            opened: list[Event] = []
            begun = time.monotonic()
            link = self._ae.associate(
                where.host,
                where.port,
                contexts=contexts,
                ae_title=where.called_ae,
                ext_neg=roles,
                tls_args=(where.tls, where.host) if where.tls else None,
                evt_handlers=[
                    *handlers,
                    (evt.EVT_CONN_OPEN, send_at_once),
                    (evt.EVT_CONN_OPEN, opened.append),
                ],
            )
            if link.is_established:
                self.software = str(link.acceptor.implementation_version_name or "")
                return guard(link)
            said = link.acceptor.primitive if link.is_rejected else None
            # A peer that hangs up as soon as it has refused can take its answer with it: its reset overtakes it.
            hung_up = bool(opened) and not link.is_rejected and time.monotonic() - begun < _AT_ONCE_S
            busy = said is not None and said.result == _TRANSIENT
            if not (busy or hung_up) or attempt == _REFUSALS:
                break
            self._sleep(back_off_s(attempt, _CHANCE))
        if not link.is_rejected:
            raise self._unreachable()
        raise AssociationRefused(
            f"The archive {self._name} refuses the association: {said.reason_str if said else 'no reason given'}.",
            why="It knows its callers by their application entity titles, and often by their addresses too.",
            todo="Have this node's title entered at the archive, or correct the options called_ae and calling_ae.",
        )

    def _unreachable(self) -> SourceUnreachable:
        return SourceUnreachable(
            f"The archive {self._name} does not answer.",
            why="No association could be made, or it broke off, or no answer came in time.",
            todo="Check its address, port and that it runs; 'harvest_timeout_s' sets how long to wait.",
        )

    def _failed(self, reason: str) -> SourceFailed:
        return SourceFailed(
            f"The archive {self._name} failed: {reason}.",
            why="Nothing of this answer was used, and nothing was lost.",
            todo="Look at the archive's own log, and run the harvest again: it goes on where it stopped.",
        )


class Listening:
    """A receiver of images, for as long as its source is open; it takes one series at a time, and no other.

    Raises:
        ReceiverNotOpened: if its address cannot be listened on.
    """

    def __init__(self, receiver: Receiver, *, name: str) -> None:
        self._wanted: tuple[Store, str | None] = (_refuse, None)
        listener = AE(ae_title=receiver.title)
        listener.require_called_aet = True
        listener.add_supported_context(_ECHO)
        try:
            self._server = listener.start_server(
                (receiver.host, receiver.port),
                block=False,
                evt_handlers=[(evt.EVT_C_STORE, _storing(lambda: self._wanted))],
            )
        except OSError as err:
            raise ReceiverNotOpened(
                f"The receiver of the source {name} cannot listen on its address.",
                why="The address is not one of this machine, or its port is in use or not permitted.",
                todo="Correct the option receive_at, and enter the same address at the archive.",
            ) from err

    @contextlib.contextmanager
    def taking(self, store: Store, series_uid: str) -> Iterator[None]:
        """Take the images of a series; those of others, and any that come later, are refused."""
        self._wanted = (store, series_uid)
        try:
            yield
        finally:
            self._wanted = (_refuse, None)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()


def _refuse(instance: str, sop_class: str, content: bytes) -> None:
    raise OSError("no series is wanted")


class _BrokeOff(Exception):
    """The association ended in the middle of a request."""


def send_at_once(event: Event) -> None:
    """Send small messages when they are there: waiting to fill a packet costs 40 ms with each question."""
    link = event.assoc.dul.socket
    if link is not None and link.socket is not None:
        link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _code(status: Dataset) -> int:
    if "Status" not in status:
        # An empty status is how pynetdicom says that no answer came.
        raise _BrokeOff
    return int(status.Status)


def _identifier(level: str, keys: Mapping[str, str]) -> Dataset:
    identifier = Dataset()
    # The names in a filter may be of any language.
    identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(identifier, keyword, value)
    return identifier


def _row(identifier: Dataset, wanted: Sequence[str]) -> Row:
    """Return what was asked for; the other attributes of an answer are not looked at."""
    row: Row = {}
    for keyword in wanted:
        try:
            value = identifier.get(keyword)
        except (ValueError, TypeError, AttributeError, LookupError, NotImplementedError):
            # A value that pydicom cannot read is as good as none.
            value = None
        parts = value if isinstance(value, MultiValue) else ("" if value is None else value,)
        row[keyword] = "\\".join(str(part).strip() for part in parts)
    return row


def _storing(now: Callable[[], tuple[Store, str | None]]) -> Callable[[Event], int]:
    """Return what takes an image: `now` gives the place, and the only series that is wanted, if one is."""

    def handle(event: Event) -> int:
        store, series_uid = now()
        try:
            content = event.encoded_dataset()
            if series_uid is not None and _series_of(content) != series_uid:
                return _NOT_WANTED
            request = cast(C_STORE, event.request)
            store(str(request.AffectedSOPInstanceUID), str(request.AffectedSOPClassUID), content)
        except OSError:
            return _CANNOT_STORE
        return _SUCCESS

    return handle


def _series_of(content: bytes) -> str:
    header = dcmread(BytesIO(content), stop_before_pixels=True, specific_tags=["SeriesInstanceUID"])
    return str(header.get("SeriesInstanceUID") or "")


def _accepted(link: Association, model: str) -> bool:
    return any(context.abstract_syntax == model for context in link.accepted_contexts)


@contextlib.contextmanager
def _releasing(link: Association) -> Iterator[None]:
    try:
        yield
    finally:
        _released(link)


def _released(link: Association) -> None:
    if link.is_established:
        link.release()


def _set_up_pynetdicom() -> None:
    """Keep its lines out of every log; let it take UIDs of more than 64 characters, and images of private classes."""
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL + 1)
    _config.LOG_HANDLER_LEVEL = "none"
    _config.LOG_REQUEST_IDENTIFIERS = _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.VALIDATORS["UI"] = lambda value: (bool(value), "is empty")
    _config.UNRESTRICTED_STORAGE_SERVICE = True
