"""What SET ROLE in code reaches, as far as the migrations show it: down to fewer rights, or around them.

A role that policies bind, that was created without BYPASSRLS, or that is granted rows and owns nothing,
sees what row security leaves it: becoming it is how a pooled login gets a tenant's rights.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

from lint.rules.predicates import PredicateError, constant, parse_predicate
from lint.source.sites import HOLE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lint.catalogue import Catalogue, Policy
    from lint.config import LintConfig

Standing = Literal["bound", "exempt", "unknown"]
#: Words in the names of roles that row security does not bind, or that policies are opened for.
_ABOVE = re.compile(
    r"bypass|admin|super|owner|root|postgres|service|migrat|privileged|all_?tenants|system|maint",
    re.IGNORECASE,
)
_PLAIN = re.compile(r"[a-z_]\w*\Z", re.IGNORECASE)


class KnownRoles:
    """The roles of a project's migrations."""

    def __init__(self, catalogues: Iterable[Catalogue], config: LintConfig) -> None:
        self._exempt: set[str] = set(config.privileged_roles)
        self._bound: set[str] = set()
        for catalogue in catalogues:
            self._read(catalogue)

    def _read(self, catalogue: Catalogue) -> None:
        for name, role in catalogue.roles.items():
            known = self._exempt if role.superuser or role.bypass_row_security else self._bound
            known.add(name.lower())
        self._bound.update(grant.grantee.lower() for grant in catalogue.grants)
        for table in catalogue.tables.values():
            self._exempt.update({table.owner.lower()} if table.owner else ())
            for policy in table.policies:
                known = self._exempt if table.tenant_column and _lets_all_in(policy) else self._bound
                known.update(role.lower() for role in policy.roles)

    def standing(self, written: str) -> Standing:
        """Say whether row security binds a role, by what the migrations and then its name show."""
        name = written.lower()
        if name in self._exempt or not is_role_name(name):
            return "exempt"
        if name in self._bound:
            return "bound"
        return "exempt" if above(name) else "unknown"


def above(name: str) -> bool:
    """Say whether a role is called as those are that row security does not bind."""
    return _ABOVE.search(name) is not None


def is_role_name(written: str) -> bool:
    """Say whether the value of SET ROLE is a name, and not a placeholder or what is interpolated."""
    return _PLAIN.match(written) is not None and written != HOLE


def _lets_all_in(policy: Policy) -> bool:
    """Say whether a policy opens a whole table to the roles that it names."""
    try:
        return (
            policy.permissive and policy.using is not None and constant(parse_predicate(policy.using)) is True
        )
    except (PredicateError, RecursionError):
        return False
