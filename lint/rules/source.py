"""Rules over source code: who bypasses row security, by the verified function or by hand.

They read `lint.source.sites` only, so they hold for every language an extractor is written for.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.config import path_matches
from lint.rules.bypass import bypass_findings, stable
from lint.rules.bypass_roles import KnownRoles, is_role_name
from lint.rules.bypass_rules import BYP001, BYP006
from lint.rules.bypass_sessions import session_findings
from lint.rules.bypass_settings import setting_findings
from lint.rules.bypass_sites import Registry, load_registry
from lint.rules.bypass_typescript import typescript_bypasses
from lint.source.service_role import is_run_by_hand
from lint.source.sql_texts import SettingChange, is_sql, named_setting, setting_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from lint.catalogue import Place
    from lint.config import LintConfig
    from lint.files import SourceFile
    from lint.report import Finding, Severity
    from lint.rules.bypass_sites import BypassSite
    from lint.source.sites import Argument, Call, Language, Source
    from lint.source.sources import Sources

#: Values that end a bypass instead of beginning one.
_OFF = frozenset({"off", "false", "0", "no", "f"})
_SERVICE_KEY = re.compile(r"service_?role|service_?key", re.IGNORECASE)
_REASON_POSITION = 1
_WITH_REASON = 3


def source_findings(sources: Sources, root: Path) -> Iterator[Finding]:
    """Yield what the source rules find; raise LintConfigError for a registry that is no use."""
    config = sources.config
    registry = Registry("")
    if config.registry:
        registry = load_registry(root / config.registry, config.bypass_kinds, config.registry)
    roles = KnownRoles(sources.link.catalogues, config)
    for file, source in sources.breaking:
        if not path_matches(file.path, config.verified_packages):
            yield from _of_file(file, source, config, registry.sites, roles)
    here = {site.path for site in registry.sites if (root / site.path).is_file()}
    yield from bypass_findings(sources, registry, here)


def _of_file(
    file: SourceFile, source: Source, config: LintConfig, sites: tuple[BypassSite, ...], roles: KnownRoles
) -> Iterator[Finding]:
    """Yield what one file outside the verified packages does wrong by itself."""
    yield from _bypass_calls(source, config, sites)
    if not file.is_revision:
        yield from _session_changes(source, config, roles)
    clients = list(typescript_bypasses(source, config)) if source.language == "typescript" else []
    yield from clients
    yield from _outside(setting_findings(source, config), clients)
    yield from session_findings(source, config)


def _outside(findings: Iterable[Finding], told: Sequence[Finding]) -> Iterator[Finding]:
    """Leave out findings that one tells the same of already: the key of the client that a file makes."""
    clients = any(one.subject.endswith(":service key") for one in told)
    for finding in findings:
        inside = any(one.line <= finding.line <= (one.end_line or one.line) for one in told)
        if not inside and not (clients and _SERVICE_KEY.search(finding.subject)):
            yield finding


# BYP001


def _bypass_calls(source: Source, config: LintConfig, sites: tuple[BypassSite, ...]) -> Iterator[Finding]:
    names = frozenset(config.bypass_names)
    for call in source.calls:
        if call.name in names or call.written.rpartition(".")[2] in names:
            yield from _bypass_call(call, config, sites, source.language)
    for reference in source.references:
        name = reference.target.rpartition(".")[2]
        if name in names:
            yield BYP001.finding(
                reference.place,
                f"{name} is handed on as a value in {_where(reference.function)}, "
                "so who calls it cannot be seen",
                f"call {name} directly at a registered site",
                subject=f"{stable(reference.function)}:{name}:value",
            )


def _where(function: str) -> str:
    return function or "the module's top level"


def _bypass_call(
    call: Call, config: LintConfig, sites: tuple[BypassSite, ...], language: Language
) -> Iterator[Finding]:
    where = f"{call.name} in {_where(call.function)}"
    subject = f"{stable(call.function)}:{call.name}"
    if not any(site.allows(call) for site in sites):
        registry = config.registry or "a registry (lint.registry)"
        yield BYP001.finding(
            call.place,
            f"{where} reads across tenants and is not a registered site",
            f"add {{id, path: {call.place.path}, function: {call.function or '<module>'}, kind, "
            f"reason, owner}} to {registry}, or use a tenant scope ({config.tenant_scopes[0]})"
            if config.tenant_scopes
            else f"add the site to {registry}",
            subject=f"{subject}:unregistered",
        )
    if language == "python" and any(argument.kind == "function" for argument in call.arguments):
        yield BYP001.finding(
            call.place,
            f"{where} runs an anonymous function, which closes over whatever stands around it",
            "name the function, at module level, and pass it",
            subject=f"{subject}:lambda",
        )
    reason = _reason(call)
    if reason is not None and reason.kind not in {"literal", "member"}:
        yield BYP001.finding(
            call.place,
            f"{where} computes its reason ({reason.text[:40]}), so no reader can know it",
            "pass the reason as a literal, such as a member of the closed list of reasons",
            subject=f"{subject}:reason",
        )


def _reason(call: Call) -> Argument | None:
    """Return the reason argument; a two-argument bypass (tenant, function) has none."""
    named = next((a for a in call.arguments if a.keyword == "reason"), None)
    positional = [a for a in call.arguments if a.keyword is None]
    if named is not None or len(positional) < _WITH_REASON:
        return named
    return positional[_REASON_POSITION]


# BYP006


def _session_changes(source: Source, config: LintConfig, roles: KnownRoles) -> Iterator[Finding]:
    by_hand = source.language == "typescript" and is_run_by_hand(source)
    changes = list(_changes(source))
    binding = {function for change, _, function in changes if change.effect == "setting"}
    for change, place, function in changes:
        what = _bypass_by_hand(change)
        standing = roles.standing(change.value) if change.effect == "role" else "exempt"
        if function in binding and change.effect == "role" and not is_role_name(change.value):
            standing = "unknown"  # whose role it is, and whose rows, is decided by what it is given
        if what is None or standing == "bound":
            continue
        mild = by_hand or standing == "unknown"
        yield _by_hand(what, change, place, function, config, "info" if mild else None)


def _changes(source: Source) -> Iterator[tuple[SettingChange, Place, str]]:
    """Yield the changes of a session in a file, by SQL and by `func.set_config(…)`."""
    for text in source.texts:
        if is_sql(text):
            yield from ((change, text.place, text.function) for change in setting_changes(text.value))
    for call in source.calls:
        if call.name == "set_config" and len(call.arguments) == 3:
            yield from ((change, call.place, call.function) for change in _called_setting(call))


def _called_setting(call: Call) -> Iterator[SettingChange]:
    """Yield the change of `func.set_config("name", value, False)`."""
    name, value, local = call.arguments
    if name.kind == "literal":
        text = value.text if value.kind == "literal" else ""
        yield from named_setting(name.text, text, local=local.text != "False")


def _by_hand(
    what: str,
    change: SettingChange,
    place: Place,
    function: str,
    config: LintConfig,
    severity: Severity | None,
) -> Finding:
    return BYP006.finding(
        place,
        f"{what} in {_where(function)} reaches across tenants without a grant or a record",
        f"call {config.bypass_names[0] if config.bypass_names else 'the verified bypass'} "
        "from a registered site",
        subject=f"{stable(function)}:{change.effect}:{change.name}",
        severity=severity,
    )


def _bypass_by_hand(change: SettingChange) -> str | None:
    if change.effect == "role":
        return f"SET {change.name.upper().replace('_', ' ')}"
    if change.effect == "row_security":
        return "row_security = off"
    if change.effect == "bypass_role":
        return f"BYPASSRLS for role {change.name}"
    words = change.name.rpartition(".")[2].split("_")
    switched_off = change.value.lower() in _OFF
    return f"setting {change.name}" if "bypass" in words and not switched_off else None
