"""Handlers, sweeps and joins: one that strays is named, and one that cannot be followed shows nothing."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from controls.verdict import State
from evidence.kinds.source import OpaqueCall, ServiceJoin, SourceBypass, TenantVisit

if TYPE_CHECKING:
    from collections.abc import Callable

OPAQUE = OpaqueCall("app/server.py:Ingress.Stream", "app/server.py", 4, "handle", "a parameter")
JOIN = ServiceJoin("app/silent.py", 12, "silent", ("identity.agent", "gpu.stream"), "bypass", "")


def places(verdict: Any) -> set[str]:
    return {deviation.where for deviation in verdict.deviations}


def with_first(field: str, **fields: Any) -> dict[type, Any]:
    """Change the first of a payload's entries, uses or joins."""

    def changed(seen: SourceBypass) -> SourceBypass:
        first, *rest = getattr(seen, field)
        return dataclasses.replace(seen, **{field: (dataclasses.replace(first, **fields), *rest)})

    return {SourceBypass: changed}


# RLS-09


@pytest.mark.parametrize("fields", [{"verified_by": None}, {"tenant_origin": "request"}])
def test_a_binding_before_verification_or_of_a_stated_tenant_is_named(world: Any, fields: Any) -> None:
    verdict = world.judge("RLS-09", with_first("entries", **fields))
    assert verdict.state is State.FAILED
    assert places(verdict) == {"app/samples.py:7"}


def test_what_is_counted_is_said(world: Any) -> None:
    verdict = world.judge("RLS-09", with_first("entries", verified_by=None))
    assert (verdict.facts["handlers"], verdict.facts["bindings"], verdict.facts["verified"]) == (1, 2, 1)


@pytest.mark.parametrize(
    "fields", [{"opaque": (OPAQUE,)}, {"entries": ()}, {"handler_names": ()}, {"files": 0}]
)
def test_a_handler_that_is_not_there_or_cannot_be_followed_shows_nothing(
    world: Any, with_fields: Callable[..., Any], fields: Any
) -> None:
    assert world.judge("RLS-09", with_fields(SourceBypass, **fields)).state is State.UNKNOWN


def test_a_binding_that_is_seen_unverified_fails_whatever_else_cannot_be_followed(world: Any) -> None:
    def both(seen: SourceBypass) -> SourceBypass:
        entries = (dataclasses.replace(seen.entries[0], verified_by=None),)
        return dataclasses.replace(seen, entries=entries, opaque=(OPAQUE,))

    assert world.judge("RLS-09", {SourceBypass: both}).state is State.FAILED


# RLS-10


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"reads": ("identity.tenant", "gpu.gpu_sample")}, "app/sweep.py:5"),
        ({"tenant_origin": "request"}, "app/sweep.py:5"),
        ({"tenant_origin": "missing"}, "app/sweep.py:5"),
        ({"tenant_origin": "constant"}, "app/sweep.py:5"),
        ({"visits": (TenantVisit(9, "all-tenants", "ALL_TENANTS"),)}, "app/sweep.py:9"),
        ({"visits": (TenantVisit(9, "request", "request.tenant"),)}, "app/sweep.py:9"),
    ],
)
def test_a_sweep_that_does_not_keep_to_one_tenant_is_named(world: Any, fields: Any, where: str) -> None:
    verdict = world.judge("RLS-10", with_first("uses", **fields))
    assert verdict.state is State.FAILED
    assert places(verdict) == {where}


@pytest.mark.parametrize("origin", ["loop", "verified"])
def test_a_sweep_may_read_the_rows_of_one_tenant_at_a_time(world: Any, origin: str) -> None:
    changes = with_first("uses", tenant_origin=origin, reads=("gpu.gpu_sample",))
    assert world.judge("RLS-10", changes).state is State.SATISFIED


@pytest.mark.parametrize(
    "fields",
    [
        {"tenant_origin": "unknown"},
        {"visits": (TenantVisit(9, "unknown", ""),)},
        {"reads": ()},
        {"unread": ("app/sweep.py:list_tenants",)},
        {"site_kind": "cross-service"},
    ],
)
def test_a_sweep_of_which_too_little_is_known_shows_nothing(world: Any, fields: Any) -> None:
    assert world.judge("RLS-10", with_first("uses", **fields)).state is State.UNKNOWN


def test_only_a_table_that_lists_the_tenants_may_be_read_for_all_at_once(
    world: Any, with_fields: Callable[..., Any]
) -> None:
    verdict = world.judge("RLS-10", with_fields(SourceBypass, listings=()))
    assert verdict.state is State.FAILED
    assert any("identity.tenant" in deviation.what for deviation in verdict.deviations)


# RLS-11


@pytest.mark.parametrize("scope", ["bypass", "raw"])
def test_a_join_without_the_tenant_on_a_side_is_named(world: Any, scope: str) -> None:
    verdict = world.judge("RLS-11", with_first("service_joins", scope=scope, missing="not held"))
    assert verdict.state is State.FAILED
    assert places(verdict) == {"app/silent.py:12"}
    assert (verdict.facts["joins"], verdict.facts["carried"]) == (1, 0)


@pytest.mark.parametrize(
    "joins", [(), (JOIN, dataclasses.replace(JOIN, scope="unknown", missing="not held"))]
)
def test_no_join_or_one_of_which_the_scope_is_not_known_shows_nothing(
    world: Any, with_fields: Callable[..., Any], joins: Any
) -> None:
    assert world.judge("RLS-11", with_fields(SourceBypass, service_joins=joins)).state is State.UNKNOWN
