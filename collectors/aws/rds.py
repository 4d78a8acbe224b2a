"""The database instances of an account and region, every page of them."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.aws.flow import Call, Finding, Flow, FlowCollector, Reply, pages
from evidence.kinds.aws import RdsInstance, RdsInstances
from evidence.payload import Payload


def rds_instances() -> Flow:
    """``rds:DescribeDBInstances``."""
    replies = yield from pages(Call("rds", "DescribeDBInstances"), sent="Marker", received="Marker")
    found = tuple(_instance(one) for reply in replies for one in reply["DBInstances"])
    return Finding(RdsInstances(count=len(found), instances=found))


def _instance(one: Reply) -> RdsInstance:
    return RdsInstance(
        identifier=one["DBInstanceIdentifier"],
        encrypted=one["StorageEncrypted"],
        multi_az=one["MultiAZ"],
        backup_retention_days=one["BackupRetentionPeriod"],
        publicly_accessible=one["PubliclyAccessible"],
    )


class RdsCollector(FlowCollector):
    """Looks at RDS."""

    name: str = "aws.rds"
    population: str = "aws.rds"
    kinds: Sequence[type[Payload]] = (RdsInstances,)

    def flow(self) -> Flow:
        """`rds_instances`."""
        return rds_instances()
