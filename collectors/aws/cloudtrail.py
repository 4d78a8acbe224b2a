"""The CloudTrail trails that an account sees in a region, each with whether it is logging now."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.aws.flow import Call, Finding, Flow, FlowCollector
from collectors.aws.refusals import AwsRefused
from evidence.kinds.aws import CloudTrails, Trail
from evidence.payload import Payload


def cloud_trails() -> Flow:
    """``cloudtrail:DescribeTrails``, then ``cloudtrail:GetTrailStatus`` of each.

    A trail is asked for by ARN, so that trails of other regions and of the organisation answer too.
    """
    listed = (yield Call("cloudtrail", "DescribeTrails"))["trailList"]
    trails: list[Trail] = []
    refusals: list[AwsRefused] = []
    for one in listed:
        try:
            status = yield Call("cloudtrail", "GetTrailStatus", {"Name": one["TrailARN"]})
        except AwsRefused as refused:
            refusals.append(refused)
            continue
        trails.append(
            Trail(
                name=one["Name"],
                multi_region=one["IsMultiRegionTrail"],
                log_file_validation=one["LogFileValidationEnabled"],
                logging=status["IsLogging"],
            )
        )
    return Finding(CloudTrails(count=len(listed), trails=tuple(trails)), refusals)


class CloudTrailCollector(FlowCollector):
    """Looks at CloudTrail."""

    name: str = "aws.cloudtrail"
    population: str = "aws.cloudtrail"
    kinds: Sequence[type[Payload]] = (CloudTrails,)

    def flow(self) -> Flow:
        """`cloud_trails`."""
        return cloud_trails()
