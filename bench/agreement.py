"""Does the lint's SQL front end see what PostgreSQL sees?

`python bench/agreement.py [PATH…]` compares the facts of every .sql file below the paths (our own test
corpus when none is named) with those of PostgreSQL's own parser (pglast), and prints for each kind how
many agreed, were missed and were extra, and each disagreement with its file and line.

`python bench/agreement.py --live PATH…` runs the SQL migrations below the paths on a PostgreSQL server
of its own and prints in what the live catalogue differs from the replayed one. Statements that the
server refuses are named and run as if they were not there, in both. Platform schemas (auth, storage)
and roles are stood in for.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

#: What is compared when no path is named.
OUR_CORPUS = Path(__file__).resolve().parent.parent / "tests" / "lint" / "corpus"
SHOWN = 200
WIDTH = 300


def from_the_root() -> None:
    """Let `lint` and `tests` mean the packages, not files beside this one."""
    here = Path(__file__).resolve().parent
    if Path(sys.path[0]).resolve() == here:
        sys.path[0] = str(here.parent)


def sql_files(paths: list[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        found += sorted(path.rglob("*.sql")) if path.is_dir() else [path]
    return found


def live(paths: list[Path]) -> None:
    """Compare the head of each history below the paths with a database that ran it."""
    from lint.files import gather
    from tests.lint.conftest import server

    corpus = gather(paths, Path.cwd(), ())
    for folder, files in corpus.histories.items():
        with server() as dsn:
            report(folder, [file.location for file in files], dsn)


def report(folder: str, files: list[Path], dsn: str) -> None:
    from lint import read_live
    from lint.catalogue import Place
    from lint.history.read import way_up
    from lint.history.replay import Replay
    from lint.history.sql import Script, statements
    from lint.history.statements import statement_facts
    from tests.lint.parity import differences

    prepare(dsn)
    before = read_live(dsn)
    replay, refused, count = Replay(folder), [], 0
    replay.tables.update(before.tables)
    replay.functions.update(before.functions)
    replay.types.update(before.types)
    replay.schemas.update(before.schemas)
    for path in files:
        script = Script(way_up(path.read_text(errors="replace")))
        parts = list(statements(script, lambda *_: None))
        gone = dict(refusals(dsn, [part.source for part in parts]))
        replay.begin_file()
        for at, part in enumerate(parts):
            count += 1
            if at in gone:
                refused.append(f"{path}:{script.line_and_column(part.start)[0]}: {gone[at]}")
            else:
                replay.apply(statement_facts(part), Place(str(path)))
    found = differences(replay.catalogue(), read_live(dsn), before)
    tables = [name for name, table in replay.tables.items() if table.known and name not in before.tables]
    policies = sum(len(table.policies) for table in replay.tables.values())
    print(
        f"{folder}: {len(files)} files, {count} statements, {len(refused)} refused, {len(tables)} tables, "
        f"{policies} policies, {len(replay.functions)} functions, {len(replay.not_analysed)} not analysed, "
        f"{len(found)} differences"
    )
    for one in (*refused, *(f"{place.path}: {why}" for place, why in replay.not_analysed), *found):
        print("   ", str(one)[:WIDTH])


def refusals(dsn: str, texts: list[str]) -> Iterator[tuple[int, str]]:
    """Run statements, each in its own transaction; yield the position and reason of those that fail."""
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        for at, text in enumerate(texts):
            try:
                connection.execute(text.encode())
            except psycopg.Error as error:
                if connection.info.transaction_status.name != "IDLE":
                    connection.execute("ROLLBACK")
                yield at, str(error).splitlines()[0]


def prepare(dsn: str) -> None:
    """Make what a platform has before the first migration."""
    import psycopg

    with psycopg.connect(dsn, autocommit=True) as connection:
        for role in (
            "anon",
            "authenticated",
            "service_role",
            "supabase_admin",
            "authenticator",
            "postgres",
            "supabase_auth_admin",
        ):
            known = connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            if known is None:
                connection.execute(f"CREATE ROLE {role}")
        connection.execute(PLATFORM)
        connection.execute('ALTER DATABASE postgres SET search_path = "$user", public, extensions')


PLATFORM = """
CREATE SCHEMA auth; CREATE SCHEMA storage; CREATE SCHEMA extensions; CREATE SCHEMA realtime;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text, raw_user_meta_data jsonb, raw_app_meta_data jsonb,
    created_at timestamptz, updated_at timestamptz, phone text, aud text, role text);
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS 'SELECT NULL::uuid';
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
CREATE FUNCTION auth.email() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
CREATE FUNCTION auth.jwt() RETURNS jsonb LANGUAGE sql STABLE AS 'SELECT NULL::jsonb';
CREATE TABLE storage.buckets (id text PRIMARY KEY, name text, public boolean, owner uuid,
    file_size_limit bigint, allowed_mime_types text[], avif_autodetection boolean);
CREATE TABLE storage.objects (id uuid PRIMARY KEY, bucket_id text, name text, owner uuid, metadata jsonb);
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE sql AS 'SELECT NULL::text[]';
CREATE FUNCTION storage.filename(name text) RETURNS text LANGUAGE sql AS 'SELECT NULL::text';
CREATE TABLE realtime.messages (id uuid PRIMARY KEY, topic text, extension text);
CREATE FUNCTION realtime.topic() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
CREATE PUBLICATION supabase_realtime;
CREATE FUNCTION extensions.uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--live", action="store_true", help="against a server that ran the migrations")
    parser.add_argument("paths", nargs="*", type=Path, metavar="PATH", help="files or folders")
    arguments = parser.parse_args()
    from_the_root()
    if arguments.live:
        live(arguments.paths)
    else:
        parsed(arguments.paths or [OUR_CORPUS])


def parsed(paths: list[Path]) -> None:
    """Compare the facts of each file with those of PostgreSQL's parser."""
    from tests.lint.oracle import compared

    counts: dict[str, Counter[str]] = {name: Counter() for name in ("agreed", "missed", "extra")}
    differences = []
    files = sql_files(paths)
    for path in files:
        text = path.read_text(errors="replace")
        for name, facts in zip(counts, compared(text), strict=True):
            counts[name].update(str(fact[0]) for _, fact in facts)
            if name != "agreed":
                differences += [(path, line, name, fact) for line, fact in facts]
    for path, line, name, fact in differences[:SHOWN]:
        print(f"{path}:{line}: {name} {str(fact)[:WIDTH]}")
    for kind in sorted(set().union(*counts.values())):
        print(f"{kind:20}" + "".join(f"{counts[name][kind]:9}" for name in counts))
    total = {name: sum(counter.values()) for name, counter in counts.items()}
    whole = max(1, sum(total.values()))
    print(f"{'all':20}" + "".join(f"{total[name]:9}" for name in counts))
    print(f"{len(files)} files; {total['agreed'] / whole:.4%} of facts identical")


if __name__ == "__main__":
    main()
