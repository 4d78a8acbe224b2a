"""Clients for a tenant's registered source: its role assumed for 15 minutes, and narrowed to the reading.

The session policy is what bounds us: permissions are the intersection of the role's and the session's
(AWS IAM, "Policies and permissions", session policies), so even a role that may do more lets this session
list and read the registered place and nothing else.
"""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from core_platform.assumed_role import assumed
from core_platform.redaction.cloudwatch_reader import LogGroup
from core_platform.redaction.log_source import LogPlace
from core_platform.redaction.s3_reader import LogBucket
from core_platform.settings import LogSource, RedactionSettings

if TYPE_CHECKING:
    import boto3

SESSION_NAME: Final = "tensorcost-log-reader"


def open_place(
    base: "boto3.Session", settings: RedactionSettings, source: LogSource, now: datetime
) -> LogPlace:
    """The source's place, behind a client of its role; nothing is called before its units are asked for.

    Raises:
        NoCredentialsError: we have none of our own (botocore's own error).
    """
    session = assumed(
        base,
        role_arn=source.role_arn,
        session_name=SESSION_NAME,
        endpoint_url=settings.aws_endpoint_url,
        ExternalId=source.external_id,
        Policy=json.dumps(session_policy(source, settings.region), separators=(",", ":")),
    )
    if source.log_group is None:
        client = session.client("s3", endpoint_url=settings.aws_endpoint_url)
        return LogBucket(client, source.bucket or "", source.prefix)
    client = session.client("logs", endpoint_url=settings.aws_endpoint_url)
    return LogGroup(client, source.log_group, source.account, source.first_moment, now)


def session_policy(source: LogSource, region: str) -> dict[str, Any]:
    """What the session may do at most: list and read the registered place."""
    if source.log_group is not None:
        group = f"arn:aws:logs:{region}:{source.account}:log-group:{source.log_group}:*"
        return _policy(_allow("logs:FilterLogEvents", group))
    start = f"{source.prefix.rstrip('/')}/AWSLogs/" if source.prefix else "AWSLogs/"
    listed = _allow("s3:ListBucket", f"arn:aws:s3:::{source.bucket}")
    listed["Condition"] = {"StringLike": {"s3:prefix": f"{start}*"}}
    opened = _allow("kms:Decrypt", "*")
    opened["Condition"] = {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}}
    return _policy(listed, _allow("s3:GetObject", f"arn:aws:s3:::{source.bucket}/{start}*"), opened)


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def _allow(action: str, resource: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}
