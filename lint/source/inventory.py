"""Every use of the bypass in a program: where, for which tenant, and what was verified before.

The rules judge it and evidence carries it, so a use is plain data that JSON can hold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lint.config import path_matches
from lint.source.bypass_uses import Use, bypass_uses, tenant_argument
from lint.source.graph import Graph
from lint.source.provenance import Provenance, Tenants
from lint.source.sites import Call
from lint.source.verification import State, Verification, request_handlers

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lint.config import LintConfig
    from lint.files import Corpus
    from lint.rules.bypass_sites import BypassSite
    from lint.source.graph import FunctionId
    from lint.source.sites import Source
    from lint.source.sources import Sources


@dataclass(frozen=True, slots=True)
class BypassUse:
    """One use of the bypass, as evidence.

    Attributes:
        site: the id of the registered site that allows it, "" when none does.
        kind: that site's kind: cron, grpc-after-hmac, cross-service.
        form: callback, block, dependency or argument.
        tenant: the tenant argument as written, "" when there is none.
        tenant_origin: verified, loop, constant, all-tenants, request, missing or unknown.
        tenant_evidence: what that judgement was read from.
        handlers: "path:function" of the request handlers that reach it.
        dominated_by: the verification that every path from them passes, None when one passes none
            or when no handler reaches it.
    """

    path: str
    line: int
    function: str
    name: str
    form: str
    site: str
    kind: str
    tenant: str
    tenant_origin: str
    tenant_evidence: str
    handlers: tuple[str, ...]
    dominated_by: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the use as JSON holds it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Judged:
    """A use with what the rules need to speak of it."""

    use: Use
    site: BypassSite | None
    tenant: Provenance
    reached: tuple[tuple[FunctionId, State], ...]

    @property
    def verified_by(self) -> Call | None:
        """The verification that every path from every handler passes."""
        states = [state for _, state in self.reached]
        first = next(iter(states), None)
        return first if isinstance(first, Call) and all(isinstance(s, Call) for s in states) else None


class Bypasses:
    """The bypasses of a program, with who calls whom and what is verified where."""

    def __init__(
        self,
        sources: Iterable[Source],
        config: LintConfig,
        sites: tuple[BypassSite, ...],
        graph: Graph | None = None,
    ) -> None:
        self.config = config
        self.sites = sites
        self.graph = graph or Graph(sources)
        self.verification = Verification(self.graph, config)
        self.tenants = Tenants(self.graph, self.verification, config)
        self.uses = tuple(use for source in self.graph.sources for use in bypass_uses(source, config))
        self.handlers = tuple(dict.fromkeys((*request_handlers(self.graph, config), *self._entries())))
        self.reached = self.verification.reached(self.handlers) if self.handlers else {}

    def site_of(self, use: Use) -> BypassSite | None:
        """Return the registered site that a use stands in."""
        return next((site for site in self.sites if site.allows(use.call)), None)

    def _entries(self) -> list[FunctionId]:
        """Return where requests enter on the way to sites registered as behind a verification.

        Those are the functions that reach such a site and are called by none that is known.
        """
        starts = [
            self.graph.owner(use.source, use.call.function)
            for use in self.uses
            if (site := self.site_of(use)) is not None and site.kind == VERIFIED_KIND
        ]
        if not starts:
            return []
        reaching = self.graph.reaching(starts)
        return sorted(one for one in reaching if not self.graph.callers_of(one) and one[1])

    def judged(self) -> list[Judged]:
        """Return every use outside the verified packages, and every registered one."""
        found = []
        for use in self.uses:
            site = self.site_of(use)
            if site is None and path_matches(use.call.place.path, self.config.verified_packages):
                continue
            tenant = self.tenants.judge(tenant_argument(use.call), use.call, use.source)
            reached = tuple(self.reached.get(id(use.call), ()))
            found.append(Judged(use, site, tenant, reached))
        return found


#: The kind of site that stands behind a verification.
VERIFIED_KIND = "grpc-after-hmac"


def inventory(corpus: Corpus, config: LintConfig, root: Path) -> tuple[BypassUse, ...]:
    """Return every bypass of a corpus; raise LintConfigError for a registry that is no use."""
    from lint.rules.bypass_sites import read_registry
    from lint.source.sources import Sources

    sites = read_registry(root / config.registry, config.bypass_kinds) if config.registry else ()
    return inventory_of(bypasses_of(Sources(corpus, config), sites))


def bypasses_of(sources: Sources, sites: tuple[BypassSite, ...]) -> Bypasses:
    """Return the bypasses of a run; no file is read for a program that names none."""
    if not sources.bypasses:
        return Bypasses((), sources.config, sites)
    return Bypasses(sources.whole, sources.config, sites, sources.graph)


def inventory_of(bypasses: Bypasses) -> tuple[BypassUse, ...]:
    """Return the uses of a program as evidence, by place."""
    return tuple(sorted((_evidence(one) for one in bypasses.judged()), key=lambda u: (u.path, u.line)))


def _evidence(judged: Judged) -> BypassUse:
    call, site = judged.use.call, judged.site
    argument = tenant_argument(call)
    verified = judged.verified_by
    return BypassUse(
        call.place.path,
        call.place.line,
        call.function,
        judged.use.name,
        judged.use.form,
        site.id if site else "",
        site.kind if site else "",
        argument.text if argument else "",
        judged.tenant.origin,
        judged.tenant.evidence,
        tuple(sorted({f"{path}:{name}" for (path, name), _ in judged.reached})),
        verified.written if verified else None,
    )
