"""The rules over tenant scopes in source code, gathered: what each reads is found out once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.rules.wrap_hops import hops
from lint.rules.wrap_joins import loose_joins
from lint.rules.wrap_names import unmatched_settings
from lint.rules.wrap_reach import outside_scope
from lint.rules.wrap_settings import bound_badly
from lint.source.orm_typescript import model_tables
from lint.source.readers import Link, reader_map
from lint.source.reading import read_sources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lint.catalogue import Catalogue
    from lint.config import LintConfig
    from lint.files import Corpus
    from lint.report import Finding
    from lint.source.readers import Readers
    from lint.source.sites import Source


def wrap_findings(
    corpus: Corpus,
    catalogues: Sequence[Catalogue],
    config: LintConfig,
    typescript_models: Mapping[str, str] | None = None,
) -> Iterator[Finding]:
    """Yield WRAP001-006, WRAP008 and RLS019 for the sources of a run, its revisions left out."""
    readers = readers_of(corpus, catalogues, config, typescript_models)
    yield from findings_of(readers, corpus, catalogues, config)


def readers_of(
    corpus: Corpus,
    catalogues: Sequence[Catalogue],
    config: LintConfig,
    typescript_models: Mapping[str, str] | None = None,
) -> Readers:
    """Return the readers of a run's protected tables, its revisions left out."""
    protected = bool(Link(catalogues, config).protected)
    sources = read_sources(corpus, config, everything=protected)
    models = typescript_models if typescript_models is not None else _typescript_models(sources, corpus)
    return reader_map(sources, catalogues, config, corpus.sources, models)


def _typescript_models(sources: Sequence[Source], corpus: Corpus) -> Mapping[str, str]:
    schemas = ((file.path, file.content) for file in corpus.schemas)
    return model_tables([one for one in sources if one.language == "typescript"], schemas)


def findings_of(
    readers: Readers, corpus: Corpus, catalogues: Sequence[Catalogue], config: LintConfig
) -> Iterator[Finding]:
    """Yield the findings over readers that were found before."""
    yield from outside_scope(readers, config)
    for site in readers.settings.sites:
        yield from bound_badly(site, readers, config)
    yield from hops(readers, config)
    yield from loose_joins(readers, corpus.sources, config)
    yield from unmatched_settings(readers, catalogues, config)
