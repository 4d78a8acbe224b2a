"""The sources of a run: which of them matter, each read once, and the one call graph of them all.

Every rule over sources, the inventory and the joins ask here, so that no file is parsed twice and no
call is followed twice. What is chosen, and why, stands in `lint.source.interest`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from lint.source.access import Access, Models, accesses
from lint.source.bypass_uses import bypass_uses
from lint.source.connections import opens_connection, takes_connection
from lint.source.graph import Graph
from lint.source.interest import (
    ROUNDS,
    ROUNDS_NEAR,
    Words,
    any_of,
    breaks_alone,
    bypass_words,
    handler_words,
    leads,
    reaches_database,
    scope_words,
    sets_something,
    wanted_names,
)
from lint.source.links import Link, models_of
from lint.source.read import read_source
from lint.source.sql_texts import is_sql, setting_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lint.catalogue import Catalogue
    from lint.config import LintConfig
    from lint.files import Corpus, SourceFile
    from lint.source.sites import Call, Source


class Sources:
    """The files of a run that matter, as the rules read them."""

    def __init__(self, corpus: Corpus, config: LintConfig, catalogues: Iterable[Catalogue] = ()) -> None:
        self.corpus = corpus
        self.files: Sequence[SourceFile] = corpus.sources
        self.config = config
        self.link = Link(catalogues, config)
        self._names = tuple(name.encode() for name in config.bypass_names)
        self._words = Words(self.files)
        self._read: dict[str, Source] = {}
        self._accesses: dict[str, tuple[Access, ...]] = {}
        self._migrations = {file.path for files in corpus.scripts.values() for file in files}

    # What is read

    def read(self, file: SourceFile) -> Source:
        """Return a file as its extractor reads it, once."""
        if file.path not in self._read:
            self._read[file.path] = read_source(file, self.config)
        return self._read[file.path]

    @cached_property
    def breaking(self) -> tuple[tuple[SourceFile, Source], ...]:
        """The files that may break a rule by themselves."""
        return tuple((file, self.read(file)) for file in self.files if breaks_alone(file, self._names))

    @cached_property
    def whole(self) -> tuple[Source, ...]:
        """The program: every file that matters, in the order of the run."""
        chosen = {file.path: file for file, _ in self.breaking}
        chosen |= {file.path: file for file in self._seeds()}
        if self.bypasses or (self.link.protected and self._binds):
            self._follow(chosen)
        return tuple(self.read(file) for file in self.files if file.path in chosen)

    @cached_property
    def application(self) -> tuple[Source, ...]:
        """The program without its migrations, which run as the owner and for nobody."""
        left_out = self._migrations | {file.path for file in self.files if file.is_revision}
        return tuple(source for source in self.whole if source.path not in left_out)

    @cached_property
    def graph(self) -> Graph:
        """Who calls whom."""
        return Graph(self.whole)

    @cached_property
    def bypasses(self) -> bool:
        """True when a file names something that goes around row security."""
        return self._any_names(bypass_words(self.config))

    @cached_property
    def models(self) -> Models:
        """What names stand for tables in the program's code."""
        from lint.source.orm_typescript import model_tables

        typescript = [source for source in self._read.values() if source.language == "typescript"]
        schemas = ((file.path, file.content) for file in self.corpus.schemas)
        return models_of(self.files, self.link, model_tables(typescript, schemas))

    def accesses(self, source: Source) -> tuple[Access, ...]:
        """Return what a file reads and writes of protected tables."""
        if not self.link.protected:
            return ()
        if source.path not in self._accesses:
            found = accesses(source, self.models)
            self._accesses[source.path] = tuple(one for one in found if self.link.table(one.table))
        return self._accesses[source.path]

    # How it is chosen

    @cached_property
    def _binds(self) -> bool:
        """True when a file may bind a tenant; without one there is no scope to be inside of."""
        return any(sets_something(file) for file in self.files) or self._any_names(scope_words(self.config))

    def _any_names(self, words: frozenset[str]) -> bool:
        spelled = [word.encode() for word in words]
        return any(word in file.content for file in self.files for word in spelled)

    def _seeds(self) -> Iterator[SourceFile]:
        """Yield the files that matter by their own words."""
        yield from (file for file in self.files if sets_something(file))
        if self.link.protected:
            yield from (file for file in self.files if reaches_database(file))
        if self.bypasses:
            words = any_of(bypass_words(self.config) | handler_words(self.config) | wanted_names(self.config))
            yield from (file for file in self.files if words.search(file.content))

    def _follow(self, chosen: dict[str, SourceFile]) -> None:
        """Add the files that name what leads to a bypass, a scope or a protected table, and so on."""
        wanted = wanted_names(self.config)
        for file in self._words.defining(self._interpolated(chosen.values())):
            chosen.setdefault(file.path, file)
        newest = list(chosen.values())
        for _ in range(self._rounds):
            leading = {name for file in chosen.values() for name in self._leading(self.read(file), wanted)}
            new = self._words.telling(leading - wanted)
            newest = [file for file in self._words.naming(new) if file.path not in chosen]
            if not new:
                break
            wanted |= new
            chosen |= {file.path: file for file in newest}

    @property
    def _rounds(self) -> int:
        handled = bool(self.config.handlers) or self._any_names(handler_words(self.config))
        return ROUNDS if handled or self.link.protected else ROUNDS_NEAR

    def _interpolated(self, files: Iterable[SourceFile]) -> frozenset[str]:
        """Return the names that stand in statements which change a setting."""
        texts = (text for file in files if sets_something(file) for text in self.read(file).texts)
        return frozenset(
            name.rpartition(".")[2] for text in texts if is_sql(text) for name in text.holes if name
        )

    def _leading(self, source: Source, wanted: frozenset[str]) -> Iterator[str]:
        """Yield the names of a file's functions that need a tenant or bypass, or lead to what does."""
        for function in self._needing(source):
            yield from _names_of(function)
        for call in source.calls:
            if call.name in wanted or _hands_on(call, wanted):
                yield from _names_of(call.function)

    def _needing(self, source: Source) -> Iterator[str]:
        """Yield the functions of a file that bypass, set a setting, or touch protected tables."""
        yield from (use.call.function for use in bypass_uses(source, self.config))
        yield from (access.function for access in self.accesses(source))
        for text in source.texts:
            if is_sql(text) and next(iter(setting_changes(text.value)), None) is not None:
                yield text.function
        for call in source.calls:
            if call.name == "set_config" or opens_connection(call, source) or takes_connection(call, source):
                yield call.function


def _names_of(function: str) -> Iterator[str]:
    """Yield the name a function is called by, and the class that its objects are made of."""
    whole = function.partition(".<anonymous")[0]
    klass, _, own = whole.rpartition(".")
    yield from (name for name in (own, klass.rpartition(".")[2]) if leads(name))


def _hands_on(call: Call, wanted: frozenset[str]) -> bool:
    return any(a.kind in {"name", "other"} and a.text.rpartition(".")[2] in wanted for a in call.arguments)
