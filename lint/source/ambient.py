"""Objects of ORMs that run each statement on some connection of the pool: what is read through one?

An injected `Repository` or `DataSource` of TypeORM and a model of Sequelize belong to no transaction, unless
a library keeps the transaction of the moment for them (AsyncLocalStorage, cls-hooked) or a middleware binds
the tenant around every request. Where nothing of that kind is in sight, and no caller is in a scope, what is
read through them meets whatever that connection has bound: nothing.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from lint.source.holders import around
from lint.source.typescript_accesses import type_around

if TYPE_CHECKING:
    from lint.source.access import Access
    from lint.source.modules import FunctionId
    from lint.source.program import Program
    from lint.source.scopes import Scopes
    from lint.source.sites import Source

_TYPEORM = re.compile(r"\b(Repository|TreeRepository|DataSource|EntityManager)\b")
#: Methods that only Sequelize's models have.
_OF_MODELS = re.compile(
    r"[A-Z]\w*\.(?:findAll|findOne|findByPk|findAndCountAll|bulkCreate|findOrCreate|destroy|increment|decrement)\Z"
)
_KEEPS_CONTEXT = re.compile(
    r"async_hooks|\bcls\b|cls-|-cls|typeorm-transactional|continuation-local|AsyncLocalStorage"
)
_DEPTH = 3


class Ambient:
    """The use of such objects outside of any scope."""

    def __init__(self, program: Program, scopes: Scopes) -> None:
        self._program = program
        self._scopes = scopes

    def reads_unbound(self, access: Access, source: Source) -> bool:
        """Say whether an access runs through such an object with nobody bound."""
        if source.language != "typescript" or not self._is_pooled(access, source):
            return False
        if self._binds_around or not self._scopes.any_tenant_scope:
            return False
        return not self._called_in_scope(self._program.graph.owner(source, access.function))

    def _is_pooled(self, access: Access, source: Source) -> bool:
        if _OF_MODELS.match(access.written):
            return True
        written = type_around(access.executor, access.function, source)
        found = _TYPEORM.search(written) if access.executor.startswith("this.") else None
        typed = found is not None and source.imports.get(found[1], "").startswith("typeorm.")
        return typed and not self._keeps_context

    @cached_property
    def _keeps_context(self) -> bool:
        """True when a library may give such an object the transaction of the moment."""
        return any(
            _KEEPS_CONTEXT.search(target)
            for source in self._program.sources
            for target in source.imports.values()
        )

    @cached_property
    def _binds_around(self) -> bool:
        """True when what goes on with a request, a middleware or an interceptor, binds the tenant before."""
        for source in self._program.sources:
            for call in source.calls if source.language == "typescript" else ():
                known = [source.functions.get(one) for one in around(call.function)]
                goes_on = any(one is not None and "next" in one.parameters for one in known)
                if goes_on and self._scopes.verb(call, source) is not None:
                    return True
        return any(
            "next" in function.parameters
            for function in (self._program.function(*binder) for binder in self._scopes.binders)
            if function is not None
        )

    def _called_in_scope(self, target: FunctionId, depth: int = 0) -> bool:
        """Say whether any caller in sight is inside a scope: then it may be meant for that one."""
        for site in self._program.callers(target):
            if self._scopes.at(site.source, site.function, site.line).scope in {"tenant", "bypass"}:
                return True
            caller = self._program.graph.owner(site.source, site.function)
            if depth < _DEPTH and caller != target and self._called_in_scope(caller, depth + 1):
                return True
        return False
