"""Frames between a node and the worker of a job: four bytes of length, then one JSON object.

Arrays never travel in frames; they are files in the job's folders, named here.
"""

from __future__ import annotations

import json
import os
import select
import time
from enum import Enum
from typing import Any, BinaryIO

MAX_FRAME_BYTES = 4 << 20
Message = dict[str, Any]


class Operation(Enum):
    """What a node may ask of a worker."""

    HELLO = "hello"
    IMPORTED = "imported"
    BELONG = "belong"
    PREPARE = "prepare"
    ANALYSE = "analyse"
    INITIAL = "initial"
    TRAIN = "train"
    EVALUATE = "evaluate"
    CHECKPOINTS = "checkpoints"
    SHUTDOWN = "shutdown"


class JobKind(Enum):
    """What sort of code a worker runs."""

    ANALYSIS = "analysis"
    TRAINING = "training"


class FrameBroken(Exception):
    """The other side sent something that is no frame."""


class StreamEnded(Exception):
    """The other side is gone."""


class FrameTimeout(Exception):
    """The other side did not answer in time."""


def frame(message: Message) -> bytes:
    """Return a message as bytes.

    >>> read_message(frame({"op": "hello"})[4:])
    {'op': 'hello'}
    """
    body = json.dumps(message, allow_nan=False, separators=(",", ":")).encode()
    if len(body) > MAX_FRAME_BYTES:
        raise FrameBroken(f"a message of {len(body)} bytes is too long")
    return len(body).to_bytes(4, "big") + body


def read_message(body: bytes) -> Message:
    """Return the message in a frame's body."""
    try:
        message = json.loads(body)
    except ValueError as err:
        raise FrameBroken("a frame holds no JSON") from err
    if not isinstance(message, dict):
        raise FrameBroken("a frame holds no object")
    return message


def receive(stream: BinaryIO) -> Message | None:
    """Return the next message of a blocking stream, None at its end."""
    head = stream.read(4)
    if len(head) < 4:
        return None
    size = int.from_bytes(head, "big")
    if size > MAX_FRAME_BYTES:
        raise FrameBroken("a frame is too long")
    body = stream.read(size)
    return read_message(body) if len(body) == size else None


class FrameReader:
    """Reads frames from a pipe with a deadline.

    Args:
        descriptor: the pipe; nobody else may read from it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLIN | select.POLLHUP)
        self._waiting = bytearray()

    def read(self, *, timeout_s: float) -> Message:
        """Return the next message.

        Raises:
            FrameTimeout: after `timeout_s` seconds without a whole one.
            StreamEnded: if the other side closed the pipe.
            FrameBroken: if what came is no frame.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            message = self._next()
            if message is not None:
                return message
            left = deadline - time.monotonic()
            if left <= 0 or not self._poll.poll(left * 1000):
                raise FrameTimeout
            block = os.read(self._descriptor, 1 << 16)
            if not block:
                raise StreamEnded
            self._waiting += block

    def _next(self) -> Message | None:
        if len(self._waiting) < 4:
            return None
        size = int.from_bytes(self._waiting[:4], "big")
        if size > MAX_FRAME_BYTES:
            raise FrameBroken("a frame is too long")
        if len(self._waiting) < 4 + size:
            return None
        body = bytes(self._waiting[4 : 4 + size])
        del self._waiting[: 4 + size]
        return read_message(body)
