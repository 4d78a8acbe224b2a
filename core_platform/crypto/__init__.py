"""Encryption of single values under a key of their tenant."""

from core_platform.crypto.values import Place, SealedValueError, TenantValueKey

__all__ = ["Place", "SealedValueError", "TenantValueKey"]
