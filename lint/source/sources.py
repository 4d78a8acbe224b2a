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
    ROUNDS_OF_SCOPES,
    Marks,
    Words,
    breaks_alone,
    bypass_words,
    connects,
    folders_above,
    handler_words,
    hands_on,
    holds_service_key,
    is_script,
    leads,
    login_words,
    runs_in_browser,
    scope_words,
    sets_something,
    statements_over,
    wanted_names,
    works_on_database,
)
from lint.source.interest_models import client_spellings, defines_models, takes_table, uses_name
from lint.source.links import Link, python_models_of
from lint.source.program import last
from lint.source.read import read_source
from lint.source.sql_texts import is_sql, setting_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lint.catalogue import Catalogue
    from lint.config import LintConfig
    from lint.files import Corpus, SourceFile
    from lint.source.orm_python import Model
    from lint.source.sites import Source


class Sources:
    """The files of a run that matter, as the rules read them."""

    def __init__(self, corpus: Corpus, config: LintConfig, catalogues: Iterable[Catalogue] = ()) -> None:
        self.corpus = corpus
        self.files: Sequence[SourceFile] = corpus.sources
        self.config = config
        self.link = Link(catalogues, config)
        self._names = tuple(name.encode() for name in config.bypass_names)
        self._logins = login_words(config)
        self._words = Words(self.files)
        self._read: dict[str, Source] = {}
        self._accesses: dict[str, tuple[Access, ...]] = {}

    # What is read

    def read(self, file: SourceFile) -> Source:
        """Return a file as its extractor reads it, once."""
        if file.path not in self._read:
            self._read[file.path] = read_source(file, self.config)
        return self._read[file.path]

    @cached_property
    def breaking(self) -> tuple[tuple[SourceFile, Source], ...]:
        """The files that may break a rule by themselves."""
        chosen = (file for file in self.files if breaks_alone(file, self._names, self._logins))
        return tuple((file, self.read(file)) for file in chosen)

    @cached_property
    def whole(self) -> tuple[Source, ...]:
        """The program: every file that matters, in the order of the run."""
        chosen = {file.path: file for file, _ in self.breaking}
        chosen |= {file.path: file for file in self._seeds()}
        if self._follows:
            self._follow(chosen)
        self._words.forget()
        chosen |= {file.path: file for file in self._barrels(chosen)}
        return tuple(self.read(file) for file in self.files if file.path in chosen)

    def _barrels(self, chosen: Mapping[str, SourceFile]) -> Iterator[SourceFile]:
        """Yield the `index.ts` above the scripts that matter which hand on what other files define.

        They name nothing that leads anywhere, but calls into the files below go by them.
        """
        folders = {folder for path in chosen for folder in folders_above(path)}
        for file in self.files:
            if file.path not in chosen and file.path.rpartition("/")[0] in folders and hands_on(file):
                yield file

    @cached_property
    def application(self) -> tuple[Source, ...]:
        """The program without its migrations, which run as the owner and for nobody."""
        return tuple(source for source in self.whole if source.path not in self._migrations)

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
        return Models(self.python_models, self._script_models) if self.link.protected else Models()

    @cached_property
    def _script_models(self) -> Mapping[str, str]:
        """The tables behind the names of scripts: of clients, and of models defined in any of them."""
        from lint.source.orm_typescript import model_tables

        if True not in self._languages:
            return {}
        defining = (file for file in self.files if is_script(file) and defines_models(file))
        schemas = ((file.path, file.content) for file in self.corpus.schemas)
        return {**self.link.by_client_name(), **model_tables(map(self.read, defining), schemas)}

    @cached_property
    def python_models(self) -> tuple[Model, ...]:
        """The models of Python files, read apart since what holds one may matter to no rule by itself."""
        if not self.link.protected:
            return ()
        return python_models_of(self.files)

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
    def _follows(self) -> bool:
        """True when callers matter: something bypasses, or tables are protected and a tenant is bound.

        A client with the service role's key bypasses as well: what matters is who is served through it.
        """
        reached = bool(self.link.protected) and (self._binds or any(map(holds_service_key, self.files)))
        return self.bypasses or reached

    @cached_property
    def _migrations(self) -> frozenset[str]:
        """The paths of what changes the schema, which runs as the owner and for nobody."""
        scripts = {file.path for files in self.corpus.scripts.values() for file in files}
        return frozenset(scripts | {file.path for file in self.files if file.is_revision})

    @cached_property
    def _setting(self) -> tuple[SourceFile, ...]:
        """The files that may change a session's setting."""
        return tuple(file for file in self.files if sets_something(file))

    @cached_property
    def _binds(self) -> bool:
        """True when a file may bind a tenant; without one there is no scope to be inside of."""
        return bool(self._setting) or self._any_names(scope_words(self.config))

    def _any_names(self, words: frozenset[str]) -> bool:
        return next(self._containing(words), None) is not None

    def _containing(self, words: frozenset[str]) -> Iterator[SourceFile]:
        """Yield the files that contain one of some words, be it as a part of another."""
        marks = Marks(tuple(word.encode() for word in words))
        return (file for file in self.files if marks.stand_in(file.content))

    def _seeds(self) -> Iterator[SourceFile]:
        """Yield the files that matter by their own words."""
        yield from self._setting
        if self.link.protected:
            program = [file for file in self.files if file.path not in self._migrations]
            yield from (file for file in program if connects(file))
            yield from (file for file in self._over_protected() if file.path not in self._migrations)
        if self._follows:
            yield from self._containing(
                self._every_scope | handler_words(self.config) | wanted_names(self.config)
            )

    def _over_protected(self) -> Iterator[SourceFile]:
        """Yield the files that name a protected table in SQL, or the model of one where it counts."""
        tables = {table.name for table in self.link.protected.values()}
        models = {model.name: model.path for model in self.python_models if self.link.table(model.table)}
        defining = frozenset(models.values())
        for file, names in self._words.spelling(models):
            if not is_script(file) and (file.path in defining or uses_name(file, names)):
                yield file
        written = statements_over(tables)
        for file, _ in self._words.spelling(tables):
            if is_script(file) in self._languages and written.search(file.content):
                yield file
        yield from self._taking(tables)

    def _taking(self, tables: set[str]) -> Iterator[SourceFile]:
        """Yield the scripts whose query builders may take a protected table."""
        named = {name for name, table in self._script_models.items() if self.link.table(table)}
        if named:
            names = client_spellings(named | tables)
            spelling = self._words.spelling(name.decode() for name in names)
            yield from (file for file, _ in spelling if is_script(file) and takes_table(file, names))

    def _follow(self, chosen: dict[str, SourceFile]) -> None:
        """Add the files that name what leads to a bypass, a scope or a protected table, and so on."""
        wanted = wanted_names(self.config)
        for file in self._words.defining(self._interpolated(chosen.values())):
            chosen.setdefault(file.path, file)
        newest, needing, users = list(chosen.values()), set[str](), dict[str, set[str]]()
        for _ in range(self._rounds):
            for source in (self.read(file) for file in newest if file.path not in self._migrations):
                needing.update(name for one in self._needing(source) for name in _names_of(one, source))
                _note_users(source, users)
            leading = needing.union(*(users.get(name, ()) for name in wanted))
            new = self._words.telling(leading - wanted)
            newest = list(self._calling(new, chosen))
            if not new:
                break
            wanted |= new
            chosen |= {file.path: file for file in newest}

    def _calling(self, names: frozenset[str], chosen: Mapping[str, SourceFile]) -> Iterator[SourceFile]:
        """Yield the files not chosen yet, migrations left out, that may call what has one of some names."""
        members = frozenset(name[1:].encode() for name in names if name.startswith("."))
        plain = frozenset(name.encode() for name in names)
        for file, found in self._words.naming(name.lstrip(".") for name in names):
            if file.path in chosen or file.path in self._migrations or is_script(file) not in self._languages:
                continue
            if uses_name(file, found & plain, found & members) and not runs_in_browser(file):
                yield file

    @cached_property
    def _languages(self) -> frozenset[bool]:
        """Whether TypeScript (True) or Python (False) works on a database here; a mere client does not."""
        return frozenset(is_script(file) for file in self.files if works_on_database(file))

    @cached_property
    def _every_scope(self) -> frozenset[str]:
        return bypass_words(self.config) | scope_words(self.config)

    @property
    def _rounds(self) -> int:
        handled = bool(self.config.handlers) or self._any_names(handler_words(self.config))
        if handled:
            return ROUNDS
        return ROUNDS_OF_SCOPES if self.link.protected else ROUNDS_NEAR

    def _interpolated(self, files: Iterable[SourceFile]) -> frozenset[str]:
        """Return the names that stand in statements which change a setting."""
        setting = {file.path for file in self._setting}
        texts = (text for file in files if file.path in setting for text in self.read(file).texts)
        return frozenset(
            name.rpartition(".")[2] for text in texts if is_sql(text) for name in text.holes if name
        )

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


def _names_of(function: str, source: Source) -> Iterator[str]:
    """Yield the name a function is called by, ".name" for a member, and the class its objects are made of.

    What stands inside another function is called by nobody else, so that one's name counts.
    """
    holder, _, own = function.partition(".<anonymous")[0].rpartition(".")
    while holder in source.functions and holder:
        holder, _, own = holder.rpartition(".")
    if leads(own):
        yield _spelled(own, source, "." if holder else "")
    klass = holder.rpartition(".")[2]
    if leads(klass):
        yield _spelled(klass, source)


def _spelled(name: str, source: Source, before: str = "") -> str:
    """Return a name as other files may write it: one that begins with `_` is for its own file."""
    private = name.startswith("_") and source.language == "python"
    return f"{source.path}:{name}" if private else before + name


def _note_users(source: Source, users: dict[str, set[str]]) -> None:
    """Note, by the name of what is called or handed on, the names of the functions that do it."""
    here = {name.rpartition(".")[2] for name in (*source.functions, *source.classes)}
    for call in source.calls:
        names: tuple[str, ...] = ()
        given = (a.text for a in call.arguments if a.kind in {"name", "other"})
        for written in (call.written, *given):
            first, name = written.partition(".")[0], written.rpartition(".")[2]
            if "." in written or first in source.imports or name in here:
                names = names or tuple(_names_of(call.function, source))
                called = last(source.imports.get(name, name))
                users.setdefault(_spelled(called, source), set()).update(names)
                if "." in written:
                    users.setdefault(_spelled(called, source, "."), set()).update(names)
