"""Other ways to a tenant's rows: views, materialised views, and copies that triggers and rules make.

A row of B is recognised wherever it turns up by its tenant id or by the mark in its texts; where only
a count or a sum comes out, by whether that changes when B gets one more row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lint.live.probes.scene import COUNTED_ROWS, Scene, Target, many
from lint.live.probes.session import AS_LOGIN, name, quoted
from lint.live.probes.synthesis import insert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lint.live.probes.session import Answer
    from lint.live.probes.structure import Relation

_READS: Final = """
SELECT DISTINCT r.ev_class, d.refobjid
  FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
 WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
"""
_WRITTEN: Final = "SELECT relid FROM pg_stat_xact_user_tables WHERE n_tup_ins > 0"


def theirs(scene: Scene, alias: str) -> str:
    """A condition on a whole row: it holds B's tenant id, or a text of B's."""
    mark = scene.seeder.mark(scene.b) if scene.seeder else scene.b
    return f"({alias}::text LIKE {quoted(f'%{scene.b}%')} OR {alias}::text LIKE {quoted(f'%{mark}%')})"


def seen_in(scene: Scene, source: str) -> str:
    """A query: how many rows of B a relation or a sub-query shows, up to a limit."""
    rows = f"SELECT FROM {source} AS row WHERE {theirs(scene, 'row')} LIMIT {COUNTED_ROWS}"
    return f"SELECT count(*) FROM ({rows}) seen"  # noqa: S608 - made of quoted parts


def views(scene: Scene) -> None:
    """Every view and materialised view that the role may read and that leads to a tenant table."""
    bases = _bases(scene)
    for view in scene.structure.of_kind("vm"):
        below = [one for oid in bases.get(view.oid, ()) if (one := scene.target_of(oid)) is not None]
        if not below or "SELECT" not in view.privileges:
            continue
        if view.kind == "m":
            _materialised(scene, view)
        else:
            _view(scene, view, below)


def _bases(scene: Scene) -> dict[int, set[int]]:
    """The tables that each view leads to, through other views."""
    direct: dict[int, set[int]] = {}
    for view, below in scene.session.rows(_READS):
        direct.setdefault(view, set()).add(below)

    def reach(oid: int, seen: frozenset[int]) -> set[int]:
        below = direct.get(oid, set()) - seen
        return below | {far for one in below for far in reach(one, seen | below)}

    return {view: reach(view, frozenset({view})) for view in direct}


def _view(scene: Scene, view: Relation, below: Sequence[Target]) -> None:
    sql = name(view.schema, view.name)
    known = scene.catalogue.views.get(view.qualified)
    invoker = known is not None and known.security_invoker
    explained = invoker and any(_leaks(scene, target) for target in below)
    answer = scene.as_a(seen_in(scene, sql))
    if answer.failed:
        _unreadable(scene, view, answer)
        return
    fix = f"ALTER VIEW {sql} SET (security_invoker = true);"
    tables = ", ".join(target.qualified for target in below)
    if answer.last[0][0] and not explained:
        message = (
            f"as tenant A, {many(answer.last[0][0])} of tenant B through view {view.qualified} ({tables})"
        )
        scene.report("RLS030", view.qualified, "view", message, fix)
    elif not invoker and changes(scene, f"SELECT * FROM {sql}", below):  # noqa: S608 - quoted
        message = f"as tenant A, view {view.qualified} changes when tenant B gets a row in {tables}"
        scene.report("RLS030", view.qualified, "view", message, fix)
    if not explained and scene.seeder is not None:
        _written_through(scene, view, below, fix)


def _leaks(scene: Scene, target: Target) -> bool:
    found = scene.protocol.found.values()
    return any(one.table == target.qualified and one.probe in {"select", "unset"} for one in found)


def _unreadable(scene: Scene, view: Relation, answer: Answer) -> None:
    if scene.unanswered(view.qualified, "view", answer):
        return
    if answer.sqlstate == "42501" and answer.words.startswith("permission denied for"):
        message = f"as tenant A, reading view {view.qualified} fails: {answer.said}"
        fix = "grant SELECT on the tables that the view reads; row security still decides the rows"
        scene.report("RLS030", view.qualified, "view", message, fix)
    else:
        scene.protocol.inconclusive(view.qualified, "view", answer.said)


def _written_through(scene: Scene, view: Relation, below: Sequence[Target], fix: str) -> None:
    tenant = next((target.tenant for target in below if target.tenant in view.columns), None)
    if tenant is None:
        return
    sql, where = name(view.schema, view.name), f"{name(tenant)} = {quoted(scene.b)}"
    statements = {
        "DELETE": f"DELETE FROM {sql} WHERE {where}",  # noqa: S608 - quoted
        "UPDATE": f"UPDATE {sql} SET {name(tenant)} = {name(tenant)} WHERE {where}",  # noqa: S608 - quoted
    }
    for command, statement in statements.items():
        if command in view.privileges:
            answer = scene.as_a(statement)
            if answer.count:
                message = (
                    f"as tenant A, {command} through view {view.qualified} reaches {many(answer.count)} of B"
                )
                scene.report("RLS030", view.qualified, f"view {command.lower()}", message, fix)


def _materialised(scene: Scene, view: Relation) -> None:
    """A materialised view cannot have policies: what its last REFRESH saw, everybody sees."""
    sql = name(view.schema, view.name)
    fix = f"REVOKE ALL ON {sql} FROM {scene.actor.role}; or read it through a view that compares the tenant"
    scene.protocol.tried()
    script = scene.actor.script(scene.settings(scene.a), seen_in(scene, sql))
    refresh = [f"REFRESH MATERIALIZED VIEW {sql}"] if scene.seeder is not None else []
    answer = scene.session.undone([*refresh, *script])
    if answer.failed:
        scene.protocol.inconclusive(view.qualified, "materialised view", f"not refreshed: {answer.said}")
    elif answer.last[0][0]:
        message = f"as tenant A, {many(answer.last[0][0])} of tenant B in materialised view {view.qualified}"
        scene.report("RLS031", view.qualified, "materialised view", message, fix)


def changes(scene: Scene, query: str, below: Iterable[Target]) -> bool:
    """Whether what A reads changes when B gets one more row in each of some tables."""
    if scene.seeder is None:
        return False
    some = f"(SELECT * FROM ({query}) all_rows LIMIT {COUNTED_ROWS})"  # noqa: S608 - quoted
    digest = f"SELECT md5(coalesce(string_agg(row::text, ',' ORDER BY row::text), '')) FROM {some} row"  # noqa: S608 - quoted
    seeder = scene.seeder
    rows = [insert(one.relation, seeder.new_row(one.relation, scene.b)) for one in below]
    become = scene.actor.script(scene.settings(scene.a))
    scene.protocol.tried()
    answer = scene.session.undone([*become, digest, digest, AS_LOGIN, *rows, *become, digest])
    if answer.failed:
        return False
    first = len(become)
    before, again = answer.rows[first][0][0], answer.rows[first + 1][0][0]
    return bool(before == again != answer.last[0][0])


def copies(scene: Scene) -> None:
    """Tables that our rows turned up in although nobody wrote there: triggers and rules did."""
    known = {target.relation.oid for target in scene.targets}
    if scene.seeder is None:
        return
    for (oid,) in scene.session.rows(_WRITTEN):
        relation = scene.structure.relations.get(oid)
        if relation is None or oid in known or "SELECT" not in relation.privileges:
            continue
        answer = scene.as_a(seen_in(scene, name(relation.schema, relation.name)))
        if not answer.failed and answer.last[0][0]:
            message = (
                f"as tenant A, {many(answer.last[0][0])} of tenant B in {relation.qualified}, "
                "where a trigger or rule copied them"
            )
            fix = f"give {relation.qualified} a tenant column, row security and a policy"
            scene.report("RLS034", relation.qualified, "trigger copy", message, fix)
