"""Whether a face is gone: the skin of the files as they were against the skin of the files as they are.

Independent of how it was removed: nothing is known of a brain or a plane. In the volume as it was the nose is looked
for; around it lies the zone by which a person is recognised: from above the eyes to the chin, and across both eyes.
There the skin must be gone, with what lies close behind it, and what is left must not repeat its shape.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fairbank.deid.faces.surface import Depth, body_of, depth_of, nose_in, skin_level, smoothed
from fairbank.deid.faces.volume import Volume

STEP_MM = 2.0
# From the tip of the nose: the upper lids lie 34 mm above, the lower lip 40 mm below, the
# chin's tip 70 mm below; the outer corners of the eyes are 45 mm to each side (Farkas 1994, Anthropometry of the head
# and face, 2nd edition, norms of adults, rounded). Of the cheeks what faces forward: not farther back from the tip.
_ABOVE_MM = 34.0
_BELOW_MM = 70.0
_ASIDE_MM = 45.0
_BEHIND_MM = 65.0
# Children's faces are smaller: the zone shrinks with the face's width at the nose, if it is less than an adult's.
_FACE_WIDTH_MM = 125.0
_SMALLEST = 0.5
# Skin counts as left where less than this was taken away; as gone only in part where a mould of it could be left.
_LEFT_MM = 4.0
_LEFT_SHARE = 0.02
_NOSE_GONE_MM = 15.0
_SAME_SHAPE = 0.9
_SHAPE_MM = 20.0
# As much of the zone must have been seen in the files as they were: a face cut by the field cannot be judged.
_SEEN_SHARE = 0.6


@dataclass(frozen=True, slots=True)
class FaceCheck:
    """What was found.

    Attributes:
        face_found: whether a face was found in the files as they were, to be compared with.
        seen: share of the face's zone that could be seen then.
        left: share of the zone's skin that is still there.
        nose_gone_mm: how much is gone at the tip of the nose.
        same_shape: correlation of what is left with the shape of the face, -1 to 1.
    """

    face_found: bool
    seen: float = 0.0
    left: float = 1.0
    nose_gone_mm: float = 0.0
    same_shape: float = 1.0

    @property
    def passed(self) -> bool:
        """Return whether the face is gone."""
        return (
            self.face_found
            and self.seen >= _SEEN_SHARE
            and self.left <= _LEFT_SHARE
            and self.nose_gone_mm >= _NOSE_GONE_MM
            and self.same_shape < _SAME_SHAPE
        )


def skin_of(volume: Volume, modality: str, *, level: float | None = None) -> tuple[Depth, float]:
    """Return the depth of the skin, (n_x, n_z) float64 mm, and the value that parts it from air."""
    parted = skin_level(volume, modality) if level is None else level
    return depth_of(volume, body_of(volume, parted)), parted


def check_face(before: Depth, after: Depth, step_mm: float) -> FaceCheck:
    """Compare the skin before and after; both (n_x, n_z) float64 mm on one grid, nan where no skin is seen."""
    nose = nose_in(before, step_mm)
    if nose is None:
        return FaceCheck(face_found=False)
    size_x, size_z = before.shape
    size = (
        float(np.clip(np.isfinite(before[:, nose.z]).sum() * step_mm / _FACE_WIDTH_MM, _SMALLEST, 1.0))
        / step_mm
    )
    x0, x1 = (nose.x + round(side * _ASIDE_MM * size) for side in (-1, 1))
    z0, z1 = nose.z - round(_BELOW_MM * size), nose.z + round(_ABOVE_MM * size)
    zone = (slice(max(x0, 0), min(x1 + 1, size_x)), slice(max(z0, 0), min(z1 + 1, size_z)))
    was, now = before[zone], after[zone]
    skin = was - before[nose.x, nose.z] <= _BEHIND_MM
    if not skin.any():
        return FaceCheck(face_found=False)
    # Skin that is nowhere any more, or lies behind air that was scanned, is gone altogether.
    gone = np.where(np.isfinite(now), now - was, np.inf)
    around = gone[max(nose.x - zone[0].start - 2, 0) :][:5, max(nose.z - zone[1].start - 2, 0) :][:, :5]
    return FaceCheck(
        face_found=True,
        seen=float(skin.sum()) / skin.size,
        left=float((skin & (gone < _LEFT_MM)).sum()) / float(skin.sum()),
        nose_gone_mm=float(np.nanmin(around)),
        same_shape=_alike(was, now, step_mm),
    )


def _alike(was: Depth, now: Depth, step_mm: float) -> float:
    shapes = [part - smoothed(part, _SHAPE_MM / step_mm) for part in (was, now)]
    both = np.isfinite(shapes[0]) & np.isfinite(shapes[1])
    first, second = (shape[both] for shape in shapes)
    if both.sum() < 50 or not first.std() or not second.std():
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
