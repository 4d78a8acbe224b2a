"""The bytes of a hello are fixed: an agent and a server of any age agree on them."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_platform.agent import AgentIdentity, build_hello, identity_from_pepper
from core_platform.ingress.hello import (
    Hello,
    HelloFormatError,
    canonical_bytes,
    check_lengths,
    hello_mac,
)
from core_platform.ingress.proto.__main__ import stale

TENANT = UUID("0190f5e0-0000-7000-8000-00000000000a")
AGENT = UUID("0190f5e0-0000-7000-8000-0000000000aa")
AUDIENCE = "ingest.us-east-1.tensorcost.com"


def identity() -> AgentIdentity:
    return identity_from_pepper(bytes(range(32)), tenant=TENANT, key_id="ak_01.p3", agent_id=AGENT)


def vector() -> Hello:
    return build_hello(identity(), AUDIENCE, ts_ms=1764000000000, nonce=bytes(16))


def test_the_published_vector_holds() -> None:
    assert identity().key.hex() == "3269926a58fec617306220208bafb006dedad48254a17d55acd040a00a653bc6"
    assert len(canonical_bytes(vector())) == 181
    assert vector().mac.hex() == "ad3d35cf77dc7561343061a05a90a65e1658854e46f7d864507845858f03d517"


def test_the_generated_code_is_what_the_contract_compiles_to() -> None:
    assert stale() == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("tenant", UUID(int=1)),
        ("key_id", "ak_02.p3"),
        ("agent_id", UUID(int=2)),
        ("ts_ms", 1764000000001),
        ("nonce", bytes(17)),
        ("audience", AUDIENCE + "x"),
        ("challenge", bytes(32)),
        ("capabilities", b"x"),
    ],
)
def test_every_field_is_under_the_mac(field: str, value: object) -> None:
    assert hello_mac(identity().key, replace(vector(), **{field: value})) != vector().mac


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("mac", b""),
        ("mac", bytes(31)),
        ("mac", bytes(33)),
        ("nonce", bytes(15)),
        ("nonce", bytes(33)),
        ("challenge", bytes(31)),
        ("audience", ""),
        ("capabilities", bytes(1025)),
        ("key_id", "ak_01"),
        ("key_id", "ak_01.p3\n"),
        ("key_id", ""),
        ("key_id", "ak_01.p٣"),
    ],
)
def test_a_field_out_of_bounds_is_refused_by_name_and_not_by_content(field: str, value: object) -> None:
    with pytest.raises(HelloFormatError, match=f"^{field}:"):
        check_lengths(replace(vector(), **{field: value}))


names = st.text(st.sampled_from("ab|\0"), min_size=1, max_size=6)


@given(names, names, names, names)
def test_two_different_hellos_never_have_the_same_bytes(a: str, b: str, c: str, d: str) -> None:
    one, other = replace(vector(), key_id=a, audience=b), replace(vector(), key_id=c, audience=d)
    assert (canonical_bytes(one) == canonical_bytes(other)) == ((a, b) == (c, d))


def test_no_identity_shows_its_key() -> None:
    assert identity().key.hex() not in repr(identity())
    assert repr(identity().key) not in repr(identity())
