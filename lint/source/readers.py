"""Every function that touches a protected table, and the scope it does so in.

A reader whose scope nothing shows is "unknown": said so, never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from lint.config import ENTRY_POINTS, READING_ENTRY_POINTS, path_matches
from lint.source.access import Access, Models, accesses
from lint.source.ambient import Ambient
from lint.source.connections import Connections
from lint.source.links import Link, models_of
from lint.source.program import Program
from lint.source.runners import Runners
from lint.source.scopes import UNKNOWN, Reach, Scopes
from lint.source.settings import Settings, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lint.catalogue import Catalogue, Place
    from lint.config import LintConfig
    from lint.files import SourceFile
    from lint.source.scopes import Scope
    from lint.source.sites import Source
    from lint.source.sources import Sources
    from lint.source.sql_tables import AccessCommand


#: A connection of such a name is made to reach every tenant's rows: that nobody is bound on it is meant.
_PRIVILEGED = re.compile(r"admin|bypass|service_?role|super_?user|owner|privileged|unscoped", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reader:
    """One use of a protected table by one function, and the scope that it runs in."""

    place: Place
    function: str
    #: "schema.name".
    table: str
    command: AccessCommand
    scope: Scope
    #: What shows the scope, or that nothing does.
    why: str
    written: str
    #: The name it runs on, "" when it is not in sight.
    executor: str = ""
    #: True in files that may read on a connection of their own (verified packages, migrations, and what
    #: a project has named as an entry point itself).
    allowed: bool = False

    @property
    def path(self) -> str:
        """The file it stands in."""
        return self.place.path

    @property
    def line(self) -> int:
        """The line it stands in."""
        return self.place.line


@dataclass(frozen=True)
class Readers:
    """What is known of a program's readers: used by the rules over scopes."""

    readers: tuple[Reader, ...]
    link: Link
    scopes: Scopes
    connections: Connections
    settings: Settings
    program: Program
    #: True when a listener binds the tenant to every session of SQLAlchemy.
    automatic: bool = False
    models: Models = field(default_factory=Models)

    @cached_property
    def runners(self) -> Runners:
        """The project's own functions that run the SQL they are given on a raw connection."""
        return Runners(self.program, self.scopes, self.connections)

    @cached_property
    def ambient(self) -> Ambient:
        """The objects of ORMs that take a connection of the pool for each statement."""
        return Ambient(self.program, self.scopes)

    @property
    def wrapped(self) -> Mapping[str, tuple[int, int]]:
        """Return, by table, how many of its reading functions run inside a scope, and of how many."""
        inside: dict[str, dict[tuple[str, str], bool]] = {}
        for reader in self.readers:
            one = inside.setdefault(reader.table, {})
            where = (reader.path, reader.function)
            one[where] = one.get(where, True) and reader.scope in {"tenant", "bypass"}
        return {table: (sum(one.values()), len(one)) for table, one in inside.items()}


def reader_map(
    sources: Sequence[Source],
    catalogues: Sequence[Catalogue],
    config: LintConfig,
    files: Iterable[SourceFile] = (),
    typescript_models: Mapping[str, str] | None = None,
) -> Readers:
    """Return the readers of the protected tables; `files` are read for Python's models."""
    link = Link(catalogues, config)
    models = models_of(files, link, typescript_models)
    found = {source.path: accesses(source, models) if link.protected else () for source in sources}
    return replace(_map(Program(sources), link, config, found), models=models)


def readers_of(sources: Sources) -> Readers:
    """Return the readers of the protected tables of a run, its migrations left out."""
    program = Program(sources.application, sources.graph)
    found = {source.path: sources.accesses(source) for source in sources.application}
    return replace(_map(program, sources.link, sources.config, found), models=sources.models)


def _map(program: Program, link: Link, config: LintConfig, found: Mapping[str, Iterable[Access]]) -> Readers:
    settings = settings_of(program.sources)
    scopes = Scopes(program, settings, config)
    connections = Connections(program, scopes.binders)
    known = Readers((), link, scopes, connections, settings, program, scopes.automatic)
    readers = [
        _reader(access, source, known, config)
        for source in program.sources
        for access in found[source.path]
        if link.table(access.table) is not None
    ]
    return replace(known, readers=tuple(readers))


def _reader(access: Access, source: Source, known: Readers, config: LintConfig) -> Reader:
    reach = _reach(access, source, known)
    table = known.link.table(access.table)
    name = table.qualified if table is not None else access.table
    allowed = path_matches(source.path, may_read_unbound(config))
    return Reader(
        access.place,
        access.function,
        name,
        access.command,
        reach.scope,
        reach.why,
        access.written,
        access.executor,
        allowed,
    )


def may_read_unbound(config: LintConfig) -> tuple[str, ...]:
    """Return the globs of files whose own connections may reach protected tables with nobody bound.

    A database module by habit (`db/**`, `pool.ts`) may open a connection; what it reads on it is judged.
    """
    named = (glob for glob in config.entry_points if glob not in ENTRY_POINTS)
    return (*named, *READING_ENTRY_POINTS, *config.verified_packages)


def _reach(access: Access, source: Source, known: Readers) -> Reach:
    """Return the scope of an access: what stands around it, else what it runs on."""
    reach = known.scopes.at(source, access.function, access.place.line)
    if reach.scope in {"tenant", "bypass"} and not _leaves(access, source, known):
        return reach
    if known.automatic and source.language == "python":
        return UNKNOWN
    if is_privileged(access.executor, source):
        return UNKNOWN
    if known.connections.holds(access.executor, access.function, source):
        return Reach("raw", f"it runs on {access.executor}, a connection with no tenant bound")
    through = "" if access.executor else known.runners.around(access, source)
    if through:
        return Reach("raw", f"{through} runs it on a connection with no tenant bound")
    if known.ambient.reads_unbound(access, source):
        return Reach("raw", f"{access.executor} takes any connection of the pool, with no tenant bound")
    return UNKNOWN


def _leaves(access: Access, source: Source, known: Readers) -> bool:
    """Say whether a function reads on a connection that it opens itself: its callers' scope is not on it."""
    if known.scopes.around(source, access.function, access.place.line) or known.automatic:
        return False
    return known.connections.opened_in(access.executor, access.function, source)


def is_privileged(name: str, source: Source) -> bool:
    """Say whether a connection is named for reaching every tenant's rows, here or where it comes from."""
    return _PRIVILEGED.search(source.imports.get(name, name).rpartition(".")[2]) is not None
