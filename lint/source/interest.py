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
from lint.source.typescript_db import is_bundled, worth_reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lint.config import LintConfig
    from lint.files import SourceFile

#: How many calls away from where a tenant or bypass is needed callers are looked for: far where a scope
#: or a verification may stand anywhere on the way; else near, for the tenants and blocks that they pass.
ROUNDS = 6
ROUNDS_NEAR = 2
#: Shorter names, and those of half of all methods, would draw in every file.
_SHORTEST = 4
#: A word that so many files contain connects nothing; it grows with the size of the project.
_COMMON_FROM = 25
_COMMON_SHARE = 20
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
#: A change of a session's setting or role, as far as bytes tell it from prose that says "set".
_CHANGES = rb"set_config|(?i:\bset\s+(?:local|session)\s|\bset\s+(?:role\b|[{$]|[\"\w{}$]+\.[\"\w{}$]))"
#: A Python file without any of these cannot break a rule by itself.
_PYTHON_WORDS = re.compile(
    rb"row_security|sessionmaker|scoped_session|Session(?:\[\w+\])?\(|"
    rb"(?i:bypass\w*_(?:url|dsn|uri)|admin_d\w*_url|service_role_key|bypassrls)|" + _CHANGES
)
_SETS = re.compile(_CHANGES)
#: How Python opens a connection, or takes one from an engine or pool.
_PYTHON_CONNECTIONS = re.compile(
    rb"create_engine|create_async_engine|engine_from_config|sessionmaker|scoped_session|Session(?:\[\w+\])?\(|"
    rb"psycopg|asyncpg|aiopg|pg8000|(?:engine|pool)\.(?:connect|begin|raw_connection|connection|acquire|getconn|query)\("
)


#: What a TypeScript program imports to reach a database.
_SCRIPT_DATABASE = re.compile(
    rb"['\"](?:pg|pg-[\w-]+|postgres|drizzle-orm[\w/-]*|kysely|knex|sequelize[\w-]*|typeorm|slonik|"
    rb"@(?:prisma|supabase|mikro-orm|neondatabase|sequelize)/[\w-]+|@vercel/postgres)['\"]|[Pp]risma|supabase"
)


def breaks_alone(file: SourceFile, names: tuple[bytes, ...]) -> bool:
    """Say whether a file may break a rule by itself, by its words; `names` are those of the bypass."""
    if file.location.suffix in SCRIPTS:
        return worth_reading(file.content, names)
    return bool(_PYTHON_WORDS.search(file.content)) or any(name in file.content for name in names)


def is_script(file: SourceFile) -> bool:
    """Say whether a file is TypeScript or JavaScript, which calls no Python and is called by none."""
    return file.location.suffix in SCRIPTS


def works_on_database(file: SourceFile) -> bool:
    """Say whether a file belongs to a program that works on a database; Python's may without naming one."""
    return not is_script(file) or bool(_SCRIPT_DATABASE.search(file.content))


def sets_something(file: SourceFile) -> bool:
    """Say whether a file may change a session's setting."""
    return bool(_SETS.search(file.content))


def connects(file: SourceFile) -> bool:
    """Say whether a file may open a connection, or take one."""
    if file.location.suffix in SCRIPTS:
        return worth_reading(file.content)
    return bool(_PYTHON_CONNECTIONS.search(file.content))


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

    def naming(self, words: Iterable[str]) -> Iterator[SourceFile]:
        """Yield the files that contain one of these words."""
        found = {number for word in words for number in self._index.get(word.encode(), ())}
        return (self.files[number] for number in sorted(found))

    def spelling(self, words: Iterable[str]) -> Iterator[SourceFile]:
        """Yield the files that contain one of these words; each of them where a word is too short to tell."""
        known = tuple(words)
        short = any(len(word) < _SHORTEST for word in known)
        return iter(self.files) if short else self.naming(known)

    def telling(self, words: Iterable[str]) -> frozenset[str]:
        """Return those of the words that few enough files contain to show a connection."""
        most = max(_COMMON_FROM, len(self.files) // _COMMON_SHARE)
        return frozenset(word for word in words if len(self._index.get(word.encode(), ())) <= most)

    def defining(self, names: frozenset[str]) -> Iterator[SourceFile]:
        """Yield the files that give one of these names a value."""
        if names:
            spelled = b"|".join(re.escape(name.encode()) for name in sorted(names))
            defines = re.compile(
                rb"^(?:export\s+)?(?:const\s+)?(?:" + spelled + rb")\b[^=\n]*=", re.MULTILINE
            )
            yield from (file for file in self.naming(names) if defines.search(file.content))


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


def any_of(words: Iterable[str]) -> re.Pattern[bytes]:
    """Return what finds one of some words anywhere."""
    return re.compile("|".join(re.escape(word) for word in sorted(words)).encode() or rb"(?!)")


def _marked(config: LintConfig) -> list[str]:
    return [marker.partition("(")[2].rstrip(")") for marker in config.bypass_markers]


def _plain(glob: str) -> Iterator[str]:
    yield from (part for part in glob.split("*") if part)
