"""The GuardDuty detectors of an account and region: there, and enabled."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.aws.flow import Call, Finding, Flow, FlowCollector, pages
from collectors.aws.refusals import AwsRefused
from evidence.kinds.aws import GuardDutyDetectors
from evidence.payload import Payload


def guardduty_detectors() -> Flow:
    """``guardduty:ListDetectors``, then ``guardduty:GetDetector`` of each."""
    replies = yield from pages(Call("guardduty", "ListDetectors"), sent="NextToken", received="NextToken")
    identifiers = [one for reply in replies for one in reply["DetectorIds"]]
    states: list[str] = []
    refusals: list[AwsRefused] = []
    for identifier in identifiers:
        try:
            detector = yield Call("guardduty", "GetDetector", {"DetectorId": identifier})
            states.append(detector["Status"])
        except AwsRefused as refused:
            refusals.append(refused)
    enabled = states.count("ENABLED")
    return Finding(GuardDutyDetectors(count=len(identifiers), enabled=enabled), refusals)


class GuardDutyCollector(FlowCollector):
    """Looks at GuardDuty."""

    name: str = "aws.guardduty"
    population: str = "aws.guardduty"
    kinds: Sequence[type[Payload]] = (GuardDutyDetectors,)

    def flow(self) -> Flow:
        """`guardduty_detectors`."""
        return guardduty_detectors()
