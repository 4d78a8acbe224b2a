"""Prove by trying that two tenants of a PostgreSQL database cannot reach each other.

Synthetic rows of two tenants are written, every way to them that row_security.md section 6 lists is
tried as the application's role, and all of it is rolled back. What could not be seeded or tried is
said, never passed.
"""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import psycopg

from lint.catalogue import with_tenant_columns
from lint.config import TENANT_COLUMNS
from lint.live.probes import doors, reads, writes
from lint.live.probes.asked import tenants_asked
from lint.live.probes.binding import GivenValues, PlainSetting, SettingsRead, given, settings_read
from lint.live.probes.errors import ProbeError
from lint.live.probes.functions import functions
from lint.live.probes.logins import followed, login_settings, logins
from lint.live.probes.population import existing, look, seed
from lint.live.probes.references import references
from lint.live.probes.result import ProbeResult
from lint.live.probes.scene import Scene, Target
from lint.live.probes.session import Actor, Session, quoted
from lint.live.probes.structure import read_structure
from lint.live.probes.synthesis import Seeder
from lint.live.probes.values import tenant_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lint.catalogue import Catalogue
    from lint.live.probes.binding import TenantBinding

_ROLE: Final = """
SELECT current_user, l.rolsuper, l.rolbypassrls,
       r.rolsuper, r.rolbypassrls, pg_has_role(current_user, r.oid, 'MEMBER'),
       ARRAY(SELECT m.rolname::text FROM pg_roles m WHERE pg_has_role(r.oid, m.oid, 'USAGE')),
       current_setting('server_version_num')::int
  FROM pg_roles r, pg_roles l WHERE r.rolname = {role} AND l.rolname = current_user
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
        read_only: look at existing rows only; the transaction is READ ONLY.
        binding: mints the settings of a tenant, for sealed ones.
        scripts: receives each message that was sent, for whoever measures.

    Raises ProbeError when the role cannot be probed: unknown, superuser, BYPASSRLS, not reachable.
    """
    if isinstance(connection, str):
        asked = (catalogue, role, tenant_setting, tenant_column, read_only, binding, scripts)
        return _from_dsn(connection, *asked)
    # Tables whose tenant column the caller has found keep it.
    named = with_tenant_columns(catalogue, (tenant_column,)) if tenant_column else _named(catalogue)
    bound = binding or (given(tenant_setting) if tenant_setting else None)
    if isinstance(bound, GivenValues) and not bound.tenants[0]:
        bound = tenants_asked(connection, named, role, bound)
    with _opened(connection, read_only=read_only) as session:
        if scripts is not None:
            session.scripts = scripts
        scene = _scene(session, named, role, bound, read_only=read_only)
        _probe_tables(scene)
        return _result(scene)


def _from_dsn(
    dsn: str,
    catalogue: Catalogue,
    role: str,
    setting: str | None,
    column: str | None,
    read_only: bool,
    binding: TenantBinding | None,
    scripts: list[str] | None,
) -> ProbeResult:
    try:
        if setting and "=" in setting and binding is None:
            # On a connection of its own: the one that probes must never have made the setting.
            named = with_tenant_columns(catalogue, (column,)) if column else _named(catalogue)
            # posture: ignore WRAP001 until 2027-11-30 (posture): asks the policies only, and is rolled back
            with psycopg.connect(dsn, autocommit=True) as asking:
                values = given(setting)
                binding = (
                    tenants_asked(asking, named, role, values) if isinstance(values, GivenValues) else None
                )
        # posture: ignore WRAP001 until 2027-11-30 (posture): the prober's own transaction, rolled back at
        # its end
        with psycopg.connect(dsn, autocommit=True) as own:
            return probe(
                own,
                catalogue,
                role=role,
                tenant_setting=setting,
                tenant_column=column,
                read_only=read_only,
                binding=binding,
                scripts=scripts,
            )
    except psycopg.OperationalError as error:
        raise ProbeError(f"the database cannot be reached: {' '.join(str(error).split())}") from error


def _named(catalogue: Catalogue) -> Catalogue:
    if any(table.tenant_column for table in catalogue.tables.values()):
        return catalogue
    return with_tenant_columns(catalogue, TENANT_COLUMNS)


@contextmanager
def _opened(connection: psycopg.Connection[Any], *, read_only: bool) -> Iterator[Session]:
    session = Session(connection)
    session.begin(read_only=read_only)
    try:
        yield session
    finally:
        session.end()


def _scene(
    session: Session, catalogue: Catalogue, role: str, bound: TenantBinding | None, *, read_only: bool
) -> Scene:
    login, sees_all, superuser, identities, version = _role(session, role)
    structure = read_structure(session, role)
    read = _settings(session, catalogue)
    starts = login_settings(session, role)
    actor = Actor(role, followed(starts), becomes="" if login == role else "ROLE")
    scene = Scene(
        session, structure, catalogue, actor, ("", ""), bound or read.carrier, read, identities, version
    )
    scene.login_settings, scene.sees_all = starts, sees_all
    scene.targets = list(_targets(scene))
    _active(scene)
    token = "p" + secrets.token_hex(3)
    scene.tenants = _tenants(scene, token, read_only=read_only)
    scene.carriers = frozenset(_carriers(scene))
    if not read_only:
        scene.seeder = Seeder(session, structure, scene.tenants, token, superuser)
    return scene


def _tenants(scene: Scene, token: str, *, read_only: bool) -> tuple[str, str]:
    if isinstance(scene.binding, GivenValues):
        return scene.binding.tenants
    if read_only:
        return existing(scene, scene.reached)
    return tenant_ids([one.relation.columns[one.tenant] for one in scene.targets], token)


def _role(session: Session, role: str) -> tuple[str, bool, bool, frozenset[str], int]:
    found = session.rows(_ROLE.format(role=quoted(role)))
    if not found:
        raise ProbeError(f"--role {role}: this database has no such role")
    login, login_super, login_bypasses, superuser, bypasses, member, identities, version = found[0]
    if superuser:
        raise ProbeError(f"--role {role} is a superuser: no policy applies to it; name the role that serves")
    if bypasses:
        raise ProbeError(
            f"--role {role} has BYPASSRLS: no policy applies to it; ALTER ROLE {role} NOBYPASSRLS"
        )
    if not member:
        raise ProbeError(f"{login} may not become {role}: connect as a superuser, or GRANT {role} TO {login}")
    return login, login_super or login_bypasses, login_super, frozenset(identities), version


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
        if relation is None or relation.kind not in "rp" or table.tenant_column is None:
            continue  # a foreign table's rows are another server's: the rules judge it
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
    reached = scene.reached
    if scene.seeder is not None:
        seed(scene, scene.seeder, reached)
        scene.protocol.note("sequences that the synthetic rows drew from have advanced")
    else:
        look(scene, reached)
    _read(scene, reached)
    for target in reached:
        if target.own and target.foreign:
            _probe_table(scene, target)
    logins(scene, scene.login_settings)
    if scene.binding is not None:
        doors.views(scene)
        doors.copies(scene)
        functions(scene)
    if isinstance(scene.binding, PlainSetting):
        setting = scene.binding.setting
        scene.protocol.note(f"any session can make {setting}: injected SQL moves to another tenant")


def _read(scene: Scene, reached: list[Target]) -> None:
    """Read every table in every state, those without a tenant first: see `_fresh`."""
    _fresh(scene)
    for state in ("unset", "empty"):
        for target in reached:
            if target.may("SELECT") and (target.own or target.foreign):
                reads.unbound(scene, target, state)
    for target in reached if scene.binding is not None else ():
        if target.own and target.foreign and target.may("SELECT"):
            reads.bound(scene, target)
    reads.missing(scene)


def _fresh(scene: Scene) -> None:
    """A setting once made is never NULL again in its session: say so if that has happened."""
    words = [f"current_setting({quoted(setting)}, true) IS NOT NULL" for setting in sorted(scene.carriers)]
    if words and scene.session.rows(f"SELECT {' OR '.join(words)}")[0][0]:
        why = "the connection had made the tenant setting before, so it was tried as '' only"
        scene.protocol.inconclusive("", "unset", why)


def _probe_table(scene: Scene, target: Target) -> None:
    if scene.binding is None:
        scene.protocol.inconclusive(target.qualified, "bound", "no setting that carries the tenant was found")
        return
    if target.may("SELECT"):
        if (target.qualified, "select") in scene.protocol.unclear:
            return
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
    writes.granted(scene, target)
    if scene.seeder is not None:
        writes.writes(scene, target)
        references(scene, target)


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
