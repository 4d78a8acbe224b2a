"""What calls of TypeScript's database libraries mean: who opens a connection, runs SQL, or bypasses.

Callees are compared with their imports resolved, so that `new Client()` of another package is no
database. Nothing here judges; the rules do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.source.sites import Attempt, Bind, Choice, Repeat, Within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from lint.source.sites import Block, Call, Source

#: Callees that open a connection or a pool of their own, imports resolved.
OPENS = re.compile(
    r"pg(?:\.native)?\.(?:Pool|Client)|pg-pool|pg-promise|postgres|slonik\.createPool|"
    r"@vercel/postgres\.(?:createPool|createClient)|@neondatabase/serverless\.(?:Pool|Client|neon)|"
    r"drizzle-orm/[\w/-]+\.drizzle|.+\.PrismaClient|"
    r"kysely\.Kysely|knex(?:\.(?:knex|Knex|default))?|"
    r"(?:sequelize|@sequelize/core|sequelize-typescript)(?:\.Sequelize)?|"
    r"typeorm\.(?:DataSource|createConnection|createConnections)|"
    r"@mikro-orm/[\w-]+\.MikroORM\.init"
)
#: Which client is made of a key, and of which keys it bypasses row security.
_KEYED = re.compile(r"@supabase/(?:supabase-js|ssr)\.(?:createClient|createServerClient|SupabaseClient)")
_PRIVILEGED_KEY = re.compile(
    r"service_?role|service_?key|supabase_?secret_?key|\bsb_secret_\w+", re.IGNORECASE
)
#: Options by which the caller's own token is sent, whatever key made the client.
_CALLERS_TOKEN = frozenset({"accessToken", "global.headers.Authorization", "cookies"})
#: A line longer than this was written by a bundler: the source it was made from is what counts.
_LONGEST_LINE = 30_000


def is_bundled(content: bytes) -> bool:
    """Say whether a file is a bundler's or minifier's output."""
    if len(content) < _LONGEST_LINE:
        return False
    start = 0
    while start < len(content):
        end = content.find(b"\n", start)
        end = len(content) if end < 0 else end
        if end - start > _LONGEST_LINE:
            return True
        start = end + 1
    return False


def opens_connection(call: Call) -> bool:
    """Say whether a call makes a connection, a pool or a client of its own."""
    return OPENS.fullmatch(call.callee) is not None


def is_verified_callee(callee: str, packages: Iterable[str]) -> bool:
    """Say whether a resolved callee comes from one of the packages that hold the verified bypass."""
    return any(callee == package or callee.startswith((f"{package}.", f"{package}/")) for package in packages)


def privileged_clients(source: Source) -> Iterator[Call]:
    """Yield the Supabase clients made with the service role's key, which bypasses row security."""
    calls = [call for call in source.calls if _KEYED.fullmatch(call.callee)]
    if not calls:
        return
    privileged = {target for bind in _binds(source) for target in bind.targets if _is_privileged(bind.names)}
    for call in calls:
        if any(not _CALLERS_TOKEN.isdisjoint(argument.keys) for argument in call.arguments):
            continue
        read = [name for argument in call.arguments for name in (argument.text, *argument.names)]
        if _is_privileged(read) or not privileged.isdisjoint(read):
            yield call


def _is_privileged(names: Iterable[str]) -> bool:
    return any(_PRIVILEGED_KEY.search(name) for name in names)


def _binds(source: Source) -> Iterator[Bind]:
    """Yield every binding of a file."""
    waiting: list[Block] = [function.body for function in source.functions.values()]
    while waiting:
        for step in waiting.pop():
            if isinstance(step, Bind):
                yield step
            elif isinstance(step, Choice):
                waiting.extend(step.branches)
            elif isinstance(step, Repeat | Within):
                waiting.append(step.body)
            elif isinstance(step, Attempt):
                waiting.extend((step.body, *step.handlers, step.always))
