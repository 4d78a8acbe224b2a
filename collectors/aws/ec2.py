"""The EBS volumes of an account and region, and whether new ones are encrypted without asking."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.aws.flow import Call, Finding, Flow, FlowCollector, pages
from evidence.kinds.aws import EbsVolume, EbsVolumes
from evidence.payload import Payload


def ebs_volumes() -> Flow:
    """``ec2:DescribeVolumes`` and ``ec2:GetEbsEncryptionByDefault``; both or nothing."""
    replies = yield from pages(Call("ec2", "DescribeVolumes"), sent="NextToken", received="NextToken")
    default = yield Call("ec2", "GetEbsEncryptionByDefault")
    found = tuple(
        EbsVolume(volume["VolumeId"], volume["Encrypted"]) for reply in replies for volume in reply["Volumes"]
    )
    return Finding(
        EbsVolumes(
            count=len(found),
            encrypted_by_default=default["EbsEncryptionByDefault"],
            volumes=found,
        )
    )


class Ec2Collector(FlowCollector):
    """Looks at EBS, which EC2's API describes."""

    name: str = "aws.ec2"
    population: str = "aws.ec2"
    kinds: Sequence[type[Payload]] = (EbsVolumes,)

    def flow(self) -> Flow:
        """`ebs_volumes`."""
        return ebs_volumes()
