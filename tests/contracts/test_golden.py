"""The contracts that neighbours build on, each against its golden file.

A change here changes what others read: it comes with its golden file, its schema and every reader in
one commit. `POSTURE_UPDATE_GOLDEN=1 pytest tests/contracts` writes the files anew.
"""

import hashlib
import inspect
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.check import Check, Expect, Sabotage
from checks.twin import (
    AwsSurface,
    DatabaseSurface,
    IngressSurface,
    RedisSurface,
    SourceSurface,
    Twin,
)
from collectors.collector import Collector, NotObserved, Observed
from controls.verdict import Completeness, Deviation, State, Verdict
from evidence.errors import MalformedEvidence
from evidence.kinds.aws import RdsInstance, RdsInstances
from evidence.payload import KINDS, Audience, decode, encode, payload_from, subtrees
from evidence.record import CollectorId, Header, Interval, Outcome, Record, seal, unseal
from evidence.scope import Scope, Unit

GOLDEN = Path(__file__).parent / "golden"
NOW = datetime(2026, 11, 23, 15, 4, 5, 678000, tzinfo=UTC)

SCOPE = Scope(
    project="tensorcost",
    units=(
        Unit("databases/core", "databases", "postgres:core", {"application_role": "core_app"}),
        Unit("aws.rds/111122223333/us-east-1", "aws.rds", "aws:111122223333/us-east-1", {}),
    ),
)

VERDICT = Verdict(
    check="RLS-01",
    claims=("RLS-01",),
    state=State.FAILED,
    reason="1 of 9 tenant tables is not protected.",
    facts={"tables": 9, "enforced": 8, "deviations": 1},
    deviations=(Deviation("row security is not forced", "identity.app_user", NOW),),
    completeness=Completeness(
        expected=("postgres.row_security/v1 over databases/core",),
        received=("postgres.row_security/v1 over databases/core",),
    ),
    evidence=("aa" * 32,),
    scope="bb" * 32,
    source="cc" * 32,
    as_of=NOW,
    valid_until=NOW + timedelta(days=1),
)


def header(outcome=Outcome.OBSERVED, reason=""):
    return Header(
        run="20261123T150405678000Z-00112233",
        unit="aws.rds/111122223333/us-east-1",
        kind=RdsInstances.kind,
        subject="aws:111122223333/us-east-1",
        observed=Interval(NOW - timedelta(seconds=2), NOW),
        recorded=NOW,
        expires=NOW + timedelta(days=7),
        collector=CollectorId("aws.rds", "1", "dd" * 32),
        outcome=outcome,
        reason=reason,
    )


OBSERVED = Record(header(), RdsInstances(1, (RdsInstance("core-primary", True, True, 35, False),)))
DENIED = Record(header(Outcome.DENIED, "AccessDenied"), None, "not authorized: rds:DescribeDBInstances")


def no_salt(size):
    return bytes(size)


def sealed_json(record):
    sealed = seal(record, salt=no_salt)
    trees = {audience.value: json.loads(tree) for audience, tree in sealed.subtrees.items()}
    return {"statement": json.loads(sealed.statement), "subtrees": trees}


def protocol_json(*protocols):
    """Members and signatures: what a neighbour that implements or calls them relies on."""
    return {
        protocol.__name__: {
            name: str(inspect.signature(member)) if inspect.isfunction(member) else "property"
            for name, member in vars(protocol).items()
            if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property))
        }
        | {name: str(kind) for name, kind in inspect.get_annotations(protocol).items()}
        for protocol in protocols
    }


CONTRACTS = {
    "record": lambda: sealed_json(OBSERVED),
    "record_denied": lambda: sealed_json(DENIED),
    "scope": lambda: encode(SCOPE),
    "verdict": lambda: encode(VERDICT),
    "collector": lambda: protocol_json(Collector, Observed, NotObserved),
    "check": lambda: protocol_json(Check, Expect, Sabotage),
    "twin": lambda: protocol_json(
        Twin, DatabaseSurface, RedisSurface, SourceSurface, IngressSurface, AwsSurface
    ),
    "kinds": lambda: {
        kind: {audience.value: sorted(names) for audience, names in fields_by_audience(kind).items()}
        for kind in sorted(KINDS)
        if not kind.startswith("test.")
    },
}


def fields_by_audience(kind):
    from evidence import kinds as _registered
    from evidence.payload import _audiences

    assert _registered
    split = {audience: [] for audience in Audience}
    for name, audience in _audiences(KINDS[kind]):
        split[audience].append(name)
    return split


@pytest.mark.parametrize("contract", sorted(CONTRACTS))
def test_a_contract_is_what_its_golden_file_says(contract):
    text = json.dumps(CONTRACTS[contract](), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    golden = GOLDEN / f"{contract}.json"
    if os.environ.get("POSTURE_UPDATE_GOLDEN"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
    assert text == golden.read_text(), f"{contract} changed; see the module's docstring"


@pytest.mark.parametrize("record", [OBSERVED, DENIED], ids=["observed", "denied"])
def test_a_sealed_record_reads_back_equal(record):
    sealed = seal(record, salt=os.urandom)
    trees = {hashlib.sha256(tree).hexdigest(): tree for tree in sealed.subtrees.values()}
    assert unseal(sealed.statement, trees.__getitem__) == record


def test_a_changed_subtree_is_refused():
    sealed = seal(OBSERVED, salt=os.urandom)
    trees = {hashlib.sha256(tree).hexdigest(): tree + b" " for tree in sealed.subtrees.values()}
    with pytest.raises(MalformedEvidence, match="does not match its digest"):
        unseal(sealed.statement, trees.__getitem__)


def test_subtrees_hide_equal_payloads_behind_different_digests():
    first, second = (seal(OBSERVED, salt=os.urandom) for _ in range(2))
    assert first.subtrees != second.subtrees


def test_a_verdict_and_a_scope_survive_their_subtrees():
    for payload in (VERDICT, SCOPE):
        assert payload_from(payload.kind, subtrees(payload)) == payload


def test_an_observed_record_needs_a_payload_and_a_refusal_a_reason():
    with pytest.raises(MalformedEvidence, match="without a payload"):
        Record(header(), None)
    with pytest.raises(MalformedEvidence, match="needs a reason"):
        Record(header(Outcome.DENIED), None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda j: j.pop("state"), "field 'state' of Verdict is missing"),
        (lambda j: j.update(extra=1), "unknown field 'extra'"),
        (lambda j: j.update(state="green"), "expected satisfied | failed"),
        (lambda j: j.update(facts=[1]), "expected an object"),
        (lambda j: j.update(reason=1.5), "expected str"),
        (lambda j: j.update(as_of="2026-11-23"), "verdict.as_of"),
        (lambda j: j.update(facts={"tables": True}), "verdict.facts.tables"),
    ],
)
def test_decoding_is_strict_and_says_where(change, message):
    value = encode(VERDICT)
    change(value)
    with pytest.raises(MalformedEvidence, match=message.replace("|", r"\|")):
        decode(Verdict, value, where="verdict")


def test_floats_and_local_times_have_no_evidence_form():
    for value in (1.5, datetime(2026, 1, 1)):
        with pytest.raises(MalformedEvidence):
            encode(value)
