import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core_platform.crypto import Place, SealedValueError, TenantValueKey
from core_platform.onboarding.connections import (
    NoCredential,
    connect_account,
    connections,
    credential_key,
    credential_of,
)
from core_platform.tenancy import TenantId

ROOT = bytes(range(32))
A, B = (TenantId.parse(uuid.UUID(int=n + 1)) for n in range(2))
PLACE = Place("integration.connection_secret", "ciphertext", "row-1")


@given(st.binary(max_size=2000))
def test_a_sealed_value_opens_at_its_place_and_differs_each_time(plaintext):
    key = TenantValueKey.derive(ROOT, A, "p")
    first, second = key.seal(plaintext, PLACE), key.seal(plaintext, PLACE)
    assert first != second
    assert key.open(first, PLACE) == plaintext


@pytest.mark.parametrize(
    "place",
    [
        Place("integration.connection_secret", "ciphertext", "row-2"),
        Place("integration.connection_secret", "other", "row-1"),
        Place("integration.other", "ciphertext", "row-1"),
    ],
)
def test_a_value_moved_to_another_place_does_not_open(place):
    key = TenantValueKey.derive(ROOT, A, "p")
    with pytest.raises(SealedValueError):
        key.open(key.seal(b"secret", PLACE), place)


def test_another_tenant_purpose_version_or_root_does_not_open_it():
    blob = TenantValueKey.derive(ROOT, A, "p").seal(b"secret", PLACE)
    others = (
        TenantValueKey.derive(ROOT, B, "p"),
        TenantValueKey.derive(ROOT, A, "q"),
        TenantValueKey.derive(ROOT, A, "p", version=2),
        TenantValueKey.derive(bytes(32), A, "p"),
    )
    for key in others:
        with pytest.raises(SealedValueError):
            key.open(blob, PLACE)


@given(st.integers(min_value=0, max_value=35), st.integers(min_value=1, max_value=255))
def test_no_changed_byte_and_no_cut_opens(index, flip):
    key = TenantValueKey.derive(ROOT, A, "p")
    blob = bytearray(key.seal(b"sec", PLACE))
    cut = bytes(blob[:index])
    blob[index % len(blob)] ^= flip
    for damaged in (bytes(blob), cut):
        with pytest.raises(SealedValueError):
            key.open(damaged, PLACE)


def test_keys_do_not_show_themselves():
    key = TenantValueKey.derive(ROOT, A, "p")
    assert key.key.hex() not in repr(key)
    assert repr(key.key) not in repr(key)


def test_a_credential_is_stored_sealed_and_read_by_its_tenant_only(platform_db):
    key_a, key_b = (credential_key(ROOT, tenant) for tenant in (platform_db.a, platform_db.b))
    database = platform_db.database
    with database.tenant_session(platform_db.context(platform_db.a)) as session:
        made = connect_account(
            session, key_a, kind="aws", name="main", external_ref="222233334444", credential=b"hunter2"
        )
    with database.tenant_session(platform_db.context(platform_db.a)) as session:
        assert credential_of(session, key_a, made) == b"hunter2"
        assert [(view.name, view.has_credential) for view in connections(session)] == [("main", True)]
    with database.tenant_session(platform_db.context(platform_db.b)) as session:
        assert connections(session) == []
        with pytest.raises(NoCredential):
            credential_of(session, key_b, made)
