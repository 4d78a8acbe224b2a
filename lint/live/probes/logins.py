"""What a login of the role starts with, and what it may become: neither may open other tenants' rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from lint.live.probes.session import quoted

if TYPE_CHECKING:
    from lint.live.probes.scene import Scene
    from lint.live.probes.session import Session

_SETTINGS: Final = """
SELECT s.setrole <> 0, unnest(s.setconfig)
  FROM pg_db_role_setting s
 WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
   AND s.setrole IN (0, (SELECT oid FROM pg_roles WHERE rolname = {role}))
 ORDER BY s.setrole, s.setdatabase
"""
_BECOMES: Final = """
SELECT rolname, rolsuper FROM pg_roles
 WHERE rolname <> {role} AND (rolsuper OR rolbypassrls) AND pg_has_role({role}, oid, 'MEMBER')
"""
#: Settings that a login starts with and that decide which names a policy's functions find.
_FOLLOWED: Final = frozenset({"search_path"})


def login_settings(session: Session, role: str) -> dict[str, str]:
    """The settings that a login of the role starts with in this database."""
    found: dict[str, str] = {}
    for _, setting in session.rows(_SETTINGS.format(role=quoted(role))):
        key, _, value = setting.partition("=")
        found[key.lower()] = value
    return found


def followed(settings: dict[str, str]) -> dict[str, str]:
    """Those that a probe takes over when it becomes the role."""
    return {key: value for key, value in settings.items() if key in _FOLLOWED}


def logins(scene: Scene, settings: dict[str, str]) -> None:
    """Defaults that bind or break every session of the role, and roles that no policy applies to."""
    role = scene.actor.role
    scene.protocol.tried(2)
    for key, value in settings.items():
        if key in scene.carriers and value:
            message = f"every session of {role} starts bound to a tenant: {key} = '{value}'"
            scene.report("RLS054", role, "login setting", message, f"ALTER ROLE {role} RESET {key};")
        if key == "row_security" and value.lower() in {"off", "false", "0", "no"}:
            message = f"every session of {role} starts with row_security = off: each read raises 42501"
            scene.report("RLS054", role, "login setting", message, f"ALTER ROLE {role} RESET row_security;")
    for other, superuser in scene.session.rows(_BECOMES.format(role=quoted(role))):
        what = "a superuser" if superuser else "BYPASSRLS"
        message = f"{role} may SET ROLE {other}, which is {what}: no policy applies after that"
        scene.report("RLS054", role, "set role", message, f"REVOKE {other} FROM {role};")
