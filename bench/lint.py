"""How fast the SQL front end reads, against the tokenizer alone, on generated migrations.

All are measured in one run on the same text, so the ratio means something on any machine. Run as
`python bench/lint.py [MEGABYTES]`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import sqlglot

ROUNDS = 5
TOKENIZER = "sqlglot tokenizer"
MIGRATION = """-- migration {n}
CREATE TABLE IF NOT EXISTS core.table_{n} (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    tenant_id uuid NOT NULL REFERENCES core.tenant (id) ON DELETE CASCADE,
    title text NOT NULL CHECK (length(title) < 200),
    amount numeric(12, 2) DEFAULT 0,
    created_at timestamp with time zone NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, id)
);
CREATE INDEX table_{n}_created ON core.table_{n} USING btree (tenant_id, created_at DESC);
ALTER TABLE core.table_{n} ENABLE ROW LEVEL SECURITY;
ALTER TABLE core.table_{n} FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON core.table_{n} FOR ALL TO app
    USING (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid))
    WITH CHECK (tenant_id = (SELECT nullif(current_setting('app.tenant_id', true), '')::uuid));
INSERT INTO core.kind (name, weight) VALUES ('a{n}', 1), ('b{n}', 2), ('c{n}', 3);
UPDATE core.kind SET weight = weight + 1 WHERE name LIKE 'a%' AND weight < 10;
CREATE OR REPLACE FUNCTION core.touch_{n}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.created_at := now();
    RETURN NEW;
END;
$$;
"""


def from_the_root() -> None:
    """Let `lint` mean the package, not this file, when this file is run as a script."""
    here = Path(__file__).resolve().parent
    if Path(sys.path[0]).resolve() == here:
        sys.path[0] = str(here.parent)


def front_end(text: str) -> int:
    from lint.catalogue import Place
    from lint.history.replay import Replay
    from lint.history.sql import Script, statements
    from lint.history.statements import statement_facts

    replay = Replay("bench")
    place = Place("bench")
    count = 0
    for statement in statements(Script(text)):
        count += 1
        changes = statement_facts(statement)
        if changes:
            replay.apply(changes, place)
    return count


def measured(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU seconds of each, the least of several rounds taken in turn: other load hits all alike."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - started)
    return best


def main() -> None:
    from_the_root()
    from lint import lint_paths

    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 0.5
    count = max(1, int(megabytes * 1e6 / len(MIGRATION)))
    files = [MIGRATION.format(n=n) for n in range(count)]
    size = sum(len(text) for text in files) / 1e6
    with tempfile.TemporaryDirectory() as folder:
        for n, text in enumerate(files):
            (Path(folder) / f"{n:05}.sql").write_text(text)
        best = measured(
            {
                TOKENIZER: lambda: [sqlglot.tokenize(t, read="postgres") for t in files],
                "front end (facts, replay)": lambda: [front_end(t) for t in files],
                "posture lint (files, rules)": lambda: lint_paths([folder], root=folder),
            }
        )
    print(f"{size:.2f} MB of SQL in {count} files, least CPU time of {ROUNDS} rounds")
    print(f"{'':28}{'seconds':>9}{'MB/s':>8}{'of tokenizer':>14}")
    for name, taken in best.items():
        print(f"{name:28}{taken:9.3f}{size / taken:8.1f}{best[TOKENIZER] / taken:13.0%}")


if __name__ == "__main__":
    main()
