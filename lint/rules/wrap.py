"""The rules over tenant scopes in source code, gathered: what each reads is found out once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.rules.bypass_switches import switched_on
from lint.rules.service_claims import unasked_service_roles
from lint.rules.tenant_claims import claimed_tenants
from lint.rules.wrap_hops import hops
from lint.rules.wrap_joins import loose_joins
from lint.rules.wrap_names import unmatched_settings
from lint.rules.wrap_reach import outside_scope
from lint.rules.wrap_service import service_role_reads
from lint.rules.wrap_settings import bound_badly
from lint.source.readers import readers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.catalogue import Catalogue
    from lint.config import LintConfig
    from lint.files import Corpus
    from lint.report import Finding
    from lint.source.readers import Readers
    from lint.source.sources import Sources


def wrap_findings(sources: Sources, catalogues: Sequence[Catalogue]) -> Iterator[Finding]:
    """Yield WRAP001-006, WRAP008, RLS019 and BYP002, BYP003, BYP006 of bindings, migrations left out."""
    yield from findings_of(readers_of(sources), sources.corpus, catalogues, sources.config)


def findings_of(
    readers: Readers, corpus: Corpus, catalogues: Sequence[Catalogue], config: LintConfig
) -> Iterator[Finding]:
    """Yield the findings over readers that were found before."""
    yield from outside_scope(readers, catalogues, config)
    yield from service_role_reads(readers, config)
    yield from unasked_service_roles(readers, corpus.sources, config)
    for site in readers.settings.sites:
        yield from bound_badly(site, readers, config)
    yield from switched_on(readers, catalogues, config)
    yield from claimed_tenants(readers, corpus.sources, config)
    yield from hops(readers, config)
    yield from loose_joins(readers, corpus.sources, config)
    yield from unmatched_settings(readers, catalogues, config)
