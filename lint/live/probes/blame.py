"""Which rule a sighting belongs to, and the smallest fix, read from the table's flags and policies.

The sighting is a fact; the code says where a person should look. Codes are those of `lint.rules`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lint.live.probes.binding import settings_read
from lint.rules.predicates import PredicateError, always_true

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Policy, Table
    from lint.live.probes.scene import Scene, Target
    from lint.live.probes.session import Answer

_LOOSE: Final = re.compile(r"~~|\bLIKE\b|\bNOT\b.*\bIN\b|<> ALL", re.IGNORECASE)
_SUBSELECT: Final = re.compile(r"\bSELECT\b.*\bFROM\b", re.IGNORECASE | re.DOTALL)
_FAIL_OPEN: Final = re.compile(r"IS NULL|COALESCE|IS NOT DISTINCT|NULLIF.*IS NULL|= ''", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Blame:
    """A rule's code and the smallest fix."""

    rule: str
    fix: str


def applicable(scene: Scene, table: Table, command: str) -> list[Policy]:
    """The permissive policies that decide a command of the role ("select", "insert", …)."""
    return [policy for policy in of_role(scene, table) if policy.command in {"all", command}]


def of_role(scene: Scene, table: Table) -> list[Policy]:
    """The permissive policies that apply to the role."""
    public = scene.identities | {"public"}
    return [policy for policy in table.permissive if not public.isdisjoint(policy.roles)]


def leak(scene: Scene, target: Target, command: str, state: str = "bound") -> Blame:
    """What lets another tenant's row through; `state` is "bound", "unset" or "switch"."""
    table = target.table
    unprotected = _unprotected(scene, target)
    if unprotected is not None:
        return unprotected
    policies = applicable(scene, table, command)
    reading = applicable(scene, table, "select") if command != "insert" else []
    found = [_wide(scene, target, policy, command, state) for policy in [*policies, *reading]]
    blamed = sorted((one for one in found if one is not None), key=lambda one: _ORDER.index(one.rule))
    if blamed:
        return blamed[0]
    if state == "unset":
        return Blame("RLS016", f"make the policies of {table.written} false when no tenant is bound")
    return Blame(
        "RLS012" if command in {"insert", "move"} else "RLS010", f"narrow the policies of {table.written}"
    )


_ORDER: Final = ("RLS010", "RLS012", "RLS011", "RLS015", "RLS016", "RLS014", "RLS022")


def _unprotected(scene: Scene, target: Target) -> Blame | None:
    table, enable = target.table, f"ALTER TABLE {target.table.written} ENABLE ROW LEVEL SECURITY"
    if not table.enabled and target.relation.parent is not None:
        return Blame("RLS033", f"{enable}; with the parent's policies, or REVOKE ALL ON {table.written}")
    if not table.enabled:
        rule = "RLS002" if table.policies else "RLS004" if table.forced else "RLS001"
        return Blame(rule, f"{enable};")
    if target.active:
        return None
    if table.owner in scene.identities and not table.forced:
        return Blame("RLS004", f"ALTER TABLE {table.written} FORCE ROW LEVEL SECURITY;")
    return Blame("RLS054", f"ALTER ROLE {scene.actor.role} NOSUPERUSER NOBYPASSRLS;")


def _wide(scene: Scene, target: Target, policy: Policy, command: str, state: str) -> Blame | None:
    table = target.table
    written = command in {"insert", "move"}
    text = (policy.check or policy.using or "") if written else (policy.using or "")
    fix = f"ALTER POLICY {policy.name} ON {table.written}: "
    if written and policy.check is not None and policy.check != policy.using:
        return Blame("RLS012", fix + "WITH CHECK must ask what USING asks")
    if _is_true(scene, table, text):
        return Blame("RLS010", fix + "it is true for every row; compare the tenant column")
    if not _names(text, target.tenant):
        if state == "switch" or (settings_read([text]).names - scene.carriers):
            return Blame("RLS015", fix + "a setting that any session may make must not open rows")
        return Blame("RLS011", fix + "compare the tenant column, or make it RESTRICTIVE")
    if state == "switch":
        return Blame("RLS015", fix + "a setting that any session may make must not open rows")
    if state == "unset" and _FAIL_OPEN.search(text):
        return Blame("RLS016", fix + "it must be false when no tenant is bound")
    if re.search(rf"{re.escape(target.tenant)} = '", text):
        return Blame("RLS014", fix + "a tenant is written into it")
    if _LOOSE.search(text):
        return Blame("RLS014", fix + "compare the tenant column with = and the setting cast to its type")
    if " OR " in text:
        return Blame("RLS011", fix + "each branch of OR must compare the tenant column")
    return None


def _is_true(scene: Scene, table: Table, text: str) -> bool:
    if not text:
        return False
    try:
        return always_true(text, table, scene.catalogue) is not None
    except PredicateError:
        return False


def _names(text: str, column: str) -> bool:
    return re.search(rf'(?<![\w.]){re.escape(column)}\b|"{re.escape(column)}"', text) is not None


def silence(scene: Scene, target: Target, command: str, answer: Answer) -> Blame | None:
    """Why a tenant's own row was out of reach; None when row security is not what refused it."""
    if answer.failed and not answer.with_check:
        return _error(scene, target, answer)
    table = target.table
    first = f"CREATE POLICY tenant ON {table.written} "
    clause = f"USING ({target.column} = <the bound tenant>);"
    if not table.permissive:
        return Blame("RLS003", first + clause)
    if not of_role(scene, table):
        return Blame("RLS008", f"name {scene.actor.role} in a policy of {table.written}")
    policies = applicable(scene, table, command)
    if not policies:
        return Blame("RLS006", f"{first}FOR {command.upper()} {clause}")
    if all(policy.using is None and (command != "insert" or policy.check is None) for policy in policies):
        return Blame("RLS007", f"give {policies[0].name} on {table.written} its clause")
    if command != "select" and not applicable(scene, table, "select"):
        return Blame("RLS006", f"{first}FOR SELECT {clause}")
    return _by_text(scene, target, policies, command)


def _by_text(scene: Scene, target: Target, policies: list[Policy], command: str) -> Blame:
    texts = list(_clauses(policies, command))
    name = f"{policies[0].name} on {target.table.written}"
    asked = settings_read(texts).names
    if any(policy.check and policy.using and policy.check != policy.using for policy in policies):
        return Blame("RLS012", f"{name}: USING and WITH CHECK must ask the same")
    if asked and scene.carriers and not asked & scene.carriers:
        return Blame("RLS019", f"{name} reads {', '.join(sorted(asked))}, the application binds another")
    joined = " ".join(texts)
    if _LOOSE.search(joined):
        return Blame("RLS014", f"{name}: NOT IN over a NULL is never true; use NOT EXISTS")
    if _SUBSELECT.search(joined):
        return Blame("RLS022", f"{name}: let the role read the rows that its sub-select asks for")
    return Blame("RLS014", f"{name}: compare the tenant column in its own type")


def _clauses(policies: list[Policy], command: str) -> Iterator[str]:
    for policy in policies:
        for kind, text in policy.clauses():
            if kind == "USING" or command in {"insert", "update"}:
                yield text


def _error(scene: Scene, target: Target, answer: Answer) -> Blame | None:
    table = target.table.written
    if answer.sqlstate == "42P17":
        return Blame("RLS022", f"a policy of {table} reads {table} again: ask a SECURITY DEFINER function")
    if answer.sqlstate == "42704":
        return Blame("RLS018", "current_setting(name, true)")
    if answer.sqlstate == "42501" and "row-level security" in answer.words:
        return Blame("RLS054", f"ALTER ROLE {scene.actor.role} RESET row_security;")
    if answer.sqlstate == "42501" and answer.words.startswith("permission denied for"):
        return Blame("RLS022", f"grant the role what the policies of {table} read")
    if answer.sqlstate in {"22P02", "22023", "22003", "22007"}:
        return Blame(
            "RLS014", f"a cast in the policies of {table} fails on stored values: do not cast columns"
        )
    return None


def unset_error(scene: Scene, target: Target, state: str, answer: Answer) -> Blame | None:
    """What an error without a tenant says; None when it is a plain refusal."""
    if answer.sqlstate == "42704":
        return Blame("RLS018", "current_setting(name, true), or a function that refuses in its own words")
    if answer.sqlstate in {"22P02", "22023"} and state == "empty":
        return Blame(
            "RLS017", f"nullif(current_setting(name, true), '') in the policies of {target.table.written}"
        )
    if answer.sqlstate in {"42P17", "22P02"} or (
        answer.sqlstate == "42501" and answer.words.startswith("permission denied for")
    ):
        return _error(scene, target, answer)
    return None
