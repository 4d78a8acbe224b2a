"""Which rows the probes look for: synthetic ones of two tenants, or, read-only, those that exist.

Seeding runs as the connecting login with row security out of its way: a superuser or BYPASSRLS login
has none; an owner's FORCE is lifted for the seeding and set again, in the same rolled-back
transaction. Every table that ends without rows of both tenants is named with the reason.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from lint.live.probes.scene import rows_of
from lint.live.probes.session import quoted
from lint.live.probes.variants import named_tenants, preferred, variants

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lint.live.probes.scene import Scene, Target
    from lint.live.probes.synthesis import Seeder

#: Rows looked through for tenants when nothing may be written.
_LOOKED_THROUGH: Final = 10_000


def seed(scene: Scene, seeder: Seeder, targets: Sequence[Target]) -> None:
    """Write rows of both tenants into every target, and count them."""
    lifted = [one for one in targets if one.table.forced and not scene.sees_all]
    for target in lifted:
        scene.session.kept([f"ALTER TABLE {target.sql} NO FORCE ROW LEVEL SECURITY"])
    for target in targets:
        seeder.preferred[target.relation.oid] = preferred(target.table, target.tenant)
    for target in targets:
        _seed(scene, seeder, target)
    _count(scene, targets)
    for target in lifted:
        again = ("SET CONSTRAINTS ALL IMMEDIATE", f"ALTER TABLE {target.sql} FORCE ROW LEVEL SECURITY")
        scene.session.kept(again)
    for target in targets:
        if not (target.own and target.foreign):
            why = seeder.reasons.get(target.relation.oid, "PostgreSQL refused every row that was made")
            scene.protocol.inconclusive(target.qualified, "seed", f"no row could be written: {why}")


def _seed(scene: Scene, seeder: Seeder, target: Target) -> None:
    others = variants(target.table, target.tenant, target.relation)
    for tenant in scene.tenants:
        seeder.ensure(target.relation, tenant)
        for overrides in others:
            seeder.seed(target.relation, tenant, overrides)
    refused = seeder.reasons.get(target.relation.oid)
    for other in named_tenants(target.table, target.tenant, target.relation):
        seeder.seed(target.relation, other, {})
    if not target.relation.columns[target.tenant].required:
        seeder.seed(target.relation, None, {})
    if refused is not None:
        seeder.reasons[target.relation.oid] = refused


def _count(scene: Scene, targets: Sequence[Target]) -> None:
    """Count what is there now: triggers may have written more than was asked for."""
    for target in targets:
        counts = [
            f"(SELECT count(*) FROM {target.sql} WHERE {target.column} = {quoted(tenant)})"  # noqa: S608 - quoted
            for tenant in scene.tenants
        ]
        answer = scene.session.undone([f"SELECT {', '.join(counts)}"])
        if not answer.failed:
            target.own, target.foreign = answer.last[0]


def existing(scene: Scene, targets: Sequence[Target]) -> tuple[str, str]:
    """The two tenants with rows in most tables; ('', '') when there are no two."""
    found: Counter[str] = Counter()
    for target in targets:
        some = f"SELECT {target.column} AS tenant FROM {target.sql} LIMIT {_LOOKED_THROUGH}"  # noqa: S608 - quoted
        distinct = f"SELECT DISTINCT tenant::text FROM ({some}) looked LIMIT 200"  # noqa: S608 - quoted
        answer = scene.session.undone([distinct])
        found.update(tenant for (tenant,) in answer.last if tenant)
    most = [tenant for tenant, _ in sorted(found.items(), key=lambda one: (-one[1], one[0]))]
    return (most[0], most[1]) if len(most) > 1 else ("", "")


def look(scene: Scene, targets: Sequence[Target]) -> None:
    """Count the existing rows of both tenants; a table without them is inconclusive."""
    for target in targets:
        probes = [rows_of(target, tenant) for tenant in scene.tenants]
        answer = scene.session.undone([f"SELECT {', '.join(probes)}"])
        if not answer.failed:
            target.own, target.foreign = answer.last[0]
        if not (target.own and target.foreign):
            why = "read-only: it holds no rows of the two tenants that were looked for"
            scene.protocol.inconclusive(target.qualified, "select", why)
