"""Alembic's way into the hub's history."""

from fairbank.migrations.environment import run

run()
