"""How files of a collection are de-identified: a profile, what goes beyond it, and the policies for pixels."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property

from fairbank.deid._e1_1 import EDITION, TABLE_SHA256
from fairbank.deid.policies import FacePolicy, PixelTrust
from fairbank.deid.profiles import Profile, check_options, codes_of, dates_modified_by
from fairbank.deid.recipes.recipe import Recipe
from fairbank.deid.rules import Option


@dataclass(frozen=True)
class Method:
    """Everything that decides what becomes of an element or a pixel, but the keys.

    Attributes:
        profile: the profile that runs.
        more: options of PS3.15 Annex E beyond those of the profile.
        recipe: the site's own rules, if any.
        trust: what is believed of pixels that say nothing.
        faces: what becomes of heads.
        look_at_one_in: one in so many of the files that need not be looked at is searched for text; 0 for none.
        deface_command: a program of the site's own that removes faces; empty for the built-in shear.
    """

    profile: Profile = Profile.RESEARCH
    more: frozenset[Option] = frozenset()
    recipe: Recipe | None = None
    trust: PixelTrust = PixelTrust.STRICT
    faces: FacePolicy = FacePolicy.HOLD
    deface_command: str = ""
    look_at_one_in: int = 1000

    def __post_init__(self) -> None:
        """Check that the options can run together.

        Raises:
            OptionsContradict: if two of them exclude each other.
            RecipeWouldLeak: if the recipe keeps what none of them retains.
        """
        check_options(self.options)
        if self.recipe is not None:
            self.recipe.check(self.options)

    @cached_property
    def options(self) -> frozenset[Option]:
        """Return the options that run."""
        return self.profile.options | self.more

    @cached_property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """Return (code value, code meaning) of what runs on elements, in ascending order (DICOM PS3.16, CID 7050)."""
        return codes_of(self.options)

    @property
    def dates_modified(self) -> str:
        """Return the value of Longitudinal Temporal Information Modified (0028,0303)."""
        return dates_modified_by(self.options)

    @cached_property
    def digest(self) -> str:
        """Return `sha256:…` of all that is decided here and of the table's edition."""
        told = {
            "profile": self.profile.value,
            "options": sorted(option.value for option in self.options),
            "recipe": None if self.recipe is None else self.recipe.digest,
            "trust": self.trust.value,
            "faces": self.faces.value,
            "look_at_one_in": self.look_at_one_in,
            "edition": EDITION,
            "table": TABLE_SHA256,
        }
        if self.deface_command:
            told["deface_command"] = self.deface_command
        return "sha256:" + hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
