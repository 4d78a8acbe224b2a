"""Can a tenant reach another through a foreign key: refer to it, learn of it, delete or lose by it?

Referential checks run past row security (manual, 5.9), so a foreign key without the tenant accepts a
row that the writer cannot see, and a cascade deletes rows that the deleter cannot see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.live.probes.scene import Scene, Target
from lint.live.probes.session import AS_LOGIN, name, quoted
from lint.live.probes.synthesis import equals, insert

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lint.live.probes.structure import ForeignKey
    from lint.live.probes.synthesis import Seed, Seeder


def references(scene: Scene, target: Target) -> None:
    """Every foreign key of a tenant table to a tenant table."""
    seeder = scene.seeder
    if seeder is None:
        return
    for key in target.relation.foreign_keys:
        parent = scene.target_of(key.target)
        if parent is None:
            continue
        pairs = dict(zip(key.columns, key.target_columns, strict=True))
        if pairs.get(target.tenant) == parent.tenant:
            _tenant_kept(scene, target, parent, key, seeder)
            continue
        if target.tenant in pairs:
            continue
        theirs = seeder.of(parent.relation, scene.b)
        if theirs and target.may("INSERT"):
            _referred(scene, target, parent, key, theirs[0])
        mine = seeder.of(parent.relation, scene.a)
        if mine and key.action in "cnd" and parent.may("DELETE"):
            _cascaded(scene, target, parent, key, mine[-1])


def _with_key(
    scene: Scene, target: Target, key: ForeignKey, tenant: str, parent: Seed
) -> Mapping[str, str | None]:
    """A new row of a tenant that refers to a given parent row."""
    if scene.seeder is None:
        return {}
    row = scene.seeder.new_row(target.relation, tenant)
    pairs = zip(key.columns, key.target_columns, strict=True)
    return {**row, **{column: parent.row.get(remote) for column, remote in pairs}}


def _referred(scene: Scene, target: Target, parent: Target, key: ForeignKey, theirs: Seed) -> None:
    row = _with_key(scene, target, key, scene.a, theirs)
    mine = {column: value for column, value in row.items() if column in target.relation.insertable}
    answer = scene.as_a(insert(target.relation, mine))
    if answer.count:
        message = (
            f"as tenant A, a row of {target.qualified} may refer to a row of tenant B in "
            f"{parent.qualified} ({key.name}): it tells which rows exist"
        )
        scene.report("RLS051", target.qualified, "foreign key", message, _composite(target, parent, key))


def _composite(target: Target, parent: Target, key: ForeignKey) -> str:
    ours, theirs = ", ".join((target.tenant, *key.columns)), ", ".join((parent.tenant, *key.target_columns))
    return f"FOREIGN KEY ({ours}) REFERENCES {parent.table.written} ({theirs})"


def _cascaded(scene: Scene, target: Target, parent: Target, key: ForeignKey, mine: Seed) -> None:
    """B's row refers to A's; A deletes its own; is B's row still what it was?"""
    row = _with_key(scene, target, key, scene.b, mine)
    referring = equals({column: row[column] for column in key.columns}, key.columns)
    left = f"SELECT count(*) FROM {target.sql} WHERE {target.column} = {quoted(scene.b)} AND {referring}"  # noqa: S608 - quoted
    gone = f"DELETE FROM {parent.sql} WHERE {equals(mine.row, key.target_columns)}"  # noqa: S608 - quoted
    scene.protocol.tried()
    answer = scene.session.undone(
        [
            insert(target.relation, row),
            *scene.actor.script(scene.settings(scene.a), gone),
            AS_LOGIN,
            left,
        ]
    )
    deleted = answer.counts[-3] if len(answer.counts) > 3 else 0
    if not answer.failed and deleted and not answer.last[0][0]:
        message = (
            f"as tenant A, deleting an own row of {parent.qualified} changes a row of tenant B in "
            f"{target.qualified} ({key.name})"
        )
        scene.report("RLS051", target.qualified, "cascade", message, _composite(target, parent, key))


def _tenant_kept(scene: Scene, target: Target, parent: Target, key: ForeignKey, seeder: Seeder) -> None:
    """ON DELETE SET NULL or SET DEFAULT must leave the tenant column alone."""
    mine = seeder.of(parent.relation, scene.a)
    if key.action not in "nd" or not mine:
        return
    row = _with_key(scene, target, key, scene.a, mine[-1])
    other = [column for column in key.columns if column != target.tenant]
    gone = f"DELETE FROM {parent.sql} WHERE {equals(mine[-1].row, key.target_columns)}"  # noqa: S608 - quoted
    lost = f"SELECT count(*) FROM {target.sql} WHERE {target.column} IS NULL"  # noqa: S608 - quoted
    scene.protocol.tried()
    answer = scene.session.undone([insert(target.relation, row), gone, lost])
    failed = answer.sqlstate == "23502"
    if failed or (not answer.failed and answer.last[0][0]):
        what = f"fails ({answer.said})" if failed else "takes the tenant from rows that refer to it"
        fix = f"ON DELETE SET NULL ({', '.join(map(name, other))})"
        message = f"deleting a row of {parent.qualified} {what} ({key.name} of {target.qualified})"
        scene.report("RLS052", target.qualified, "set null", message, fix)
