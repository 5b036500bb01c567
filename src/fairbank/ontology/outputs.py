"""What may leave a node: the classes of job outputs, and the classes of the one door."""

from __future__ import annotations

from enum import StrEnum


class OutputClass(StrEnum):
    """What a job may return; a request asks for these, a visa grants them, a manifest declares them."""

    COUNT = "count"
    MEASUREMENTS = "measurements"
    MODEL_UPDATE = "model-update"


class DoorClass(StrEnum):
    """What passes the release gate, each class with its own schema, approval and retention."""

    CONTROL = "control"
    RECORD = "record"
    COUNT = "count"
    RESULT = "result"
    UPDATE = "update"
    ERROR = "error"


DOOR_OF_OUTPUT = {
    OutputClass.COUNT: DoorClass.COUNT,
    OutputClass.MEASUREMENTS: DoorClass.RESULT,
    OutputClass.MODEL_UPDATE: DoorClass.UPDATE,
}
