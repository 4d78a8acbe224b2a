"""boto3 sessions for collectors: an assumed role with 15-minute credentials, fetched when first needed.

The role is assumed by the first call of a collector and not before, so that a refusal ends as a typed
non-observation of what was to be seen. An emulator on this machine needs no credentials of its own.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from core_platform.assumed_role import assumed

if TYPE_CHECKING:
    import boto3

SESSION_NAME = "posture-collector"
_EMULATED = ("AKIAEMULATEDACCOUNT0", "emulated")


def session_for(region: str, *, role_arn: str | None, endpoint_url: str | None) -> boto3.Session:
    """A session with the environment's credentials, or those of `role_arn` assumed with them."""
    import boto3

    base = boto3.Session(region_name=region)
    if base.get_credentials() is None and _on_this_machine(endpoint_url):
        base = boto3.Session(*_EMULATED, region_name=region)
    if role_arn is None or base.get_credentials() is None:
        return base
    return assumed(base, role_arn=role_arn, session_name=SESSION_NAME, endpoint_url=endpoint_url)


def _on_this_machine(endpoint_url: str | None) -> bool:
    host = urlsplit(endpoint_url).hostname if endpoint_url else None
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
