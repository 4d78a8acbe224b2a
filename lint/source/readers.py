"""Every function that touches a protected table, and the scope it does so in.

Protected is a table with row security enabled and a tenant column, as the migrations leave it. The
names of source code are linked to it: "schema.name" exactly, a bare name when one table of the whole
project has it. A reader whose scope nothing shows is "unknown": said so, never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lint.config import path_matches
from lint.source.access import Access, Models, accesses
from lint.source.connections import Connections
from lint.source.orm_python import MODEL_WORDS, python_models
from lint.source.program import Program
from lint.source.scopes import UNKNOWN, Reach, Scopes
from lint.source.settings import Settings, settings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lint.catalogue import Catalogue, Place, Table
    from lint.config import LintConfig
    from lint.files import SourceFile
    from lint.source.scopes import Scope
    from lint.source.sites import Source
    from lint.source.sql_tables import AccessCommand


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
    #: True in files that may open connections by themselves (entry points, verified packages).
    allowed: bool = False

    @property
    def path(self) -> str:
        """The file it stands in."""
        return self.place.path

    @property
    def line(self) -> int:
        """The line it stands in."""
        return self.place.line


class Link:
    """From the names that source code writes to the protected tables of the catalogues."""

    def __init__(self, catalogues: Iterable[Catalogue], config: LintConfig) -> None:
        self.protected: dict[str, Table] = {}
        self._bare: dict[str, set[str]] = {}
        for catalogue in catalogues:
            for name, table in catalogue.tables.items():
                self._bare.setdefault(table.name, set()).add(name)
                if table.enabled and table.tenant_column and not config.is_global(name):
                    self.protected[name] = table

    def table(self, name: str) -> Table | None:
        """Return the protected table that a name stands for, None for any other or an unclear one."""
        if "." in name:
            return self.protected.get(name)
        named = self._bare.get(name, set())
        return self.protected.get(next(iter(named))) if len(named) == 1 else None

    def by_client_name(self) -> dict[str, str]:
        """Return the names that a TypeScript client gives tables: `appConnection` for app_connection."""
        names: dict[str, str] = {}
        for bare, qualified in self._bare.items():
            if len(qualified) == 1:
                for spelled in _client_names(bare):
                    names.setdefault(spelled, next(iter(qualified)))
        return names


def _client_names(table: str) -> set[str]:
    words = [word for word in table.split("_") if word]
    if not words:
        return set()
    camel = words[0][:1].lower() + words[0][1:] + "".join(word[:1].upper() + word[1:] for word in words[1:])
    forms = {camel, camel[:-1]} if camel.endswith("s") else {camel, f"{camel}s"}
    return {form for name in forms if name for form in (name, name[:1].upper() + name[1:])}


@dataclass(frozen=True, slots=True)
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
    settings = settings_of(sources)
    program = Program(sources)
    scopes = Scopes(program, settings, config)
    connections = Connections(program, scopes.binders)
    models = models_of(files, link, typescript_models)
    known = Readers((), link, scopes, connections, settings, program, scopes.automatic)
    found = [
        _reader(access, source, known, config)
        for source in sources
        for access in (accesses(source, models) if link.protected else ())
        if link.table(access.table) is not None
    ]
    return replace(known, readers=tuple(found))


def models_of(
    files: Iterable[SourceFile], link: Link, typescript_models: Mapping[str, str] | None = None
) -> Models:
    """Return the models of the Python files among `files`, and the client names of TypeScript."""
    if not link.protected:
        return Models()
    python = (
        (file.path, file.content)
        for file in files
        if file.location.suffix == ".py" and MODEL_WORDS.search(file.content)
    )
    return Models(python_models(python), {**link.by_client_name(), **(typescript_models or {})})


def _reader(access: Access, source: Source, known: Readers, config: LintConfig) -> Reader:
    reach = _reach(access, source, known)
    table = known.link.table(access.table)
    name = table.qualified if table is not None else access.table
    allowed = path_matches(source.path, (*config.entry_points, *config.verified_packages))
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


def _reach(access: Access, source: Source, known: Readers) -> Reach:
    """Return the scope of an access: what stands around it, else what it runs on."""
    reach = known.scopes.at(source, access.function, access.place.line)
    if reach.scope in {"tenant", "bypass"}:
        return reach
    if known.automatic and source.language == "python":
        return UNKNOWN
    if known.connections.holds(access.executor, access.function, source):
        return Reach("raw", f"it runs on {access.executor}, a connection with no tenant bound")
    return UNKNOWN
