"""What a project says of itself: a file `project.toml` in its folder; without one it is private and says nothing.

title = "Liver, portal venous phase"
description = "CT of the abdomen, with contrast."
keywords = "liver ct"
accessibility = "protected"          # private, protected or public

[pi]
firstname = "Ada"
lastname = "Pi"

[[investigators]]
title = "Dr"
firstname = "Bo"
lastname = "Vine"
"""

from __future__ import annotations

import tomllib
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict

NAME = "project.toml"


class Accessibility(StrEnum):
    """Who sees a project in an archive: its members, all see that it is there, or all see everything."""

    PRIVATE = "private"
    PROTECTED = "protected"
    PUBLIC = "public"


class Investigator(BaseModel):
    """Somebody who is responsible for a project."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    firstname: str = ""
    lastname: str = ""


class About(BaseModel):
    """The file's content; an archive knows keywords as one text with spaces between."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    description: str = ""
    keywords: str = ""
    accessibility: Accessibility = Accessibility.PRIVATE
    pi: Investigator | None = None
    investigators: tuple[Investigator, ...] = ()


def read_about(folder: Path) -> About:
    """Return what a project's folder says of it.

    Raises:
        ValueError: if its file is not of this form.
    """
    file = folder / NAME
    return About(**tomllib.loads(file.read_text(encoding="utf-8"))) if file.exists() else About()
