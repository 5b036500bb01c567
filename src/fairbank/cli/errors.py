"""Errors of the command line.

FairbankError
└── CliError                 FB-CLI-001
    ├── PortInUse            FB-CLI-002
    ├── NoPassword           FB-CLI-003
    ├── UnreadableFile       FB-CLI-004
    ├── SystemRefused        FB-CLI-005
    ├── SavedSearchRefused   FB-CLI-006
    └── NoTerminal           FB-CLI-007
"""

from __future__ import annotations

from fairbank.errors import FairbankError, Kind


class CliError(FairbankError):
    """A command cannot do what it was asked."""

    code = "FB-CLI-001"
    kind = Kind.MISUSE


class PortInUse(CliError):
    """A server cannot listen, because another process does at the same port."""

    code = "FB-CLI-002"
    kind = Kind.FAILED


class NoPassword(CliError):
    """A password is needed, and there is nobody at the keyboard to ask."""

    code = "FB-CLI-003"


class UnreadableFile(CliError):
    """A file named on the command line cannot be read."""

    code = "FB-CLI-004"


class SystemRefused(CliError):
    """The operating system did not let a command read, write or start something."""

    code = "FB-CLI-005"
    kind = Kind.FAILED


class SavedSearchRefused(CliError):
    """A search cannot be kept under a name, or there is none of that name."""

    code = "FB-CLI-006"


class NoTerminal(CliError):
    """A command would ask questions, and there is nobody at the keyboard to answer them."""

    code = "FB-CLI-007"
