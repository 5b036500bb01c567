"""Which anonymisation scripts an XNAT applies to a project, as part of the provenance of its images.

XNAT applies the site's script when images arrive and the project's when they are filed. A script that failed is only
in the server's log, and what was filed before it was written is not touched: this is what the archive says, no proof.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

from fairbank.harvest.sources.protocol import ArchiveDeid

TOOL = "XNAT anonymisation script"
SITE = "/xapi/anonymize/site"
_VERSION = re.compile(r'^\s*version\s+"([0-9][0-9.]{0,9})"', re.MULTILINE)


def archive_deid(scripts: Sequence[bytes]) -> ArchiveDeid:
    """Return what the scripts that are switched on come to, in the order in which XNAT applies them.

    The digest is that of the script's exact bytes; of two, that of the first, a zero byte, and the second.

    >>> archive_deid([]).enabled, archive_deid([b'version "6.1"']).version
    (False, '6.1')
    """
    versions = dict.fromkeys(
        found[1] for script in scripts if (found := _VERSION.search(script.decode(errors="replace")))
    )
    return ArchiveDeid(
        tool=TOOL,
        version=", ".join(versions) or "unknown",
        digest=f"sha256:{hashlib.sha256(bytes(1).join(scripts)).hexdigest()}" if scripts else None,
        enabled=bool(scripts),
    )


def enabled_scripts(project: str, get: Callable[[str], bytes | None]) -> list[bytes] | None:
    """Return the scripts that are switched on for a project, None if the archive does not tell.

    Args:
        project: the project, quoted for an address.
        get: returns the content of an address, None if the user may not read it or it is not there.
    """
    found, told = [], False
    for place in (SITE, f"/xapi/anonymize/projects/{project}"):
        enabled = get(f"{place}/enabled")
        told = told or enabled is not None
        if enabled is not None and enabled.strip().lower() == b"true" and (script := get(place)):
            found.append(script)
    return found if told else None
