"""boto3 sessions for collectors: an assumed role with 15-minute credentials, fetched when first needed.

The role is assumed by the first call of a collector and not before, so that a refusal ends as a typed
non-observation of what was to be seen. An emulator on this machine needs no credentials of its own.
"""

from __future__ import annotations

import ipaddress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import boto3

SESSION_SECONDS = 900
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
    return _assumed(base, role_arn, endpoint_url)


def _assumed(base: boto3.Session, role_arn: str, endpoint_url: str | None) -> boto3.Session:
    import boto3
    import botocore.session
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    create: Any = base.client
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=partial(_client, create, endpoint_url),
        source_credentials=base.get_credentials(),
        role_arn=role_arn,
        extra_args={"DurationSeconds": SESSION_SECONDS, "RoleSessionName": SESSION_NAME},
    )
    inside = botocore.session.get_session()
    inside._credentials = DeferredRefreshableCredentials(  # noqa: SLF001 - botocore offers no public way
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return boto3.Session(botocore_session=inside, region_name=base.region_name)


def _client(create: Any, endpoint_url: str | None, service: str, **options: Any) -> Any:  # noqa: ANN401 - botocore's
    return create(service, endpoint_url=endpoint_url, **options)


def _on_this_machine(endpoint_url: str | None) -> bool:
    host = urlsplit(endpoint_url).hostname if endpoint_url else None
    if host is None:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
