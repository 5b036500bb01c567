"""The profiles that there are, by name."""

from __future__ import annotations

from typing import Final

from fairbank.ontology.errors import UnknownProfile
from fairbank.ontology.profiles.dcat_ap import DCAT_AP
from fairbank.ontology.profiles.eucaim import EUCAIM
from fairbank.ontology.profiles.fdp import FDP
from fairbank.ontology.profiles.healthdcat_ap import NON_PUBLIC, PUBLIC, RESTRICTED
from fairbank.ontology.profiles.rows import Profile

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile for profile in (FDP, DCAT_AP, NON_PUBLIC, RESTRICTED, PUBLIC, EUCAIM)
}


def profile_named(name: str) -> Profile:
    """Return a profile.

    Raises:
        UnknownProfile: if there is none of this name.
    """
    profile = PROFILES.get(name)
    if profile is None:
        raise UnknownProfile(
            f"There is no export profile {name[:80]!r}.",
            why=f"Those there are: {', '.join(PROFILES)}.",
            todo="Name one of these; the version is part of the name.",
        )
    return profile
