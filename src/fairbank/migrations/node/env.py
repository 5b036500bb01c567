"""Alembic's way into the node's history."""

from fairbank.migrations.environment import run

run()
