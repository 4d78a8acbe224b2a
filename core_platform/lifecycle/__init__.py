"""How a tenant stays and leaves: states, legal holds, exports, retention."""

from core_platform.lifecycle.exports import Export, TenantCopy, copy_of_tenant, exports, make_export
from core_platform.lifecycle.holds import HeldTenant, open_holds, place_hold, release_hold
from core_platform.lifecycle.retention import retention, set_retention
from core_platform.lifecycle.states import begin_offboarding, cancel_offboarding, state_history

__all__ = [
    "Export",
    "HeldTenant",
    "TenantCopy",
    "begin_offboarding",
    "cancel_offboarding",
    "copy_of_tenant",
    "exports",
    "make_export",
    "open_holds",
    "place_hold",
    "release_hold",
    "retention",
    "set_retention",
    "state_history",
]
