"""The two Alembic histories, hub and node, and the one function that applies them."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Literal

from sqlalchemy.engine import Engine

from fairbank.database import HubBase, NodeBase


def upgrade(engine: Engine, history: Literal["hub", "node"]) -> None:
    """Bring a database to the newest version of its history."""
    rooms = (
        ["events", "audit", "catalogue.store", "federated_jobs.hub.store"]
        if history == "hub"
        else ["events", "audit", "deid.store", "harvest.store", "release.store", "federated_jobs.node.store"]
    )
    for room in rooms:
        try:
            importlib.import_module(f"fairbank.{room}")
        except ModuleNotFoundError as err:
            if err.name != f"fairbank.{room}":
                raise
    (HubBase if history == "hub" else NodeBase).metadata.create_all(engine)
