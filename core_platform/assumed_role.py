"""A boto3 session inside a role: assumed by its first call, for 15 minutes, and again when these are over.

Used by the platform for its customers' roles, and by Posture's collectors for auditors' roles.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import boto3

SESSION_SECONDS: Final = 900


def assumed(
    base: boto3.Session, *, role_arn: str, session_name: str, endpoint_url: str | None, **asked: str
) -> boto3.Session:
    """A session of a role, assumed with the credentials of `base`; nothing is called yet.

    Args:
        base: our own credentials, and the region.
        role_arn: the role.
        session_name: what the account's trail calls us.
        endpoint_url: of STS, where it is not AWS's own.
        asked: further parameters of AssumeRole by their names (ExternalId, Policy).

    Raises:
        NoCredentialsError: `base` has none (botocore's own error).
    """
    import boto3
    import botocore.session
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials
    from botocore.exceptions import NoCredentialsError

    own = base.get_credentials()
    if own is None:
        raise NoCredentialsError
    create: Any = base.client
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=partial(_client, create, endpoint_url),
        source_credentials=own,
        role_arn=role_arn,
        extra_args={"DurationSeconds": SESSION_SECONDS, "RoleSessionName": session_name, **asked},
    )
    inside = botocore.session.get_session()
    inside._credentials = DeferredRefreshableCredentials(  # noqa: SLF001 - botocore offers no public way
        method="assume-role", refresh_using=fetcher.fetch_credentials
    )
    return boto3.Session(botocore_session=inside, region_name=base.region_name)


def _client(create: Any, endpoint_url: str | None, service: str, **options: Any) -> Any:  # noqa: ANN401 - botocore's
    return create(service, endpoint_url=endpoint_url, **options)
