"""WRAP002 to WRAP005: how the tenant's setting is set, judged at the statement that sets it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.rules.wrap_lifetimes import why_over
from lint.rules.wrap_rules import WRAP002, WRAP003, WRAP004, WRAP005
from lint.source.access import covers
from lint.source.drivers import client_side, is_tagged, numbered, placeholder_in
from lint.source.holders import around
from lint.source.settings import is_run, is_tenant_setting
from lint.source.sites import HOLE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.config import LintConfig
    from lint.report import Finding
    from lint.source.readers import Readers
    from lint.source.settings import SettingSite
    from lint.source.sites import Call, Text

#: A migration has its connection for itself, and ends with it.
_MIGRATION = re.compile(r"(?:^|/)(?:migrations?|migrate|versions)/(?:[^/]+/)?[vV]?\d[^/]*\Z")
_UUID = re.compile(
    r"\b(?:UUID|TenantId|OrgId|OrganizationId|WorkspaceId|AccountId|int|float|bool|number|bigint|boolean)\b"
)
#: Calls whose result is a number, a truth or a UUID, whatever they are given.
_PROVES = frozenset({"int", "float", "bool", "UUID", "Number", "BigInt", "Boolean", "parseInt", "parseFloat"})
_PROVES_OF_MATH = frozenset({"Math.trunc", "Math.floor", "Math.round", "Math.abs", "Math.ceil"})
#: Calls that write a value as text and leave it what it is.
_WRITES = frozenset({"str", "String", "toString"})
#: A name that says its value was quoted before.
_QUOTED_NAME = re.compile(r"quoted|escaped|literal", re.IGNORECASE)
#: What a query builder's tag pastes into the text instead of sending it as a value.
_PASTES = frozenset({"raw", "unsafe", "lit"})
_EMPTY = re.compile(r"(?:=|\bto\b|,)\s*''", re.IGNORECASE)
#: Functions that quote a value for SQL, and those that can only give a UUID or a number.
_QUOTES = frozenset({"Literal", "quote_literal", "literal", "escapeLiteral", "lit", "quote", "Identifier"})


def bound_badly(site: SettingSite, readers: Readers, config: LintConfig) -> Iterator[Finding]:
    """Yield what is wrong with one change of a setting that carries the tenant."""
    change = site.change
    if change.effect != "setting" or not is_tenant_setting(change.name, config):
        return
    if site.text is not None and not is_run(site.text):
        return
    raw = site.text is not None and _is_raw(site.text)
    tagged = is_tagged(site) and not raw
    parameter = change.form == "set" and placeholder_in(site) and not raw
    refused = parameter and _is_refused(site, readers)
    if refused:
        yield _parameter(site)
    if site.text is not None and not parameter and not tagged and HOLE in _value_text(site):
        yield from _pasted(site)
    if refused and not change.local:
        return
    if not change.local:
        if not (_clears(site) or _MIGRATION.search(site.place.path)):
            yield _session(site)
        return
    why = None if _clears(site) else why_over(site, readers)
    if why is not None:
        yield _over(site, why)


def _is_refused(site: SettingSite, readers: Readers) -> bool:
    """Say whether the server sees the parameter of SET, so that nothing is set, for however long."""
    return numbered(site) or not client_side(site, readers.program.sources)


def _is_raw(text: Text) -> bool:
    """Say whether a tagged template is given text to paste: sql`… ${sql.raw(name)}`."""
    return any(name.rpartition(".")[2] in _PASTES for name in text.holes)


def _parameter(site: SettingSite) -> Finding:
    name = site.change.name
    return WRAP002.finding(
        site.place,
        f"SET {name} is given a parameter, which PostgreSQL refuses (42601) each time: no tenant is bound",
        f"SELECT set_config('{name}', <the parameter>, true)",
        subject=f"{site.function}:{name}",
    )


def _session(site: SettingSite) -> Finding:
    name = site.change.name
    return WRAP003.finding(
        site.place,
        f"{name} is set for the session: the next user of a pooled connection reads as this tenant",
        f"SELECT set_config('{name}', …, true) or SET LOCAL, inside the transaction",
        subject=f"{site.function}:{name}",
    )


def _clears(site: SettingSite) -> bool:
    """Say whether the setting is emptied or reset, which leaves nobody bound."""
    value = site.change.value.lower()
    emptied = site.text is not None and _EMPTY.search(site.text.value) is not None
    return value == "default" or (value == "" and emptied)


def _over(site: SettingSite, why: str) -> Finding:
    name = site.change.name
    return WRAP004.finding(
        site.place,
        f"{name} is set for the transaction, but {why}: the next query has no tenant and sees 0 rows",
        "open a transaction around it and the queries that need it, on one connection",
        subject=f"{site.function}:{name}",
    )


def _value_text(site: SettingSite) -> str:
    """Return the text from the setting's name on: what is interpolated before it is not its value."""
    text = site.text.value if site.text is not None else ""
    at = text.lower().find(site.change.name)
    return text[at:] if at >= 0 else text


def _pasted(site: SettingSite) -> Iterator[Finding]:
    """Yield WRAP005 for a value written into the text; quoting functions make it safe."""
    text = site.text
    if text is None or not _QUOTES.isdisjoint(text.calls) or _is_quoted(site):
        return
    names = [name for name in text.holes if name]
    if names and all(_QUOTED_NAME.search(name) for name in names):
        return
    typed = bool(names) and all(_is_typed(name, site) or _is_proven(name, site) for name in names)
    shown = ", ".join(names) or "a value"
    danger = (
        "its type admits nothing else than an id today" if typed else "a quote in it binds another tenant"
    )
    yield WRAP005.finding(
        site.place,
        f"{shown} is pasted into the text that sets {site.change.name}; {danger}",
        f"SELECT set_config('{site.change.name}', <parameter>, true) with the value as a parameter",
        subject=f"{site.function}:{site.change.name}",
        severity="info" if typed else None,
    )


def _is_quoted(site: SettingSite) -> bool:
    """Say whether the text is composed by psycopg's `SQL(…).format(Literal(x))`."""
    return site.text is not None and "SQL" in site.text.calls


def _is_proven(name: str, site: SettingSite) -> bool:
    """Say whether an interpolated value is a number or a UUID by the call it is made with."""
    text = site.text
    inside = [call for call in site.source.calls if text is not None and covers(text.place, call.place)]
    given = [argument.text for call in inside if call.written in _WRITES for argument in call.arguments]
    if any(_proves(call) and _gives(call, name) for call in inside):
        return True
    plain = given if name in _WRITES else [name]
    return bool(plain) and all(_is_typed(one, site) or _is_bound_to_proof(one, site) for one in plain)


def _proves(call: Call) -> bool:
    return call.name in _PROVES or call.written in _PROVES_OF_MATH


def _gives(call: Call, name: str) -> bool:
    """Say whether a hole is told by that call: its own name, or what it is given."""
    written = call.written == name or name.startswith(f"{call.written}(")
    return written or any(name == a.text or name in a.names for a in call.arguments)


def _is_bound_to_proof(name: str, site: SettingSite) -> bool:
    scopes = set(around(site.function))
    made = [call for call in site.source.calls if name in call.bound_to and call.function in scopes]
    return bool(made) and all(map(_proves, made))


def _is_typed(name: str, site: SettingSite) -> bool:
    """Say whether a name is annotated with a type that only an id fits, here or around."""
    first = name.partition(".")[0].strip("()")
    function = site.function
    while function:
        known = site.source.functions.get(function)
        written = known.types.get(name, known.types.get(first, "")) if known is not None else ""
        if written:
            return bool(_UUID.search(written)) and "str" not in re.findall(r"\w+", written)
        function = function.rpartition(".")[0]
    return False
