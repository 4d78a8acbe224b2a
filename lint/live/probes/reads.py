"""Can a tenant, or nobody in particular, see another tenant's rows of a table?

Each table is read in every state a pooled session can be in (row_security.md 6): nothing set, the
empty string that SET LOCAL leaves behind, tenant A, tenant B, A in odd case, a wildcard.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from lint.live.probes.binding import PlainSetting, settings_read
from lint.live.probes.blame import applicable, leak, silence, unset_error
from lint.live.probes.scene import (
    COUNTED_ROWS,
    UNQUALIFIED_LIMIT_ROWS,
    Scene,
    Target,
    many,
    rows_beyond,
    rows_of,
)
from lint.live.probes.session import name, quoted
from lint.live.probes.synthesis import insert

if TYPE_CHECKING:
    from lint.live.probes.session import Answer

#: What the catalog alone shows: no policy, none for the command or the role, one without a clause.
_PLAIN_FAULTS: Final = frozenset({"RLS003", "RLS006", "RLS007", "RLS008"})
_WHO: Final = re.compile(r"\b(session_user|current_user|current_role)\b", re.IGNORECASE)
_SWITCH_VALUES: Final = ("on", "true", "1", "yes")


def visible(target: Target, tenant: str) -> str:
    """A query: rows of a tenant, rows of others, that can be seen."""
    return f"SELECT {rows_of(target, tenant)}, {rows_beyond(target, tenant)}"


def unbound(scene: Scene, target: Target, state: str) -> None:
    """No row may be seen while no tenant is bound; `state` is "unset" or "empty"."""
    settings = dict.fromkeys(scene.carriers, "") if state == "empty" else {}
    rows = f"SELECT count(*) FROM (SELECT FROM {target.sql} LIMIT {COUNTED_ROWS}) seen"  # noqa: S608 - quoted
    answer = scene.tried(settings, rows)
    if scene.unanswered(target.qualified, state, answer):
        return
    words = "with the tenant setting unset" if state == "unset" else "with the tenant setting ''"
    if answer.failed:
        blame = unset_error(scene, target, state, answer)
        if blame is not None:
            message = f"{words}, reading {target.qualified} fails: {answer.said}"
            scene.report(blame.rule, target.qualified, state, message, blame.fix)
        return
    seen = answer.last[0][0]
    if seen:
        blame = leak(scene, target, "select", "unset")
        message = f"{words}, {many(seen)} of {target.qualified} can be read"
        scene.report(blame.rule, target.qualified, state, message, blame.fix)


def bound(scene: Scene, target: Target) -> None:
    """A sees its own rows and nobody else's; B sees its own."""
    for label, tenant in zip("AB", scene.tenants, strict=True):
        answer = scene.tried(scene.settings(tenant), visible(target, tenant))
        if scene.unanswered(target.qualified, "select", answer):
            continue
        own, others = answer.last[0] if answer.last else (0, 0)
        if others:
            blame = leak(scene, target, "select")
            message = f"as tenant {label}, {many(others)} of other tenants in {target.qualified}"
            scene.report(blame.rule, target.qualified, "select", message, blame.fix)
        if own:
            target.readable = True
        elif target.own if label == "A" else target.foreign:
            scene.missing.append((target, label, answer))


def missing(scene: Scene) -> None:
    """Own rows that a tenant did not see, once all tables were read.

    Where no table at all showed a row, it may be the binding that is wrong: that is not a finding.
    """
    proven = any(target.readable for target in scene.targets)
    for target, label, answer in scene.missing:
        _own_rows_missing(scene, target, label, answer, proven=proven)


def _own_rows_missing(scene: Scene, target: Target, label: str, answer: Answer, *, proven: bool) -> None:
    other = sorted(_asked_besides(scene, target))
    blame = silence(scene, target, "select", answer)
    if blame is None:
        why = f"tenant {label} cannot read: {answer.said}"
        if isinstance(scene.binding, PlainSetting):
            why += (
                f"; if {scene.binding.setting} cannot be made from a tenant's id, give two of its values "
                "(--tenant-setting NAME=VALUE_A,VALUE_B) or a binding"
            )
        scene.protocol.inconclusive(target.qualified, "select", why)
    elif blame.rule not in _PLAIN_FAULTS and _asks_who(scene, target):
        why = f"tenant {label} sees no row of its own: the policies ask which role is logged in"
        scene.protocol.inconclusive(target.qualified, "select", why)
    elif other and blame.rule not in {*_PLAIN_FAULTS, "RLS019", "RLS022"}:
        why = f"tenant {label} sees no row of its own: the policies also ask for {', '.join(other)}"
        scene.protocol.inconclusive(target.qualified, "select", why)
    elif not proven and not answer.failed and blame.rule not in _PLAIN_FAULTS:
        named = ", ".join(sorted(scene.carriers))
        why = (
            f"no table shows a tenant its rows when {named} holds its id: name the setting, or give a binding"
        )
        scene.protocol.inconclusive(target.qualified, "select", why)
    else:
        seen = f"fails: {answer.said}" if answer.failed else "shows none of its own rows"
        message = f"as tenant {label}, reading {target.qualified} {seen}"
        scene.report(blame.rule, target.qualified, "select", message, blame.fix)


def _asks_who(scene: Scene, target: Target) -> bool:
    """Whether the policies decide by the role's name instead of a setting."""
    texts = [text for policy in applicable(scene, target.table, "select") for _, text in policy.clauses()]
    named = any(_WHO.search(text) for text in texts)
    return named and not settings_read(texts).names & scene.carriers


def _asked_besides(scene: Scene, target: Target) -> frozenset[str]:
    """Settings that the policies of a table ask for beside the tenant's and beside switches."""
    texts = [text for policy in applicable(scene, target.table, "select") for _, text in policy.clauses()]
    read = settings_read(texts)
    if not read.names & scene.carriers:
        return frozenset()
    return frozenset(one for one, literals in read.literals.items() if not literals) - scene.carriers


def odd_case(scene: Scene, target: Target) -> None:
    """An id in odd case is the same tenant where the column's type says so; a wildcard is nobody."""
    column = target.relation.columns[target.tenant]
    upper = scene.a.upper()
    if column.base == "uuid" and upper != scene.a and target.readable:
        answer = scene.tried(_spelled(scene, upper), visible(target, scene.a))
        if not answer.failed and not answer.last[0][0]:
            message = f"tenant A written in capitals sees none of its rows in {target.qualified}"
            fix = f"compare {target.column} with the setting cast to uuid, not as text"
            scene.report("RLS014", target.qualified, "odd case", message, fix)
    answer = scene.tried(_spelled(scene, "%"), visible(target, scene.a))
    if not answer.failed and sum(answer.last[0]) and not _told(scene, target):
        message = (
            f"with the tenant setting '%', {many(sum(answer.last[0]))} of {target.qualified} can be read"
        )
        blame = leak(scene, target, "select")
        rule = "RLS014" if blame.rule == "RLS010" and target.readable else blame.rule
        scene.report(rule, target.qualified, "odd case", message, blame.fix)


def _spelled(scene: Scene, text: str) -> dict[str, str]:
    return {setting: value.replace(scene.a, text) for setting, value in scene.settings(scene.a).items()}


def switched(scene: Scene, target: Target) -> None:
    """No other setting that a policy asks for may open rows: whoever injects SQL makes settings."""
    for setting in sorted(scene.read.names - scene.carriers):
        literals = scene.read.literals.get(setting, frozenset())
        if not literals and not target.readable:
            continue  # it may be this table's own tenant setting, under a name that nobody makes
        values = (*sorted(literals), *(value for value in _SWITCH_VALUES if value not in literals), scene.b)
        for value in values if literals else (*_SWITCH_VALUES[:2], scene.b):
            answer = scene.tried({**scene.settings(scene.a), setting: value}, visible(target, scene.a))
            if not answer.failed and answer.last[0][1]:
                message = (
                    f"as tenant A with {setting} = '{value}', {many(answer.last[0][1])} of other tenants "
                    f"in {target.qualified}: any session may make that setting"
                )
                blame = leak(scene, target, "select", "switch")
                scene.report(blame.rule, target.qualified, f"setting {setting}", message, blame.fix)
                break


def forged(scene: Scene, target: Target) -> None:
    """A sealed setting made to name B by text alone must not move the session there."""
    made = {
        setting: value.replace(scene.a, scene.b) if scene.a in value else scene.b
        for setting, value in scene.settings(scene.a).items()
    }
    answer = scene.as_a(*_injected(made), visible(target, scene.a))
    if not answer.failed and answer.last[0][1] and not _told(scene, target):
        message = f"as tenant A with a forged setting, {many(answer.last[0][1])} of {target.qualified}"
        scene.report(
            "RLS035", target.qualified, "forged setting", message, "verify a seal in the policy's function"
        )


def _injected(settings: dict[str, str]) -> list[str]:
    return [
        f"SELECT set_config({quoted(setting)}, {quoted(value)}, true)" for setting, value in settings.items()
    ]


def row_security_off(scene: Scene, target: Target) -> None:
    """`row_security = off` must raise for the role (manual, 5.9); an answer means it is exempt."""
    # posture: ignore BYP006 until 2027-11-30 (posture): the probe asserts that PostgreSQL refuses it
    answer = scene.as_a("SET LOCAL row_security = off", visible(target, scene.a))
    if not answer.failed:
        blame = leak(scene, target, "select")
        message = f"with row_security = off, {target.qualified} answers: the role is exempt from its policies"
        scene.report(blame.rule, target.qualified, "row_security off", message, blame.fix)


def cached_plan(scene: Scene, target: Target) -> None:
    """A generic plan made for A, or for the login, must not show those rows to B."""
    for label, first in (("A", scene.actor.script(scene.settings(scene.a))), ("the login", [])):
        plan = f"posture_plan_{scene.protocol.probes}"
        count = f"SELECT {rows_of(target, scene.a)}"
        switch = scene.actor.script(scene.settings(scene.b)) if label != "A" else _bind(scene, scene.b)
        scene.protocol.tried()
        answer = scene.session.undone(
            [
                *first,
                "SET LOCAL plan_cache_mode = force_generic_plan",
                f"PREPARE {plan} AS {count}",
                f"EXECUTE {plan}",
                *switch,
                f"EXECUTE {plan}",
                f"DEALLOCATE {plan}",
            ]
        )
        if answer.failed:
            scene.session.undone([f"DEALLOCATE {plan}"])
        elif answer.rows[-2][0][0] and not _told(scene, target):
            message = (
                f"as tenant B, a plan prepared for {label} shows {many(answer.rows[-2][0][0])} of tenant A"
            )
            fix = "declare the policy's function STABLE, not IMMUTABLE"
            scene.report("RLS020", target.qualified, "cached plan", message, fix)


def _told(scene: Scene, target: Target) -> bool:
    """Whether plain reads of the table already leak, so that another way in has nothing to add."""
    return any(
        found.table == target.qualified and found.probe in {"select", "unset"}
        for found in scene.protocol.found.values()
    )


def _bind(scene: Scene, tenant: str) -> list[str]:
    return _injected(dict(scene.settings(tenant)))


def copied(scene: Scene, target: Target) -> None:
    """COPY TO is a SELECT under row security; the whole table is copied only where it is small."""
    small = target.relation.estimate <= UNQUALIFIED_LIMIT_ROWS and target.relation.kind == "r"
    beyond = f"(SELECT * FROM {target.sql} WHERE {target.column} <> {quoted(scene.a)} LIMIT 1000)"  # noqa: S608 - quoted
    scene.protocol.tried()
    copy = f"COPY {target.sql if small else beyond} TO STDOUT"
    lines = scene.session.copied(scene.actor.script(scene.settings(scene.a), copy))
    foreign = sum(scene.b in line for line in lines) if small else len(lines)
    if foreign:
        blame = leak(scene, target, "select")
        message = f"as tenant A, COPY TO writes {many(foreign)} of tenant B from {target.qualified}"
        scene.report(blame.rule, target.qualified, "copy", message, blame.fix)


def no_tenant(scene: Scene, target: Target) -> None:
    """A may not write a row without a tenant that B then reads."""
    column = target.relation.columns[target.tenant]
    if column.required or scene.seeder is None or not target.may("INSERT"):
        return
    row = {**scene.seeder.new_row(target.relation, None), target.tenant: None}
    mine = {one: value for one, value in row.items() if one in target.relation.insertable}
    shown = f"SELECT count(*) FROM {target.sql} WHERE {target.column} IS NULL"  # noqa: S608 - quoted
    answer = scene.as_a(insert(target.relation, mine), *_bind(scene, scene.b), shown)
    if not answer.failed and answer.last[0][0]:
        message = f"as tenant A, a row of {target.qualified} without a tenant can be written, and B reads it"
        fix = f"ALTER TABLE {target.table.written} ALTER COLUMN {name(target.tenant)} SET NOT NULL;"
        scene.report("RLS016", target.qualified, "null tenant", message, fix)
