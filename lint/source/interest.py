"""Which files of a project can matter to the rules over sources, so that the others are not parsed.

Chosen first are the files that a rule reads by itself: those that name a bypass, a verification or a
tenant scope, set a setting, open a connection, or may touch a protected table. Where scopes or bypasses
exist, the files that name a function of theirs that leads to one follow, and so on: a file that names
none of these cannot lie on a way to one that names can show.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from lint.files import SCRIPTS
from lint.source.typescript_db import is_bundled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lint.config import LintConfig
    from lint.files import SourceFile

#: How many calls away from where a tenant or bypass is needed callers are looked for: far where requests
#: are verified somewhere on the way, less far where a scope is opened for what reads tables (a handler, a
#: service, a repository); else near, for the tenants and blocks that are passed on.
ROUNDS = 6
ROUNDS_OF_SCOPES = 3
ROUNDS_NEAR = 2
#: Shorter names, and those of half of all methods, would draw in every file.
_SHORTEST = 4
#: A word that so many files contain connects nothing; it grows with the size of the project, up to where
#: following it would read half of a large one.
_COMMON_FROM = 25
_COMMON_SHARE = 20
_COMMON_AT_MOST = 100
#: What a file begins with that runs in browsers, where no database is in reach.
_IN_BROWSER = re.compile(rb"(?:\s|//[^\n]*\n|/\*.*?\*/)*['\"]use client['\"]", re.DOTALL)
_WORD = re.compile(rb"[A-Za-z_]\w{3,}")
_COMMON = frozenset(
    {"main", "read", "call", "send", "list", "save", "load", "find", "init", "open", "close", "start", "stop"}
    | {"create", "update", "delete", "execute", "handle", "process", "commit", "connect", "write", "begin"}
    | {
        "__init__",
        "__call__",
        "__enter__",
        "__exit__",
        "__aenter__",
        "__aexit__",
        "apply",
        "fetch",
        "wrapper",
    }
)


@dataclass(frozen=True, slots=True)
class Marks:
    """Plain words, and patterns that begin with one: a search for either skips through a file fast."""

    words: tuple[bytes, ...] = ()
    patterns: tuple[re.Pattern[bytes], ...] = ()

    def stand_in(self, content: bytes) -> bool:
        """Say whether a file contains one of them."""
        return any(word in content for word in self.words) or any(p.search(content) for p in self.patterns)


def _marks(words: str, *patterns: bytes) -> Marks:
    return Marks(tuple(words.encode().split()), tuple(re.compile(pattern) for pattern in patterns))


#: After SET: what changes a session's setting or role, as far as bytes tell it from prose.
_SETTING = rb"\s+(?:(?i:local|session)\s|(?i:role)\b|[{$]|[\"\w{}$]+\.[\"\w{}$])"
_SETS = _marks(
    "set_config", *(word + rb"(?<!\w" + word + rb")" + _SETTING for word in (b"SET", b"set", b"Set"))
)
#: What a rule reads in a file by itself, beyond names and settings that are configured.
_BREAKS = _marks("row_security BYPASSRLS bypassrls")
_BREAKS_PYTHON = _marks("sessionmaker scoped_session", rb"Session(?:\[\w+\])?\(")
_BREAKS_SCRIPT = _marks("@supabase/")
#: How Python opens a connection, or takes one from an engine or pool.
_PYTHON_CONNECTIONS = _marks(
    "create_engine create_async_engine engine_from_config sessionmaker scoped_session psycopg asyncpg aiopg "
    "pg8000",
    rb"Session(?:\[\w+\])?\(",
    rb"engine\.(?:connect|begin|raw_connection)\(",
    rb"ool\.(?:connection|acquire|getconn|connect|query)\(",
)
#: How a script opens a connection, or takes one.
_SCRIPT_CONNECTIONS = _marks(
    "'pg' \"pg\" pg- pg/ pg-promise 'postgres' \"postgres\" slonik @vercel/postgres @neondatabase/ drizzle( "
    "PrismaClient Kysely Sequelize sequelize DataSource createConnection MikroORM",
    # The library itself, not its types nor a query builder that is handed on under its name.
    rb"(?:import\s+(?!type\b)(?:\w+|\{[^}]*\bknex\b)[^;'\"]*\bfrom\s*|require\(\s*)['\"]knex['\"]",
    rb"ngine\.(?:connect|begin|raw_connection)\(",
    rb"ool\.(?:connection|acquire|getconn|connect|query)\(",
)
_CLIENT = _marks("@supabase/")
_SERVICE_KEY = _marks("SERVICE_ service_role service_key erviceRole erviceKey SECRET_KEY sb_secret_")
_INDEX = re.compile(r"(?:^|/)index\.[cm]?[jt]sx?\Z")
_HANDS_ON = re.compile(rb"^export\s[^;'\"]*\sfrom\s", re.MULTILINE)
_FOLDERS_UP = 4
#: What a TypeScript program imports to reach a database.
_SCRIPT_DATABASE = _marks(
    "'pg' \"pg\" 'pg- \"pg- 'postgres' \"postgres\" drizzle-orm kysely knex sequelize typeorm slonik "
    "mikro-orm neondatabase @sequelize/ @vercel/postgres Prisma prisma supabase"
)


def breaks_alone(file: SourceFile, names: tuple[bytes, ...], settings: tuple[tuple[bytes, ...], ...]) -> bool:
    """Say whether a file may break a rule by itself, by its words.

    `names` are those of the bypass, `settings` the parts of the environment variables that hold its login.
    """
    content = file.content
    own = _BREAKS_SCRIPT if is_script(file) else _BREAKS_PYTHON
    if any(name in content for name in names) or _BREAKS.stand_in(content) or own.stand_in(content):
        return not is_script(file) or not is_bundled(content)
    named = any(all(part in content for part in parts) for parts in settings)
    return (named or sets_something(file)) and not is_bundled(content)


def is_script(file: SourceFile) -> bool:
    """Say whether a file is TypeScript or JavaScript, which calls no Python and is called by none."""
    return file.location.suffix in SCRIPTS


def runs_in_browser(file: SourceFile) -> bool:
    """Say whether a script is a component that its framework sends to browsers (`"use client"`)."""
    return is_script(file) and b"use client" in file.content[:2000] and bool(_IN_BROWSER.match(file.content))


def works_on_database(file: SourceFile) -> bool:
    """Say whether a file belongs to a program that works on a database; Python's may without naming one."""
    return not is_script(file) or _SCRIPT_DATABASE.stand_in(file.content)


def sets_something(file: SourceFile) -> bool:
    """Say whether a file may change a session's setting."""
    return _SETS.stand_in(file.content)


def connects(file: SourceFile) -> bool:
    """Say whether a file may open a connection, or take one."""
    if is_script(file):
        return _SCRIPT_CONNECTIONS.stand_in(file.content) and not is_bundled(file.content)
    return _PYTHON_CONNECTIONS.stand_in(file.content)


def holds_service_key(file: SourceFile) -> bool:
    """Say whether a script may make a client of Supabase with the service role's key."""
    return is_script(file) and _CLIENT.stand_in(file.content) and _SERVICE_KEY.stand_in(file.content)


def folders_above(path: str) -> Iterator[str]:
    """Yield the folders that a file stands in, nearest first, as far up as a package hands things on."""
    for _ in range(_FOLDERS_UP):
        path = path.rpartition("/")[0]
        if not path:
            return
        yield path


def hands_on(file: SourceFile) -> bool:
    """Say whether a script is its folder's index, and hands on what other files define."""
    return _INDEX.search(file.path) is not None and _HANDS_ON.search(file.content) is not None


def statements_over(tables: Iterable[str]) -> re.Pattern[bytes]:
    """Return what finds SQL that names one of some tables, with a schema or without."""
    names = b"|".join(re.escape(table.encode()) for table in sorted(tables)) or rb"(?!)"
    return re.compile(
        rb"\b(?i:from|join|into|update|only|using|table|truncate|copy)[\s\"'`(\[]+(?:[\w{}$]+\\?[\"'`]?\.)?\\?[\"'`]?"
        rb"(?i:" + names + rb")\b"
    )


def leads(name: str) -> bool:
    """Say whether naming a function of that name shows a connection to it."""
    return len(name) >= _SHORTEST and name not in _COMMON


@dataclass(frozen=True)
class Words:
    """The words of files: who writes which."""

    files: Sequence[SourceFile]

    @cached_property
    def _index(self) -> dict[bytes, list[int]]:
        index: dict[bytes, list[int]] = {}
        for number, file in enumerate(self.files):
            if not is_bundled(file.content):
                for word in set(_WORD.findall(file.content)):
                    index.setdefault(word, []).append(number)
        return index

    def forget(self) -> None:
        """Give the memory back; the words are found again when asked for."""
        self.__dict__.pop("_index", None)

    def naming(self, words: Iterable[str]) -> Iterator[tuple[SourceFile, set[bytes]]]:
        """Yield the files that contain some of these words, and which ones."""
        found: dict[int, set[bytes]] = {}
        for word in {word.encode() for word in words}:
            for number in self._index.get(word, ()):
                found.setdefault(number, set()).add(word)
        return ((self.files[number], found[number]) for number in sorted(found))

    def spelling(self, words: Iterable[str]) -> Iterator[tuple[SourceFile, set[bytes]]]:
        """Yield the files that may contain some of these words, and which: any may, where one is short."""
        known = tuple(words)
        short = {word.encode() for word in known if len(word) < _SHORTEST}
        if not short:
            return self.naming(known)
        spelled = {file.path: found for file, found in self.naming(known)}
        return ((file, short | spelled.get(file.path, set())) for file in self.files)

    def telling(self, words: Iterable[str]) -> frozenset[str]:
        """Return those of the words that few enough files contain to show a connection."""
        most = max(_COMMON_FROM, min(_COMMON_AT_MOST, len(self.files) // _COMMON_SHARE))
        return frozenset(
            word for word in words if len(self._index.get(word.lstrip(".").encode(), ())) <= most
        )

    def defining(self, names: frozenset[str]) -> Iterator[SourceFile]:
        """Yield the files that give one of these names a value."""
        if names:
            spelled = b"|".join(re.escape(name.encode()) for name in sorted(names))
            defines = re.compile(
                rb"^(?:export\s+)?(?:const\s+)?(?:" + spelled + rb")\b[^=\n]*=", re.MULTILINE
            )
            yield from (file for file, _ in self.naming(names) if defines.search(file.content))


def bypass_words(config: LintConfig) -> frozenset[str]:
    """Return the words without one of which nothing bypasses; of globs, their plain parts."""
    contexts = (part for glob in config.bypass_contexts for part in _plain(glob))
    return frozenset({*config.bypass_names, *contexts, *_marked(config)})


def handler_words(config: LintConfig) -> frozenset[str]:
    """Return the words without one of which no base class makes a request handler."""
    return frozenset(part for glob in config.handler_bases for part in _plain(glob))


def scope_words(config: LintConfig) -> frozenset[str]:
    """Return the words that open a tenant's scope, or name a session that is bound to one."""
    types = (*config.tenant_session_types, *config.bypass_session_types)
    return frozenset({*config.tenant_scopes, *types})


def wanted_names(config: LintConfig) -> frozenset[str]:
    """Return the functions that callers are looked for, whatever the program adds to them."""
    verifiers = (name.rpartition(".")[2] for name in config.verifiers if "." not in name)
    return frozenset({*config.bypass_names, *config.tenant_scopes, *verifiers})


def login_words(config: LintConfig) -> tuple[tuple[bytes, ...], ...]:
    """Return the parts of each glob of a bypass login: a name that matches it has them all."""
    return tuple(tuple(part.encode() for part in _plain(glob)) for glob in config.bypass_settings)


def _marked(config: LintConfig) -> list[str]:
    return [marker.partition("(")[2].rstrip(")") for marker in config.bypass_markers]


def _plain(glob: str) -> Iterator[str]:
    yield from (part for part in glob.split("*") if part)
