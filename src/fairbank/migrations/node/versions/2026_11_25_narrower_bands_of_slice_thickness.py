"""Narrower bands of slice thickness.

Revision: 8c2f6d10b7e4
Follows: f629a4f93899
Written: 2026-11-25 18:02:11.402215+00:00
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "8c2f6d10b7e4"
down_revision = "f629a4f93899"
branch_labels = None
depends_on = None

_SERIES = sa.table(
    "harvest_series", sa.column("slice_thickness", sa.String()), sa.column("slice_thickness_mm", sa.Float())
)
_FORMER = "1.5-3"
_BANDS = ((2.0, "1.5-2"), (2.5, "2-2.5"), (3.0, "2.5-3"))


def upgrade() -> None:
    # The thickness itself is in the index, so no file has to be read again.
    mm = _SERIES.c.slice_thickness_mm
    band = sa.case(*((mm < below, name) for below, name in _BANDS), else_="unknown")
    op.execute(_SERIES.update().where(_SERIES.c.slice_thickness == _FORMER).values(slice_thickness=band))


def downgrade() -> None:
    narrower = [name for _, name in _BANDS]
    op.execute(
        _SERIES.update().where(_SERIES.c.slice_thickness.in_(narrower)).values(slice_thickness=_FORMER)
    )
