"""Flows without I/O: generators that yield calls, receive replies and return what they found.

A flow knows an AWS API and nothing of networks; a driver answers its calls live, from a recording,
or both, as httpx drives its authentication flows. A refusal is thrown into the flow, which may let it
pass (nothing was seen) or go on and report a part; it has no way to turn it into an empty list.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from collectors.aws.refusals import AwsRefused
from collectors.collector import Observed, Sighting
from evidence.payload import Payload
from evidence.record import Outcome
from evidence.scope import Unit

MAX_PAGES: Final = 1_000
"""More pages than any account has of what is listed here; a service that repeats itself ends there."""

Reply = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One API call: service by its boto3 name, operation by AWS's (``DescribeDBInstances``)."""

    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def following(self, name: str, token: str) -> Call:
        """The call for the page that a token names."""
        return Call(self.service, self.operation, {**self.parameters, name: token})

    def __str__(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a flow found; `refused` holds what was refused on the way, which makes it a part."""

    payload: Payload
    refused: Sequence[AwsRefused] = ()


Flow = Generator[Call, Reply, Finding]


class Driver(Protocol):
    """Answers calls."""

    def answer(self, call: Call) -> Reply:
        """The reply as plain JSON values (times as text, no ResponseMetadata).

        Raises:
            AwsRefused: there is none, and why.
        """


def drive(flow: Flow, driver: Driver) -> Finding:
    """Run a flow to its end.

    Raises:
        AwsRefused: a refusal that the flow did not take upon itself.
    """
    try:
        call = next(flow)
        while True:
            try:
                reply = driver.answer(call)
            except AwsRefused as refused:
                call = flow.throw(refused)
            else:
                call = flow.send(reply)
    except StopIteration as finished:
        finding: Finding = finished.value
        return finding


def pages(call: Call, *, sent: str, received: str) -> Generator[Call, Reply, list[Reply]]:
    """Every page of a list: `received` names the reply's token, `sent` the parameter that takes it.

    Raises:
        AwsRefused: the list does not end.
    """
    replies: list[Reply] = []
    asked = call
    while len(replies) < MAX_PAGES:
        reply = yield asked
        replies.append(reply)
        if not reply.get(received):
            return replies
        asked = call.following(sent, reply[received])
    raise AwsRefused(Outcome.PARTIAL, "EndlessList", f"{call} gave {MAX_PAGES} pages and no end")


@dataclass(frozen=True, slots=True)
class AwsAccess:
    """How to reach one account in one region: a driver of `collectors.aws.drivers`."""

    driver: Driver


class FlowCollector:
    """A collector that is one flow; the subclass names itself, its kind and its flow."""

    name: str
    version: str = "1"
    population: str
    kinds: Sequence[type[Payload]]

    def flow(self) -> Flow:
        """The flow, not yet started."""
        raise TypeError(f"{type(self).__name__} has no flow")

    def collect(self, unit: Unit, access: AwsAccess) -> Iterable[Sighting]:
        """One sighting: observed, or a part where single calls were refused."""
        finding = drive(self.flow(), access.driver)
        if not finding.refused:
            yield Observed(finding.payload, unit.subject)
            return
        codes = sorted({refused.code for refused in finding.refused})
        yield Observed(
            finding.payload,
            unit.subject,
            Outcome.PARTIAL,
            f"{len(finding.refused)} calls refused ({', '.join(codes)})",
            "; ".join(refused.detail for refused in finding.refused),
        )
