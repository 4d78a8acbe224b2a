"""Prove by trying that two tenants of a PostgreSQL database cannot reach each other.

Synthetic rows of two tenants are written, every way to them that row_security.md section 6 lists is
tried as the application's role, and all of it is rolled back. What could not be seeded or tried is
said, never passed.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import psycopg

from lint.catalogue import with_tenant_columns
from lint.config import TENANT_COLUMNS
from lint.live.probes import reads, writes
from lint.live.probes.binding import GivenValues, PlainSetting, SettingsRead, given, settings_read
from lint.live.probes.errors import ProbeError
from lint.live.probes.result import ProbeResult, Protocol
from lint.live.probes.scene import Scene, Target
from lint.live.probes.session import Actor, Session, quoted
from lint.live.probes.structure import read_structure
from lint.live.probes.synthesis import Seeder
from lint.live.probes.values import tenant_ids
from lint.live.probes.variants import variants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue
    from lint.live.probes.binding import TenantBinding

_ROLE: Final = """
SELECT current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       r.rolsuper, r.rolbypassrls, pg_has_role(current_user, r.oid, 'MEMBER'),
       ARRAY(SELECT m.rolname::text FROM pg_roles m WHERE pg_has_role(r.oid, m.oid, 'USAGE')),
       current_setting('server_version_num')::int
  FROM pg_roles r WHERE r.rolname = {role}
"""
_ACTIVE: Final = "SELECT c.oid, row_security_active(c.oid) FROM pg_class c WHERE c.oid IN ({oids})"
_FUNCTIONS: Final = """
SELECT p.proname, p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prosrc ILIKE '%current_setting%'
"""


def probe(
    connection: psycopg.Connection[Any] | str,
    catalogue: Catalogue,
    *,
    role: str,
    tenant_setting: str | None = None,
    tenant_column: str | None = None,
    read_only: bool = False,
    binding: TenantBinding | None = None,
    scripts: list[str] | None = None,
) -> ProbeResult:
    """Try every way from one tenant to another as `role`; the database is left as it was.

    Args:
        connection: a privileged login (it seeds, and becomes `role`), as a DSN or idle.
        catalogue: what `lint.live` read from the same database.
        tenant_setting: NAME, or NAME=VALUE_A,VALUE_B for a setting that cannot be made from an id.
        tenant_column: the tenant column's name, where the usual ones do not fit.
        binding: mints the settings of a tenant, for sealed ones.
        scripts: receives each message that was sent, for whoever measures.

    Raises ProbeError when the role cannot be probed: unknown, superuser, BYPASSRLS, not reachable.
    """
    if read_only:
        raise ProbeError("read-only probing is not built yet: leave it out")
    names = (tenant_column,) if tenant_column else TENANT_COLUMNS
    named = with_tenant_columns(catalogue, names)
    with _opened(connection) as session:
        if scripts is not None:
            session.scripts = scripts
        scene = _scene(session, named, role, tenant_setting, binding)
        _probe_tables(scene)
        return _result(scene)


@contextmanager
def _opened(connection: psycopg.Connection[Any] | str) -> Iterator[Session]:
    if isinstance(connection, str):
        try:
            # posture: allow WRAP001 the prober's own transaction, rolled back at its end
            with psycopg.connect(connection, autocommit=True) as own, _opened(own) as session:
                yield session
        except psycopg.OperationalError as error:
            raise ProbeError(f"the database cannot be reached: {' '.join(str(error).split())}") from error
        return
    session = Session(connection)
    session.begin()
    try:
        yield session
    finally:
        session.end()


def _scene(
    session: Session, catalogue: Catalogue, role: str, setting: str | None, binding: TenantBinding | None
) -> Scene:
    login, login_super, identities, version = _role(session, role)
    structure = read_structure(session, role)
    read = _settings(session, catalogue)
    bound = binding or (given(setting) if setting else read.carrier)
    actor = Actor(role, becomes="" if login == role else "ROLE")
    scene = Scene(
        session, structure, catalogue, actor, ("", ""), bound, read, identities, version, Protocol()
    )
    scene.targets = list(_targets(scene))
    _active(scene)
    token = "p" + secrets.token_hex(3)
    scene.tenants = tenant_ids([one.relation.columns[one.tenant] for one in scene.targets], token)
    if isinstance(bound, GivenValues):
        scene.binding, scene.tenants = replace(bound, tenants=scene.tenants), scene.tenants
    scene.carriers = frozenset(_carriers(scene))
    scene.seeder = Seeder(session, structure, scene.tenants, token, login_super)
    return scene


def _role(session: Session, role: str) -> tuple[str, bool, frozenset[str], int]:
    found = session.rows(_ROLE.format(role=quoted(role)))
    if not found:
        raise ProbeError(f"--role {role}: this database has no such role")
    login, login_super, superuser, bypasses, member, identities, version = found[0]
    if superuser:
        raise ProbeError(f"--role {role} is a superuser: no policy applies to it; name the role that serves")
    if bypasses:
        raise ProbeError(
            f"--role {role} has BYPASSRLS: no policy applies to it; ALTER ROLE {role} NOBYPASSRLS"
        )
    if not member:
        raise ProbeError(f"{login} may not become {role}: connect as a superuser, or GRANT {role} TO {login}")
    return login, login_super, frozenset(identities), version


def _settings(session: Session, catalogue: Catalogue) -> SettingsRead:
    """The settings that policies ask for themselves or through a function of the database."""
    texts = [
        text
        for table in catalogue.tables.values()
        for policy in table.policies
        for _, text in policy.clauses()
    ]
    bodies: dict[str, str] = dict(session.rows(_FUNCTIONS))
    called = [body for text in texts for function, body in bodies.items() if f"{function}(" in text]
    return settings_read([*texts, *called])


def _carriers(scene: Scene) -> Iterator[str]:
    if scene.binding is not None:
        yield from (setting.lower() for setting in scene.binding.settings(scene.a))


def _targets(scene: Scene) -> Iterator[Target]:
    for table in scene.catalogue.tables.values():
        relation = scene.structure.named(table.qualified)
        if relation is None or table.tenant_column is None:
            continue
        relation.tenant = table.tenant_column
        yield Target(relation, table, table.tenant_column)


def _active(scene: Scene) -> None:
    """Assert, with the role's eyes, to which tables its policies apply at all."""
    oids = ", ".join(str(one.relation.oid) for one in scene.targets)
    if not oids:
        return
    answer = scene.tried({}, _ACTIVE.format(oids=oids))
    active = dict(answer.last)
    for target in scene.targets:
        target.active = bool(active.get(target.relation.oid))


def _probe_tables(scene: Scene) -> None:
    if not scene.targets:
        scene.protocol.inconclusive("", "seed", "no table has a tenant column: name it")
        return
    reached = [target for target in scene.targets if target.relation.privileges]
    for target in reached:
        _seed(scene, target)
    for state in ("unset", "empty"):
        for target in reached:
            if target.may("SELECT") and (target.own or target.foreign):
                reads.unbound(scene, target, state)
    for target in reached:
        if target.own and target.foreign:
            _probe_table(scene, target)


def _seed(scene: Scene, target: Target) -> None:
    seeder = scene.seeder
    if seeder is None:
        return
    for tenant in scene.tenants:
        seeder.ensure(target.relation, tenant)
        for overrides in variants(target.table, target.tenant, target.relation):
            seeder.seed(target.relation, tenant, overrides)
    target.own, target.foreign = (len(seeder.of(target.relation, tenant)) for tenant in scene.tenants)
    if not (target.own and target.foreign):
        why = seeder.reasons.get(target.relation.oid, "PostgreSQL refused every row that was made")
        scene.protocol.inconclusive(target.qualified, "seed", f"no row could be written: {why}")


def _probe_table(scene: Scene, target: Target) -> None:
    if scene.binding is None:
        scene.protocol.inconclusive(target.qualified, "bound", "no setting that carries the tenant was found")
        return
    if target.may("SELECT"):
        reads.bound(scene, target)
        if isinstance(scene.binding, PlainSetting):
            reads.odd_case(scene, target)
        else:
            reads.forged(scene, target)
        reads.switched(scene, target)
        if target.active:
            reads.row_security_off(scene, target)
        reads.cached_plan(scene, target)
        reads.copied(scene, target)
        reads.no_tenant(scene, target)
    writes.writes(scene, target)


def _result(scene: Scene) -> ProbeResult:
    protocol = scene.protocol
    return ProbeResult(
        protocol.sorted_findings(),
        protocol.probes,
        tuple(sorted(protocol.unclear.values())),
        tuple(protocol.notes),
        len(scene.session.scripts),
        scene.version,
        ", ".join(sorted(scene.carriers)),
        tuple(target.qualified for target in scene.targets if target.own and target.foreign),
    )
