"""Errors of the trust portal: one family, each message naming the claim or file, and the next step."""

from __future__ import annotations


class PortalError(Exception):
    """Base of everything that `trust_portal` raises on purpose."""


class UnsupportedClaim(PortalError):
    """A claim whose words its verdict does not carry; the build stops rather than print it."""


class PackError(PortalError):
    """A pack that cannot be built from this ledger."""


class PdfUnavailable(PortalError):
    """PDFs need Pango, a library of the system that wheels cannot carry."""
