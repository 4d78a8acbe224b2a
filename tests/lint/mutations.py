"""Real statements, broken the ways that editors, merges and generators break them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from random import Random

_PIECES = re.compile(r"\s+|\w+|[^\w\s]")
_STRANGE = ("\0", "\ufeff", "\u2028", "é", "漢", "\U0001f512", "\ud7ff", "\\", "$$", "$a$")
_STRANGE += ("--", "/*", "*/", "'", '"', "E'")
_OPENING = ("(", "[", "CASE WHEN true THEN ", "(SELECT ", "NOT ", "BEGIN ", "DO $$ BEGIN ")

#: One statement of each kind that the lint reads, beside those of the corpus.
STATEMENTS = (
    (
        "CREATE TABLE IF NOT EXISTS app.invoice (id uuid PRIMARY KEY, tenant_id uuid NOT NULL "
        "REFERENCES t (id), UNIQUE (tenant_id, id), CHECK (id <> tenant_id)) PARTITION BY HASH (id);"
    ),
    ("ALTER TABLE ONLY app.invoice ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY, OWNER TO app;"),
    (
        "CREATE POLICY p ON app.invoice AS RESTRICTIVE FOR UPDATE TO app, PUBLIC USING (tenant_id = "
        "(SELECT nullif(current_setting('app.tenant_id', true), '')::uuid)) WITH CHECK (true);"
    ),
    "ALTER POLICY p ON app.invoice RENAME TO q; DROP POLICY IF EXISTS q ON app.invoice;",
    (
        "DO $body$ DECLARE t text; BEGIN FOREACH t IN ARRAY ARRAY['a', 'b'] LOOP EXECUTE format('ALTER "
        "TABLE %I ENABLE ROW LEVEL SECURITY', t); IF NOT EXISTS (SELECT 1 FROM pg_policies WHERE "
        "policyname = t) THEN CREATE POLICY t ON a USING (true); END IF; END LOOP; EXCEPTION WHEN "
        "duplicate_object THEN NULL; END $body$;"
    ),
    (
        "CREATE OR REPLACE FUNCTION app.f(a int DEFAULT 1) RETURNS void LANGUAGE plpgsql SECURITY "
        "DEFINER SET search_path = '' AS $$ BEGIN PERFORM set_config('app.tenant_id', a::text, true); "
        "END $$;"
    ),
    ("WITH gone AS (DELETE FROM invoice WHERE id = $1 RETURNING *) INSERT INTO archive SELECT * FROM gone;"),
    ("UPDATE ONLY invoice i SET (name, n) = ('x', 1), tenant_id = DEFAULT FROM tenant t WHERE t.id = i.id;"),
    ("MERGE INTO invoice i USING archive a ON a.id = i.id WHEN MATCHED THEN UPDATE SET name = a.name;"),
    "COPY invoice (id, name) FROM stdin;\n1\tx\n\\.\n",
    "SET LOCAL app.tenant_id = 'x'; RESET ALL; SELECT set_config('row_security', 'off', false);",
    "CREATE VIEW v WITH (security_invoker = true) AS SELECT * FROM invoice JOIN t USING (id);",
    ("REFRESH MATERIALIZED VIEW CONCURRENTLY names; TRUNCATE a, b CASCADE; DROP FUNCTION f(int) CASCADE;"),
    "BEGIN; GRANT SELECT (id), UPDATE ON ALL TABLES IN SCHEMA app TO app; ROLLBACK;",
    ("ALTER TABLE invoice ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES t (id) ON DELETE SET NULL NOT VALID;"),
)
SEEDS = (*STATEMENTS, *(p.read_text() for p in sorted((Path(__file__).parent / "corpus").rglob("*.sql"))))

Mutation = Callable[[list[str], Random], list[str]]


def _delete(pieces: list[str], random: Random) -> list[str]:
    at = random.randrange(len(pieces))
    return pieces[:at] + pieces[at + random.randint(1, 4) :]


def _duplicate(pieces: list[str], random: Random) -> list[str]:
    at = random.randrange(len(pieces))
    run = pieces[at : at + random.randint(1, 8)]
    return pieces[:at] + run * random.choice((2, 2, 2, 50)) + pieces[at:]


def _swap(pieces: list[str], random: Random) -> list[str]:
    one, other = random.randrange(len(pieces)), random.randrange(len(pieces))
    swapped = list(pieces)
    swapped[one], swapped[other] = swapped[other], swapped[one]
    return swapped


def _cut(pieces: list[str], random: Random) -> list[str]:
    return pieces[: random.randrange(len(pieces))]


def _insert(pieces: list[str], random: Random) -> list[str]:
    at = random.randrange(len(pieces))
    return [*pieces[:at], random.choice(_STRANGE), *pieces[at:]]


def _nest(pieces: list[str], random: Random) -> list[str]:
    at = random.randrange(len(pieces))
    return [*pieces[:at], random.choice(_OPENING) * random.choice((2, 60, 2000)), *pieces[at:]]


def _graft(pieces: list[str], random: Random) -> list[str]:
    """Put a run of another statement in, as a merge gone wrong does."""
    other = _PIECES.findall(random.choice(SEEDS))
    start, at = random.randrange(len(other)), random.randrange(len(pieces))
    return pieces[:at] + other[start : start + random.randint(1, 20)] + pieces[at:]


MUTATIONS: tuple[Mutation, ...] = (_delete, _delete, _duplicate, _swap, _cut, _insert, _insert, _nest, _graft)


def mutated(random: Random) -> str:
    """Return a real statement with one to six mutations."""
    pieces = _PIECES.findall(random.choice(SEEDS))
    for _ in range(random.randint(1, 6)):
        pieces = random.choice(MUTATIONS)(pieces, random) or [" "]
    return "".join(pieces)
