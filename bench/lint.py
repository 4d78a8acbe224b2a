"""How fast the lint reads, against the tokenizer alone and against its peers, on the same files.

Everything is measured in one run, so the ratios mean something on any machine. Without a PATH it writes
migrations of its own; with one it takes the .sql files below it. Run as
`python bench/lint.py [PATH] [--megabytes N] [--prototype FILE]`, with `make bench` setting up the peers.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlglot
from sqlglot.errors import SqlglotError

ROUNDS = 5
WARM_FILES = 750
PEERS = Path(sys.executable).parent.parent / "peers" / "bin"
#: sqlfluff reads some 20 KB a second; a sample says as much as the whole.
SAMPLE_BYTES = 40_000
TOKENIZER = "sqlglot tokenizer"
READING = "our statements and tokens"
FACTS = "our facts"
REPLAY = "our facts and replay"
LINT = "posture lint, warm process"
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


@dataclass(frozen=True)
class Corpus:
    """SQL files in a folder, and their texts."""

    root: Path
    files: list[Path]
    texts: list[str]

    @property
    def megabytes(self) -> float:
        return sum(len(text.encode()) for text in self.texts) / 1e6


def from_the_root() -> None:
    """Let `lint` mean the package, not this file, when this file is run as a script."""
    here = Path(__file__).resolve().parent
    if Path(sys.path[0]).resolve() == here:
        sys.path[0] = str(here.parent)


def corpus_of(root: Path) -> Corpus:
    files, texts = [], []
    for path in sorted(root.rglob("*.sql")):
        try:
            texts.append(path.read_text())
        except (UnicodeDecodeError, OSError):
            continue
        files.append(path)
    return Corpus(root, files, texts)


def written(folder: Path, count: int) -> Corpus:
    (folder / "migrations").mkdir()
    for n in range(count):
        (folder / "migrations" / f"{n:05}.sql").write_text(MIGRATION.format(n=n))
    return corpus_of(folder)


def reading(text: str) -> int:
    """Statements and their tokens alone."""
    from lint.history.sql import Script, read_statements
    from lint.history.statements import FIRST_WORDS

    return sum(1 for _ in read_statements(Script(text), FIRST_WORDS, lambda *_: None))


def our_facts(text: str) -> int:
    """What each statement changes: what the prototype does, of more kinds of statement."""
    from lint.history.sql import Script, read_statements
    from lint.history.statements import FIRST_WORDS, statement_facts

    read = read_statements(Script(text), FIRST_WORDS, lambda *_: None)
    return sum(len(statement_facts(statement)) for statement in read if statement is not None)


def front_end(text: str) -> int:
    from lint.catalogue import Place
    from lint.history.replay import Replay
    from lint.history.sql import Script, read_statements
    from lint.history.statements import FIRST_WORDS, statement_facts

    replay, place, count = Replay("bench"), Place("bench"), 0
    for statement in read_statements(Script(text), FIRST_WORDS, lambda *_: None):
        count += 1
        changes = statement_facts(statement) if statement is not None else []
        if changes:
            replay.apply(changes, place)
    return count


def quietly(read: Callable[[str], object]) -> Callable[[str], object]:
    """A peer that gives up on a file still took its time."""
    from pglast.parser import ParseError

    refusals = (ParseError, SqlglotError, AssertionError, LookupError, ValueError, TypeError)

    def run(text: str) -> object:
        try:
            return read(text)
        except refusals as error:
            return error

    return run


def prototype(path: Path) -> Callable[[str], object]:
    """The research prototype's facts: `statements` and `facts` of a scratch module."""
    spec = importlib.util.spec_from_file_location("prototype", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return quietly(lambda text: [module.facts(tokens, text) for tokens in module.statements(text)])


def peers(corpus: Corpus) -> Iterator[tuple[str, Callable[[], object]]]:
    """The other linters as a person runs them, over the same files."""
    names = [str(path) for path in corpus.files]
    if (PEERS / "squawk").exists():
        yield "squawk, all rules", lambda: command([str(PEERS / "squawk"), "--reporter", "Json", *names])
    if (PEERS / "pgrls").exists():
        flags = [part for name in names for part in ("--sql-file", name)]
        yield "pgrls, offline", lambda: command([str(PEERS / "pgrls"), "lint", *flags])


def command(arguments: list[str]) -> float:
    """CPU seconds of a command; findings make linters exit 1, which is no matter here."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU seconds of each, the least of several rounds taken in turn: other load hits all alike."""
    best = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started = time.process_time()
            spent = run()
            own = time.process_time() - started
            best[name] = min(best[name], spent if isinstance(spent, float) else own)
    return best


def rates(corpus: Corpus, scratch: Path | None) -> None:
    from pglast import parse_sql

    from lint import lint_paths

    runs: dict[str, Callable[[], object]] = {
        TOKENIZER: lambda: [quietly(lambda t: sqlglot.tokenize(t, read="postgres"))(t) for t in corpus.texts],
        READING: lambda: [reading(t) for t in corpus.texts],
        FACTS: lambda: [our_facts(t) for t in corpus.texts],
        REPLAY: lambda: [front_end(t) for t in corpus.texts],
        LINT: lambda: lint_paths([corpus.root], root=corpus.root),
        "pglast, parse only": lambda: [quietly(parse_sql)(t) for t in corpus.texts],
        **dict(peers(corpus)),
    }
    if scratch is not None:
        read = prototype(scratch)
        runs["research prototype, facts"] = lambda: [read(t) for t in corpus.texts]
    best = measured(runs)
    print(f"{corpus.megabytes:.2f} MB of SQL in {len(corpus.files)} files, least CPU of {ROUNDS} rounds")
    print(f"{'':32}{'seconds':>9}{'MB/s':>8}{'time of our lint':>18}")
    for name, taken in best.items():
        print(f"{name:32}{taken:9.3f}{corpus.megabytes / taken:8.1f}{taken / best[LINT]:17.2f}x")
    against_sqlfluff(corpus, corpus.megabytes / best[LINT])


def against_sqlfluff(corpus: Corpus, our_rate: float) -> None:
    if not (PEERS / "sqlfluff").exists():
        return
    sample, size = [], 0
    for path, text in zip(corpus.files, corpus.texts, strict=True):
        if size < SAMPLE_BYTES:
            sample.append(str(path))
            size += len(text.encode())
    spent = command([str(PEERS / "sqlfluff"), "lint", "--dialect", "postgres", *sample])
    rate = size / 1e6 / spent
    print(
        f"sqlfluff read {size / 1e3:.0f} KB at {rate:.3f} MB/s: our lint has {our_rate / rate:.0f}x its rate"
    )


def warm(folder: Path) -> None:
    """A second run over unchanged files, against hashing them and starting."""
    corpus = written(folder, WARM_FILES)
    posture = [sys.executable, "-m", "posture"]
    lint = [*posture, "lint", "--cache-dir", str(folder / "cache"), str(corpus.root / "migrations")]
    cold = wall(lambda: subprocess.run(lint, capture_output=True, check=False, cwd=folder), rounds=1)
    again = wall(lambda: subprocess.run(lint, capture_output=True, check=False, cwd=folder))
    start = wall(lambda: subprocess.run([*posture, "--version"], capture_output=True, check=True))
    hashing = wall(lambda: [hashlib.sha256(path.read_bytes()).digest() for path in corpus.files])
    print(f"\n{WARM_FILES} files: cold {cold * 1e3:.0f} ms, warm {again * 1e3:.0f} ms")
    print(f"hashing {hashing * 1e3:.0f} ms and start-up {start * 1e3:.0f} ms: ", end="")
    print(f"{again / (hashing + start):.1f}x")
    memory(lint)


def memory(lint: list[str]) -> None:
    child = subprocess.Popen([*lint, "--no-cache"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(child.pid, 0)
    child.returncode = 0
    print(f"most memory of a cold run: {usage.ru_maxrss / 1024:.0f} MB")


def wall(run: Callable[[], object], rounds: int = ROUNDS) -> float:
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def main() -> None:
    from_the_root()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", nargs="?", type=Path)
    parser.add_argument("--megabytes", type=float, default=0.5)
    parser.add_argument("--prototype", type=Path, help="a module with statements() and facts()")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        count = max(1, int(options.megabytes * 1e6 / len(MIGRATION)))
        corpus = corpus_of(options.path) if options.path else written(Path(folder), count)
        if not corpus.files:
            parser.error(f"{options.path}: no .sql file below it")
        rates(corpus, options.prototype)
    with tempfile.TemporaryDirectory() as folder:
        warm(Path(folder))


if __name__ == "__main__":
    main()
