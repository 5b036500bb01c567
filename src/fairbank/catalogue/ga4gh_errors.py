"""Errors of the export to GA4GH visas.

CatalogueError             FB-CAT-001
├── Ga4ghVisaRefused       FB-JOBS-140
└── Ga4ghKeyUnusable       FB-JOBS-141
"""

from __future__ import annotations

from fairbank.catalogue.errors import CatalogueError
from fairbank.errors import Kind


class Ga4ghVisaRefused(CatalogueError):
    """A GA4GH visa does not verify, or says something else than is asked of it."""

    code = "FB-JOBS-140"
    kind = Kind.FORBIDDEN


class Ga4ghKeyUnusable(CatalogueError):
    """The key with which grants are exported cannot be used."""

    code = "FB-JOBS-141"
    kind = Kind.FAILED
