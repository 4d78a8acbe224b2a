"""The AWS Config recorders of an account and region: there, and recording now."""

from __future__ import annotations

from collections.abc import Sequence

from collectors.aws.flow import Call, Finding, Flow, FlowCollector
from evidence.kinds.aws import ConfigRecorders
from evidence.payload import Payload


def config_recorders() -> Flow:
    """``config:DescribeConfigurationRecorders`` and ``…RecorderStatus``; both or nothing."""
    listed = yield Call("config", "DescribeConfigurationRecorders")
    status = yield Call("config", "DescribeConfigurationRecorderStatus")
    recording = [one for one in status["ConfigurationRecordersStatus"] if one["recording"]]
    return Finding(ConfigRecorders(count=len(listed["ConfigurationRecorders"]), recording=len(recording)))


class ConfigCollector(FlowCollector):
    """Looks at AWS Config."""

    name: str = "aws.config"
    population: str = "aws.config"
    kinds: Sequence[type[Payload]] = (ConfigRecorders,)

    def flow(self) -> Flow:
        """`config_recorders`."""
        return config_recorders()
