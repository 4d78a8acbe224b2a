"""Can a tenant write, move, lock or delete another tenant's rows of a table, and its own?

A write counts by what it did, not by what it said: a trigger may have put the row right. An error
that PostgreSQL raises after WITH CHECK (a key, a foreign key) means that row security let it pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lint.live.probes.blame import leak, silence
from lint.live.probes.scene import PAST_ROW_SECURITY, UNQUALIFIED_LIMIT_ROWS, Scene, Target, many
from lint.live.probes.session import AS_LOGIN, name, quoted
from lint.live.probes.synthesis import insert

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lint.live.probes.session import Answer

#: MERGE came with this version.
_MERGE: Final = 150_000


def writes(scene: Scene, target: Target) -> None:
    """Every way of writing that the role was granted."""
    if target.may("INSERT"):
        inserted(scene, target)
        conflicting(scene, target)
    if target.may("UPDATE"):
        updated(scene, target)
        moved(scene, target)
        locked(scene, target)
    if target.may("DELETE"):
        deleted(scene, target)
    if scene.version >= _MERGE and target.may("SELECT") and target.may("UPDATE"):
        merged(scene, target)


def _row(scene: Scene, target: Target, tenant: str) -> Mapping[str, str | None]:
    """A row that the role may insert: of the columns it may name."""
    if scene.seeder is None:
        return {}
    row = scene.seeder.new_row(target.relation, tenant)
    return {column: value for column, value in row.items() if column in target.relation.insertable}


def inserted(scene: Scene, target: Target) -> None:
    """An own row may be inserted; a row of B may not, whatever constraint would stop it later."""
    own = scene.as_a(insert(target.relation, _row(scene, target, scene.a)))
    if own.failed and own.sqlstate[:2] != "23" and not scene.unanswered(target.qualified, "insert", own):
        _own_refused(scene, target, "insert", own)
    foreign = insert(target.relation, _row(scene, target, scene.b))
    answer = scene.as_a_then_login(foreign, f"SELECT count(*) FROM {target.sql} WHERE {_is(target, scene.b)}")  # noqa: S608 - quoted
    stored = bool(answer.last) and (answer.last[0][0] > target.foreign or not scene.sees_all)
    if stored or answer.sqlstate in PAST_ROW_SECURITY:
        _leaked(scene, target, "insert", "insert", "a row of tenant B can be inserted", answer)


def _own_refused(scene: Scene, target: Target, command: str, answer: Answer) -> None:
    blame = silence(scene, target, command, answer)
    if blame is None and command == "insert":
        scene.protocol.inconclusive(target.qualified, command, f"no own row can be inserted: {answer.said}")
    if blame is not None:
        what = answer.said if answer.failed else "0 rows, in silence"
        message = f"as tenant A, {command} of an own row of {target.qualified}: {what}"
        scene.report(blame.rule, target.qualified, command, message, blame.fix)


def _leaked(scene: Scene, target: Target, probe: str, command: str, what: str, answer: Answer) -> None:
    blame = leak(scene, target, command)
    after = f" (only {answer.constraint or answer.sqlstate} stopped it)" if answer.failed else ""
    message = f"as tenant A, {what} in {target.qualified}{after}"
    scene.report(blame.rule, target.qualified, probe, message, blame.fix)


def _is(target: Target, tenant: str) -> str:
    return f"{target.column} = {quoted(tenant)}"


def _changed(target: Target) -> str:
    """A column to set, by itself: another than the tenant's where there is one."""
    names = [one for one in target.relation.updatable if one != target.tenant]
    return name(min(names, key=lambda one: _rank(target, one)) if names else target.tenant)


def _rank(target: Target, column: str) -> tuple[bool, str]:
    keyed = any(column in key.columns for key in target.relation.keys)
    return keyed or any(column in key.columns for key in target.relation.foreign_keys), column


def updated(scene: Scene, target: Target) -> None:
    """Own rows may be updated; B's may not, neither by WHERE nor by leaving WHERE out."""
    changed = _changed(target)
    own = scene.as_a(f"UPDATE {target.sql} SET {changed} = {changed} WHERE {_is(target, scene.a)}")  # noqa: S608 - quoted
    if target.own and not own.count and not scene.unanswered(target.qualified, "update", own):
        _own_refused(scene, target, "update", own)
    answer = scene.as_a(f"UPDATE {target.sql} SET {changed} = {changed} WHERE {_is(target, scene.b)}")  # noqa: S608 - quoted
    if answer.count:
        _leaked(scene, target, "update", "update", f"{many(answer.count)} of tenant B can be updated", answer)
    if _small(scene, target, "update without where") and target.tenant in target.relation.updatable:
        answer = scene.as_a(f"UPDATE {target.sql} SET {target.column} = {quoted(scene.a)}")  # noqa: S608 - quoted
        if answer.count > target.own or answer.sqlstate in PAST_ROW_SECURITY:
            what = "UPDATE without WHERE reaches rows of other tenants"
            _leaked(scene, target, "update without where", "update", what, answer)


def _small(scene: Scene, target: Target, probe: str) -> bool:
    if target.relation.estimate <= UNQUALIFIED_LIMIT_ROWS:
        return True
    why = f"about {target.relation.estimate} rows: a statement without WHERE could lock them all"
    scene.protocol.inconclusive(target.qualified, probe, why)
    return False


def moved(scene: Scene, target: Target) -> None:
    """An own row may not be handed to B: by WHERE, and without one, which asks no SELECT policy."""
    if target.tenant not in target.relation.updatable:
        return
    for where in (f" WHERE {_is(target, scene.a)}", ""):
        if not where and not _small(scene, target, "move"):
            continue
        statement = f"UPDATE {target.sql} SET {target.column} = {quoted(scene.b)}{where}"  # noqa: S608 - quoted
        answer, changed = _reaching(scene, target, statement)
        if changed or answer.sqlstate in PAST_ROW_SECURITY:
            _leaked(scene, target, "move", "move", "own rows can be moved to tenant B", answer)


def locked(scene: Scene, target: Target) -> None:
    """FOR UPDATE asks the UPDATE policies too: without one it locks 0 rows in silence."""
    if not target.may("SELECT") or not target.readable:
        return
    answer = scene.as_a(f"SELECT FROM {target.sql} WHERE {_is(target, scene.a)} FOR UPDATE")
    if target.own and not answer.failed and not answer.count:
        _own_refused(scene, target, "update", answer)


def deleted(scene: Scene, target: Target) -> None:
    """Own rows may be deleted; B's may not, neither by WHERE nor by leaving WHERE out."""
    own = scene.as_a(f"DELETE FROM {target.sql} WHERE {_is(target, scene.a)}")  # noqa: S608 - quoted
    refused = own.sqlstate not in {"23503", "23001"} and not scene.unanswered(target.qualified, "delete", own)
    if target.own and not own.count and refused:
        _own_refused(scene, target, "delete", own)
    answer = scene.as_a(f"DELETE FROM {target.sql} WHERE {_is(target, scene.b)}")  # noqa: S608 - quoted
    if answer.count or answer.sqlstate == "23503":
        _leaked(scene, target, "delete", "delete", f"{many(answer.count)} of tenant B can be deleted", answer)
    if _small(scene, target, "delete without where"):
        answer = scene.as_a(f"DELETE FROM {target.sql}")  # noqa: S608 - quoted
        if answer.count > target.own:
            _leaked(scene, target, "delete without where", "delete", "DELETE without WHERE reaches B", answer)


def merged(scene: Scene, target: Target) -> None:
    """MERGE asks the policies of each action (CVE-2023-39418 was that it did not)."""
    on = f"MERGE INTO {target.sql} USING (SELECT 1) one ON {_is(target, scene.b)} WHEN MATCHED THEN "
    changed = _changed(target)
    actions = [f"UPDATE SET {changed} = {changed}", *(["DELETE"] if target.may("DELETE") else [])]
    for action in actions:
        answer = scene.as_a(on + action)
        if answer.count:
            what = f"MERGE reaches {many(answer.count)} of tenant B"
            _leaked(scene, target, "merge", "update", what, answer)


def conflicting(scene: Scene, target: Target) -> None:
    """ON CONFLICT must neither change B's row nor tell that there is one."""
    if scene.seeder is None:
        return
    seeds = scene.seeder.of(target.relation, scene.b)
    if not seeds:
        return
    for key in target.relation.keys:
        if not key.plain or not set(key.columns) <= target.relation.insertable:
            continue
        theirs = {column: seeds[0].row[column] for column in key.columns}
        if target.may("UPDATE"):
            _upserted(scene, target, key.columns, theirs)
        if target.tenant not in key.columns and not _drawn(target, key.columns):
            _oracle(scene, target, key.name, theirs)


def _upserted(
    scene: Scene, target: Target, columns: tuple[str, ...], theirs: Mapping[str, str | None]
) -> None:
    row = {**_row(scene, target, scene.b), **theirs}
    changed = _changed(target)
    arbiter = ", ".join(name(column) for column in columns)
    statement = (
        f"{insert(target.relation, row)} ON CONFLICT ({arbiter}) DO UPDATE SET {changed} = EXCLUDED.{changed}"
    )
    answer, reached = _reaching(scene, target, statement)
    if reached:
        _leaked(
            scene, target, "on conflict", "update", "ON CONFLICT DO UPDATE changes a row of tenant B", answer
        )


def _reaching(scene: Scene, target: Target, statement: str) -> tuple[Answer, bool]:
    """Run a write as A; say whether tenant B's rows are others, or in other places, after it.

    The count of a command is not enough: a trigger may have put the row right.
    """
    rows = f"FROM {target.sql} WHERE {_is(target, scene.b)}"
    look = f"SELECT string_agg(tableoid || ' ' || ctid, ',' ORDER BY tableoid, ctid) {rows}"
    script = scene.actor.script(scene.settings(scene.a), statement)
    scene.protocol.tried()
    answer = scene.session.undone([look, *script, AS_LOGIN, look])
    if answer.failed:
        return answer, False
    changed = answer.rows[0] != answer.last if scene.sees_all else answer.counts[-3] > 0
    return answer, changed


def _drawn(target: Target, columns: tuple[str, ...]) -> bool:
    """Whether a key is a number or id that is drawn, so that nobody chooses another's."""
    return all(target.relation.columns[column].surrogate for column in columns)


def _oracle(scene: Scene, target: Target, index: str, theirs: Mapping[str, str | None]) -> None:
    row = {**_row(scene, target, scene.a), **theirs}
    statement = insert(target.relation, row)
    told = scene.as_a(statement)
    quiet = scene.as_a(f"{statement} ON CONFLICT DO NOTHING")
    if (told.sqlstate == "23505" and told.constraint == index) or (not quiet.failed and not quiet.count):
        message = (
            f"as tenant A, inserting an own row into {target.qualified} tells whether tenant B has one "
            f"with the same {', '.join(theirs)} ({index}, 23505)"
        )
        fix = f"make {index} unique on ({', '.join((target.tenant, *theirs))})"
        scene.report("RLS050", target.qualified, "unique oracle", message, fix)


def granted(scene: Scene, target: Target) -> None:
    """TRUNCATE, REFERENCES and TRIGGER are not subject to row security (manual, 5.9)."""
    scene.protocol.tried(3)
    if target.table.owner in scene.identities:
        message = f"{scene.actor.role} owns {target.qualified}: it may DISABLE row security and drop policies"
        fix = f"ALTER TABLE {target.table.written} OWNER TO <a role that nobody logs in as>;"
        scene.report("RLS054", target.qualified, "owner", message, fix)
        return
    for privilege, harm in _harms():
        if target.may(privilege):
            message = f"{scene.actor.role} may {privilege} {target.qualified}: {harm}"
            fix = f"REVOKE {privilege} ON {target.table.written} FROM {scene.actor.role};"
            scene.report("RLS053", target.qualified, privilege.lower(), message, fix)


def _harms() -> Iterator[tuple[str, str]]:
    yield "TRUNCATE", "it empties every tenant's rows, whatever the policies"
    yield "REFERENCES", "a foreign key of its own tells which of other tenants' rows exist"
    yield "TRIGGER", "a trigger of its own reads what other tenants write"
