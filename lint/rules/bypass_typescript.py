"""Bypasses that only TypeScript has: a `runAsBypass` of one's own, and the service role's key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.config import BYPASS_NAMES, BYPASS_PACKAGES, VERIFIED_PACKAGES
from lint.rules.bypass_rules import BYP006
from lint.source.requests import API_FOLDER
from lint.source.service_role import is_run_by_hand
from lint.source.typescript_db import is_verified_callee, privileged_clients

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.config import LintConfig
    from lint.report import Finding, Severity
    from lint.source.sites import Call, Source


def typescript_bypasses(source: Source, config: LintConfig) -> Iterator[Finding]:
    """Yield what BYP006 finds in a TypeScript file outside the verified packages."""
    yield from _homemade(source, config)
    for call in privileged_clients(source):
        yield BYP006.finding(
            call.place,
            f"{call.written} in {call.function or 'the top level of the module'} uses the service role's "
            "key, which bypasses row security: every tenant's rows are in its reach",
            "use the caller's own token, or make the client in the verified package and call it from a "
            "registered site",
            subject=f"{call.function}:{call.callee}:service key",
            severity=None if _keeps_account(config) else _severity(call, source),
        )


def _severity(call: Call, source: Source) -> Severity | None:
    """Return how bad a client is where nobody keeps account: one of a script run by hand is only told.

    A function of the platform's has no other way to reach rows that no caller may: who calls it is BYP003.
    """
    if is_run_by_hand(source):
        return "info"
    at_home = "/functions/" in source.path and API_FOLDER.search(source.path) is not None
    return "warning" if at_home or _is_the_client(call, source) else None


def _is_the_client(call: Call, source: Source) -> bool:
    """Say whether a call makes the project's one client, for a whole module or to be handed out.

    That is where such a client belongs; one that is made and used inside a function has no owner.
    """
    if not call.function:
        return bool(call.bound_to)
    inside = [other for other in source.calls if other.function.startswith(call.function)]
    return not any(_uses(other, call) for other in inside)


def _uses(other: Call, client: Call) -> bool:
    """Say whether a call is a method of the client, or is given it."""
    given = {name.partition(".")[0] for argument in other.arguments for name in argument.names}
    named = {other.callee.partition(".")[0], *given}
    return other.receiver == client or not named.isdisjoint(client.bound_to)


def _keeps_account(config: LintConfig) -> bool:
    """Say whether a project has said how it bypasses, so that another way is a way around that."""
    told = (config.bypass_packages, config.verified_packages, config.bypass_names)
    return config.registry is not None or told != (BYPASS_PACKAGES, VERIFIED_PACKAGES, BYPASS_NAMES)


def _homemade(source: Source, config: LintConfig) -> Iterator[Finding]:
    """Yield functions that are called like the verified bypass without being it.

    A method is the interface of some object, so a project that names one names its own bypass.
    """
    package = config.bypass_packages[0] if config.bypass_packages else "the verified package"
    for name, function in source.functions.items():
        if name in config.bypass_names:
            yield BYP006.finding(
                function.place,
                f"{name} is a bypass of this file's own: it shares only its name with the one in {package}",
                f"import it from {package}, or list this file in lint.verified_packages",
                subject=f"{name}:homemade",
            )
    for local, target in source.imports.items():
        if target.rpartition(".")[2] in config.bypass_names and _is_foreign(target, config):
            yield BYP006.finding(
                source.functions[""].place,
                f"{local} is imported as {target}, which is not the verified package ({package})",
                f"import it from {package}, or list that package in lint.bypass_packages",
                subject=f"{local}:foreign",
            )


def _is_foreign(target: str, config: LintConfig) -> bool:
    """Say whether a target is another npm package; files of the project are judged where they stand."""
    package = target.rpartition(".")[0]
    scoped = package.startswith("@") and "/" in package and not package.startswith("@/")
    return scoped and not is_verified_callee(target, config.bypass_packages)
