"""The bypass discipline over a whole program: which sites, for whom, verified by what (BYP001-003).

A bypass with a callback is judged by `lint.rules.source` in its own file; what needs to know who
calls whom, and where a tenant comes from, stands here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.config import path_matches
from lint.rules.bypass_handles import handle_findings
from lint.rules.bypass_registry import registry_findings
from lint.rules.bypass_rules import BYP001, BYP002, BYP003
from lint.source.bypass_uses import tenant_argument
from lint.source.inventory import Bypasses, Judged, bypasses_of
from lint.source.sites import Call
from lint.source.verification import NOWHERE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.config import LintConfig
    from lint.report import Finding
    from lint.rules.bypass_sites import Registry
    from lint.source.graph import FunctionId
    from lint.source.provenance import Provenance
    from lint.source.sites import Source
    from lint.source.sources import Sources
    from lint.source.verification import State


def bypass_findings(sources: Sources, registry: Registry, here: set[str]) -> Iterator[Finding]:
    """Yield what the bypass rules find in a program; `here` are the registered paths that exist at all."""
    config = sources.config
    bypasses = bypasses_of(sources, registry.sites)
    judged = bypasses.judged()
    for one in judged:
        yield from _unregistered(one, config)
        yield from _tenant(one)
        yield from _unverified(one, bypasses)
    yield from _bindings(bypasses)
    yield from registry_findings(registry, judged, config, {file.path for file in sources.files}, here)
    yield from handle_findings(bypasses, judged)


def where(function: str) -> str:
    """Return how a message tells a function."""
    return function or "the module's top level"


def stable(function: str) -> str:
    """Return a function's name for fingerprints: without the lines of anonymous functions."""
    head, mark, _ = function.partition("<anonymous")
    return f"{head}<anonymous>" if mark else function


def _subject(judged: Judged, what: str) -> str:
    return f"{stable(judged.use.call.function)}:{judged.use.name}:{what}"


# BYP001


def _unregistered(judged: Judged, config: LintConfig) -> Iterator[Finding]:
    use = judged.use
    if judged.site is not None or use.form == "callback":
        return
    function = use.call.function or "<module>"
    yield BYP001.finding(
        use.call.place,
        f"{use.call.written}{_FORMS[use.form]} in {where(use.call.function)} reads across tenants and is "
        "not a registered site",
        f"add {{id, path: {use.call.place.path}, function: {function}, kind, reason, owner, expires}} to "
        f"{config.registry or 'a registry (lint.registry)'}, or use a tenant scope",
        subject=_subject(judged, "unregistered"),
        severity="error" if config.registry else "warning",
    )


_FORMS = {"block": "", "dependency": " (as a dependency)", "argument": " (around row security)"}


# BYP002


def _tenant(judged: Judged) -> Iterator[Finding]:
    of_its_own = not judged.use.call.arguments and "." in judged.use.call.written
    if judged.use.form != "callback" or of_its_own:
        return  # `storage.asSuperUser()` is a bypass of the object's own tenant
    told = _tenant_fault(judged)
    if told is None:
        return
    message, fix = told
    call = judged.use.call
    yield BYP002.finding(
        call.place,
        f"{judged.use.name} in {where(call.function)} {message}",
        fix,
        subject=_subject(judged, f"tenant:{judged.tenant.origin}"),
    )


def _tenant_fault(judged: Judged) -> tuple[str, str] | None:
    """Return what is wrong with the tenant of a bypass, and the cure; None when nothing is known."""
    tenant = judged.tenant
    if tenant.origin == "missing":
        return "names no tenant, so it reaches everyone's rows", "pass the verified tenant first"
    if tenant.origin == "constant":
        return (
            f"always names the tenant {tenant.evidence}, whoever asks",
            "pass the tenant of the verified caller",
        )
    if tenant.origin == "request":
        return (
            f"takes its tenant from {tenant.evidence}: who writes the request chooses whose rows are read",
            "take the tenant from the verified caller (the result of the verification), not from the request",
        )
    if tenant.origin == "all-tenants" and judged.site is not None and judged.site.scope != "all-tenants":
        return (
            f"reaches all tenants, and the site {judged.site.id} is registered for one",
            f"name one tenant, or give {judged.site.id} scope: all-tenants in the registry",
        )
    return None


# BYP003


def _unverified(judged: Judged, bypasses: Bypasses) -> Iterator[Finding]:
    handlers = _unverified_handlers(judged.reached)
    if not handlers:
        return
    call = judged.use.call
    yield BYP003.finding(
        call.place,
        f"{call.written} in {where(call.function)} is reached from {_told(handlers)} on a path that verifies "
        "nothing: whoever can send a request reads across tenants",
        f"call a verification ({bypasses.config.verifiers[0]}) before it on every path, and take the tenant "
        "from its result"
        if bypasses.config.verifiers
        else "name the verification in lint.verifiers, and call it before on every path",
        subject=_subject(judged, "unverified"),
    )


def _unverified_handlers(reached: Iterable[tuple[FunctionId, State]]) -> list[FunctionId]:
    return sorted({handler for handler, state in reached if state is None})


def _told(handlers: list[FunctionId]) -> str:
    names = [name for _, name in handlers[:2]]
    more = f" and {len(handlers) - 2} more" if len(handlers) > 2 else ""
    return ", ".join(names) + more


def _bindings(bypasses: Bypasses) -> Iterator[Finding]:
    """Yield tenant scopes that a handler opens unverified; only where a program verifies at all."""
    if not bypasses.handlers or not bypasses.verification.any_in_use():
        return
    scopes = frozenset(bypasses.config.tenant_scopes)
    for source in bypasses.graph.sources:
        if path_matches(source.path, bypasses.config.verified_packages):
            continue
        for call in source.calls:
            if call.name in scopes and id(call) in bypasses.reached:
                yield from _binding(call, source, bypasses)


def _binding(call: Call, source: Source, bypasses: Bypasses) -> Iterator[Finding]:
    reached = bypasses.reached[id(call)]
    handlers = _unverified_handlers(reached)
    verified = [state for _, state in reached if state is not None and state is not NOWHERE]
    tenant = bypasses.tenants.judge(tenant_argument(call), call, source)
    if handlers:
        yield BYP003.finding(
            call.place,
            f"{call.written} in {where(call.function)} binds a tenant on a path from {_told(handlers)} that "
            "verifies nothing: the request chooses whose rows it reads",
            "verify the caller before it on every path",
            subject=f"{stable(call.function)}:{call.name}:unverified",
        )
    elif verified and tenant.origin == "request":
        yield _claimed(call, tenant, verified[0])


def _claimed(call: Call, tenant: Provenance, verified: State) -> Finding:
    by = verified.written if isinstance(verified, Call) else "the verification"
    return BYP003.finding(
        call.place,
        f"{call.written} in {where(call.function)} binds the tenant that {tenant.evidence} states, not the "
        f"one that {by} verified: a verified caller can still name another tenant",
        f"take the tenant from the result of {by}",
        subject=f"{stable(call.function)}:{call.name}:claimed",
    )
