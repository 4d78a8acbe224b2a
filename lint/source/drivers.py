"""How a database driver sends a statement: parameters apart, or written into the text by itself.

psycopg2, Django's cursors, Sequelize's replacements and MySQL-like drivers write values into the text
on the client; psycopg 3, asyncpg, pg, postgres.js and Prisma send them apart, so that the server sees
`$1`. SQLAlchemy does what its driver does, which the project's imports and URLs tell.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.source.sites import HOLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lint.source.settings import SettingSite
    from lint.source.sites import Source

_PLACEHOLDER = re.compile(r"(?:=|\bto\b)\s*(?:\$\d|%s|%\(\w+\)s|:\w+|\?)", re.IGNORECASE)
_NUMBERED = re.compile(r"(?:=|\bto\b)\s*\$\d", re.IGNORECASE)
_HOLE_VALUE = re.compile(rf"(?:=|\bto\b)\s*{HOLE}", re.IGNORECASE)
#: Tags of TypeScript whose interpolations are parameters.
_TAG_ENDS = (("$executeRaw",), ("$queryRaw",), ("sql",), ("SQL",))
_ON_CLIENT = re.compile(r"psycopg2\b|django\b|pymysql\b|sequelize\b|aiopg\b|sqlite3\b")
_ON_SERVER = re.compile(
    r"psycopg(?:\.|_pool|$)|asyncpg\b|pg(?:\.|$)|postgres(?:\.|$)|.*prisma|pg8000\b|knex\b|kysely\b|drizzle-orm\b"
)
#: SQLAlchemy's asynchronous engines have only drivers that send parameters apart.
_ASYNCHRONOUS = "sqlalchemy.ext.asyncio"
_URL_ON_SERVER = re.compile(r"postgres(?:ql)?\+(?:asyncpg|psycopg|psycopg_async|pg8000)(?::|\b(?!2))")
_URL_ON_CLIENT = re.compile(r"postgres(?:ql)?\+psycopg2")


def placeholder_in(site: SettingSite) -> bool:
    """Say whether the value of SET is a parameter: a placeholder, or a hole of a tagged template."""
    text = site.text
    if text is None:
        return False
    if _PLACEHOLDER.search(text.value):
        return True
    return is_tagged(site) and bool(_HOLE_VALUE.search(text.value))


def numbered(site: SettingSite) -> bool:
    """Say whether the value is `$1`: the server's own spelling, which no driver replaces by text."""
    return site.text is not None and _NUMBERED.search(site.text.value) is not None


def is_tagged(site: SettingSite) -> bool:
    """Say whether the text is a template whose tag makes parameters of what is interpolated."""
    text = site.text
    return site.source.language == "typescript" and text is not None and text.calls[-1:] in _TAG_ENDS


def client_side(site: SettingSite, sources: Sequence[Source]) -> bool:
    """Say whether the driver may write the value into the text, so that the server sees none.

    Where neither the file nor the project shows a driver that sends parameters apart, it may.
    """
    own = tuple(site.source.imports.values())
    if any(_ON_CLIENT.match(name) for name in own):
        return True
    if any(_ON_SERVER.match(name) or name.startswith(_ASYNCHRONOUS) for name in own):
        return False
    if site.source.language == "typescript":
        return not {"$executeRaw", "$queryRaw"} & set(site.text.calls if site.text is not None else ())
    return _project_is_client_side(sources)


def _project_is_client_side(sources: Sequence[Source]) -> bool:
    names = [name for source in sources for name in source.imports.values()]
    urls = [text.value for source in sources for text in source.texts if "postgres" in text.value]
    on_client = any(_ON_CLIENT.match(n) for n in names) or any(_URL_ON_CLIENT.search(u) for u in urls)
    on_server = any(_ON_SERVER.match(n) for n in names) or any(_URL_ON_SERVER.search(u) for u in urls)
    return on_client or not on_server
