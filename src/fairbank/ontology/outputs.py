"""What may leave a node: the classes of job outputs, and the classes of the one door."""

from __future__ import annotations

from enum import StrEnum

# What a site tells of a federated statistic: sums over groups of subjects.
STATISTIC_TYPE = "application/vnd.fairbank.statistic+json"
# What a site tells of a model by groups of its held-out subjects.
GROUP_METRICS_TYPE = "application/vnd.fairbank.metrics-by-group+json"


class OutputClass(StrEnum):
    """What may be returned; a request asks for these, a visa grants them, a manifest declares them.

    `download` is no output of a job: a grant of it only records the decision, the site hands data over by its own way.
    """

    AGGREGATE = "aggregate"
    MEASUREMENTS = "measurements"
    MODEL_UPDATE = "model-update"
    DOWNLOAD = "download"


class DoorClass(StrEnum):
    """What passes the release gate, each class with its own schema, approval and retention."""

    CONTROL = "control"
    RECORD = "record"
    COUNT = "count"
    RESULT = "result"
    UPDATE = "update"
    ERROR = "error"


DOOR_OF_OUTPUT = {
    OutputClass.AGGREGATE: DoorClass.COUNT,
    OutputClass.MEASUREMENTS: DoorClass.RESULT,
    OutputClass.MODEL_UPDATE: DoorClass.UPDATE,
}
