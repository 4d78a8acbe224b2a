"""One record in, allowed fields out: content has no way through, in any field, type or encoding."""

import gzip
import json
from collections import Counter
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core_platform.redaction import (
    HashKeyring,
    Projection,
    RecordRefused,
    SpendRecord,
    sample_logs,
)
from core_platform.redaction.bedrock import MAX_LINE_BYTES
from core_platform.redaction.json_levels import read_level
from core_platform.tenancy import TenantId

KEYRING = HashKeyring(bytes(range(32)))
TENANT_A = TenantId.parse("0190f5e0-0000-7000-8000-00000000000a")
TENANT_B = TenantId.parse("0190f5e0-0000-7000-8000-00000000000b")
A = Projection(KEYRING.of(TENANT_A))
B = Projection(KEYRING.of(TENANT_B))
CANARY = "CANARY-7F3A91C2D4E5B6A7"


def a_record(**changes: Any) -> dict[str, Any]:
    return {
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-11-01T12:00:00Z",
        "accountId": "111122223333",
        "identity": {"arn": "arn:aws:sts::111122223333:assumed-role/bot/jane@example.com"},
        "region": "us-east-1",
        "requestId": "0190f5e0-0000-7000-8000-0000000000aa",
        "operation": "Converse",
        "modelId": "anthropic.claude-sonnet-4-5-20250929-v1:0",
        "input": {"inputBodyJson": {"messages": ["hello"]}, "inputTokenCount": 3},
        "output": {"outputBodyJson": ["a", "b"], "outputTokenCount": 5},
        **changes,
    }


def line(**changes: Any) -> bytes:
    return json.dumps(a_record(**changes)).encode()


def project(text: bytes, projection: Projection = A) -> SpendRecord:
    return projection.project(text, Counter())


def fault(text: bytes) -> str:
    with pytest.raises(RecordRefused) as refused:
        project(text)
    shown = f"{refused.value!r} {refused.value} {refused.value.__cause__!r}"
    assert CANARY not in shown
    return refused.value.error_class


def test_a_record_becomes_its_allowed_fields() -> None:
    record = project(line())
    assert (record.account_id, record.region, record.role_name) == ("111122223333", "us-east-1", "bot")
    assert (record.input_tokens, record.output_tokens, record.overflow) == (3, 5, False)
    assert record.prompt_hash
    assert record.prompt_hash.startswith("h2:")
    assert "jane" not in repr(record)


@pytest.mark.parametrize(
    "operation", ["InvokeModel", "InvokeModelWithResponseStream", "Converse", "ConverseStream"]
)
@pytest.mark.parametrize("body", [{"text": CANARY}, [{"chunk": CANARY}], CANARY])
def test_every_operation_and_body_shape_is_hashed_and_not_kept(operation: str, body: object) -> None:
    record = project(
        line(operation=operation, input={"inputBodyJson": body}, output={"outputBodyJson": body})
    )
    assert record.prompt_hash != record.response_hash
    assert CANARY not in repr(record)


def test_equal_prompts_of_two_tenants_hash_differently() -> None:
    assert project(line(), A).prompt_hash != project(line(), B).prompt_hash
    assert project(line(), A).session_hash != project(line(), B).session_hash


def test_a_body_is_hashed_as_delivered() -> None:
    spaced = line().replace(b'{"messages": ["hello"]}', b'{"messages":["hello"]}')
    assert spaced != line()
    assert project(spaced).prompt_hash != project(line()).prompt_hash


def test_a_body_moved_to_s3_is_overflow_without_a_hash() -> None:
    record = project(line(input={"inputBodyS3Path": f"s3://b/data/{CANARY}", "inputTokenCount": 9}))
    assert record.overflow
    assert record.prompt_hash is None
    assert CANARY not in repr(record)


def test_an_unknown_field_is_counted_by_a_hash_and_its_value_is_gone() -> None:
    unknown: Counter[str] = Counter()
    record = A.project(line(**{CANARY: CANARY, "newField": {"x": CANARY}}), unknown)
    assert unknown.total() == 2
    assert CANARY not in repr(record) + repr(unknown)


def test_metadata_is_off_by_default_and_then_only_what_is_listed() -> None:
    text = line(requestMetadata={"application": "checkout", "note": CANARY, "team": f"{CANARY} !"})
    assert project(text).metadata is None
    listed = Projection(KEYRING.of(TENANT_A), frozenset({"application", "team"}))
    kept = project(text, listed).metadata
    assert kept is not None
    assert kept["application"] == "checkout"
    assert kept["team"].startswith("h2:")
    assert CANARY not in repr(kept)


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:iam::111122223333:user/{CANARY}",
        f"arn:aws:sts::111122223333:assumed-role/bot/{CANARY}",
        f"arn:aws:sts::111122223333:federated-user/{CANARY}",
    ],
)
def test_who_called_is_a_role_and_a_hash(arn: str) -> None:
    record = project(line(identity={"arn": arn}))
    assert record.session_hash
    assert CANARY not in repr(record)


def duplicated(inside: bytes, member: bytes) -> bytes:
    """The record with a member written once more at the beginning of an object."""
    return line().replace(inside, inside + member + b", ", 1)


@pytest.mark.parametrize(
    "text",
    [
        duplicated(b"{", b'"modelId": "amazon.nova-pro-v1:0"'),
        duplicated(b"{", b'"input": {"inputBodyJson": "x"}'),
        duplicated(b'"input": {', b'"inputBodyJson": "x"'),
        duplicated(b'"output": {', b'"outputTokenCount": 1'),
        duplicated(b'"output": {', b'"outputTokenCount": 5'),
        duplicated(b'"identity": {', b'"arn": "x"'),
        duplicated(b"{", b'"mod\\u0065lId": "amazon.nova-pro-v1:0"'),
        line()[:-1] + b', "region": "us-east-1"}',
    ],
)
def test_a_key_that_comes_twice_is_quarantined(text: bytes) -> None:
    assert fault(text) == "duplicate_key"


members = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "é", "c d"]), st.sampled_from(['""', '"x,y"', "1", "11", "{}", "[1]"])
    ),
    max_size=5,
)
blanks = st.sampled_from(["", " ", "\n\t"])


@settings(max_examples=500, deadline=None)
@given(members, blanks, blanks, blanks)
def test_a_level_is_read_exactly_when_each_key_comes_once(
    pairs: list[tuple[str, str]], inside: str, after_comma: str, after_colon: str
) -> None:
    written = f",{after_comma}".join(f'"{key}"{inside}:{after_colon}{value}' for key, value in pairs)
    source = f"{inside}{{{inside}{written}{inside}}}{inside}".encode()
    if len({key for key, _ in pairs}) < len(pairs):
        with pytest.raises(RecordRefused, match="duplicate_key"):
            read_level(source)
    else:
        assert {key: bytes(value).decode() for key, value in read_level(source).items()} == dict(pairs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "not_json"),
        (b"[1]", "not_json"),
        (line()[:-1], "not_json"),
        (line() + line(), "not_json"),
        (b"\xef\xbb\xbf" + line(), "not_json"),
        (line().decode().encode("utf-16"), "not_utf8"),
        (line().replace(b"hello", b"hel\xfflo"), "not_utf8"),
        (line().replace(b'"hello"', b"NaN"), "not_json"),
        (line().replace(b"hello", b"hel\x00lo"), "not_json"),
        (line().replace(b'"hello"', b"[" * 5000 + b"]" * 5000), "too_deep"),
        (line().replace(b"us-east-1", b"us-east-1\\u0000"), "field:region"),
        (
            line().replace(b'"inputTokenCount": 3', b'"inputTokenCount": ' + b"9" * 5000),
            "field:inputTokenCount",
        ),
        (line().replace(b'"inputTokenCount": 3', b'"inputTokenCount": -1'), "field:inputTokenCount"),
        (line(modelId=CANARY), "field:modelId"),
        (line(requestId=CANARY), "field:requestId"),
        (line(operation=CANARY), "field:operation"),
        (line(timestamp=CANARY), "field:timestamp"),
        (line(timestamp="2026-11-01T12:00:00"), "field:timestamp"),
        (line(identity={"arn": CANARY}), "field:identity.arn"),
        (line(identity={"arn": {"x": CANARY}}), "field:arn"),
        (line(input=CANARY), "not_json"),
        (line(schemaType=CANARY), "field:schemaType"),
        (b" " * (MAX_LINE_BYTES + 1), "too_long"),
    ],
)
def test_a_bad_record_is_quarantined_by_its_fault_alone(text: bytes, expected: str) -> None:
    assert fault(text) == expected


def test_a_customers_names_in_a_model_arn_are_left_out() -> None:
    arn = "arn:aws:bedrock:us-east-1:111122223333:custom-model/Jane-Doe-Tumour-Notes/abc123def456"
    assert project(line(modelId=arn)).model_id == "custom-model/abc123def456"


def test_of_sample_logs_no_canary_passes() -> None:
    sample = sample_logs(7)
    kept = ""
    for key, content in sample.objects.items():
        if "/data/" not in key and content:
            for text in gzip.decompress(content).splitlines():
                kept += json.dumps(asdict(project(text)), default=str)
    assert len(sample.canaries) > 100
    assert not [word for word in sample.canaries if word in kept]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.just(CANARY),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just(CANARY) | st.text(max_size=5), inner),
    max_leaves=6,
)
field_names = st.sampled_from([*a_record(), "requestMetadata", "status", "errorCode", CANARY])


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(field_names, json_values, max_size=4))
def test_whatever_a_record_holds_no_eight_letters_of_a_canary_come_out(changes: dict[str, Any]) -> None:
    unknown: Counter[str] = Counter()
    try:
        out = repr(A.project(line(**changes), unknown)) + repr(unknown)
    except RecordRefused as refused:
        out = f"{refused!r} {refused}"
    grams = {CANARY[at : at + 8] for at in range(len(CANARY) - 7)}
    assert not [gram for gram in grams if gram in out]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 400))
def test_a_mutated_record_is_projected_or_refused_and_nothing_else(noise: bytes, at: int) -> None:
    text = line()
    mutated = text[:at] + noise + text[at + len(noise) :]
    try:
        record = project(mutated)
    except RecordRefused:
        return
    msgspec.json.encode(record)


def test_every_pair_of_fields_of_two_samples_with_one_seed_is_equal() -> None:
    assert all(one == other for one, other in pairwise([sample_logs(3), sample_logs(3)]))
