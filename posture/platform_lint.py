"""How the lint reads the platform of this repository: the same settings for CI, demo and twins."""

from __future__ import annotations

from typing import Any

PLATFORM_LINT: dict[str, Any] = {
    "tenant_columns": ["tenant_id"],
    "registry": "core_platform/tenancy/bypass_sites.yaml",
    "entry_points": [
        "core_platform/tenancy/**",
        "core_platform/schema/migrations/**",
    ],
    "verified_packages": ["core_platform/tenancy/**"],
    "verifiers": ["HelloVerifier.verify"],
}
