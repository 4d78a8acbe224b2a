from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest
import redis
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError
from botocore.parsers import ResponseParserError

from collectors.boundary import look, refusal_of
from collectors.collector import NotObserved, Observed, Sighting, identify
from collectors.errors import Refused
from collectors.registry import COLLECTORS, UnknownPopulation, collectors_for
from evidence.kinds.aws import ConfigRecorders, GuardDutyDetectors
from evidence.payload import Payload
from evidence.record import Outcome
from evidence.scope import Unit

UNIT = Unit("aws/1", "aws", "aws:1/eu", {})
SEEN = Observed(ConfigRecorders(1, 1), UNIT.subject)


class Given:
    """A collector of two kinds that yields and raises what it is given."""

    name: str = "given"
    version: str = "1"
    population: str = "aws"
    kinds: Sequence[type[Payload]] = (ConfigRecorders, GuardDutyDetectors)

    def collect(self, unit: Unit, access: Sequence[Sighting | Exception]) -> Iterable[Sighting]:
        for one in access:
            if isinstance(one, Exception):
                raise one
            yield one


def test_a_kind_of_which_nothing_was_said_is_partial() -> None:
    seen, silent = look(Given(), UNIT, [SEEN])
    assert seen == SEEN
    assert isinstance(silent, NotObserved)
    assert (silent.kind, silent.outcome) == (GuardDutyDetectors, Outcome.PARTIAL)


def test_an_error_types_every_kind_and_takes_completeness_from_what_was_seen() -> None:
    seen, refused = look(Given(), UNIT, [SEEN, ConnectionRefusedError("no")])
    assert isinstance(seen, Observed)
    assert (seen.payload, seen.outcome) == (SEEN.payload, Outcome.PARTIAL)
    assert isinstance(refused, NotObserved)
    assert (refused.kind, refused.outcome) == (GuardDutyDetectors, Outcome.UNREACHABLE)


def test_a_refusal_keeps_its_own_words() -> None:
    for sighting in look(Given(), UNIT, [Refused(Outcome.THROTTLED, "slow", "slow down, please")]):
        assert isinstance(sighting, NotObserved)
        assert (sighting.outcome, sighting.reason, sighting.detail) == (
            Outcome.THROTTLED,
            "slow",
            "slow down, please",
        )


def test_what_a_person_interrupts_is_not_swallowed() -> None:
    class Interrupted(Given):
        def collect(self, unit: Unit, access: Any) -> Iterable[Sighting]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        look(Interrupted(), UNIT, [])


class Rpc(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (psycopg.errors.InsufficientPrivilege("no"), Outcome.DENIED),
        (psycopg.errors.InvalidPassword("no"), Outcome.DENIED),
        (psycopg.OperationalError('FATAL:  password authentication failed for user "x"'), Outcome.DENIED),
        (psycopg.OperationalError("connection refused"), Outcome.UNREACHABLE),
        (psycopg.errors.TooManyConnections("no"), Outcome.THROTTLED),
        (psycopg.errors.QueryCanceled("no"), Outcome.UNREACHABLE),
        (psycopg.errors.AdminShutdown("no"), Outcome.UNREACHABLE),
        (psycopg.errors.UndefinedTable("no"), Outcome.UNSUPPORTED),
        (psycopg.errors.FeatureNotSupported("no"), Outcome.UNSUPPORTED),
        (redis.exceptions.AuthenticationError("no"), Outcome.DENIED),
        (redis.exceptions.NoPermissionError("no"), Outcome.DENIED),
        (redis.exceptions.ConnectionError("no"), Outcome.UNREACHABLE),
        (EndpointConnectionError(endpoint_url="http://x"), Outcome.UNREACHABLE),
        (NoCredentialsError(), Outcome.DENIED),
        (ResponseParserError("no"), Outcome.UNSUPPORTED),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "X"), Outcome.DENIED),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "X"), Outcome.THROTTLED),
        (Rpc(), Outcome.DENIED),
        (PermissionError("no"), Outcome.DENIED),
        (FileNotFoundError("no"), Outcome.UNREACHABLE),
        (TimeoutError("no"), Outcome.UNREACHABLE),
        (KeyError("field"), Outcome.PARTIAL),
    ],
)
def test_errors_are_typed_by_the_tables(error: Exception, outcome: Outcome) -> None:
    refused = refusal_of(error)
    assert refused.outcome is outcome
    assert refused.reason
    assert type(error).__name__ in refused.detail


def test_an_error_in_no_table_names_its_class_as_a_fault_of_the_collector() -> None:
    assert refusal_of(ZeroDivisionError("x")).reason == "the collector failed (ZeroDivisionError)"


def test_every_collector_is_found_by_its_population_under_a_name_of_its_own() -> None:
    collectors = [one for population in COLLECTORS for one in collectors_for(population)]
    for population in COLLECTORS:
        for collector in collectors_for(population):
            assert collector.population == population
            assert collector.kinds
            assert len(identify(collector).source) == 64
    names = [collector.name for collector in collectors]
    assert len(set(names)) == len(names)
    kinds = [kind for collector in collectors for kind in collector.kinds]
    assert len(set(kinds)) == len(kinds)


def test_a_population_nobody_looks_at_is_named_with_those_that_are() -> None:
    with pytest.raises(UnknownPopulation, match=r"'aws\.lambda'.*aws\.rds"):
        collectors_for("aws.lambda")


def test_no_except_outside_the_boundary_catches_everything() -> None:
    folder = Path(__file__).parents[2] / "collectors"
    broad = [
        file.name
        for file in folder.rglob("*.py")
        for line in file.read_text().splitlines()
        if line.strip().startswith(("except Exception", "except BaseException", "except:"))
    ]
    assert broad == ["boundary.py"]
