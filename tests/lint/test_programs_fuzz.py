"""No program and no arrangement of files can crash a run, whatever stands in it."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lint.files import SourceFile
from lint.history.alembic import replay_revisions
from lint.history.newest_python import parsed
from lint.history.replay import Replay
from lint.history.sequelize import replay_scripts
from lint.layouts import arranged

ROOT = Path(__file__).parent
QUIET = settings(max_examples=150, deadline=4000, suppress_health_check=[HealthCheck.too_slow])
PYTHON = """
from alembic import op
import sqlalchemy as sa, os
from enum import Enum
class E(str, Enum):
    A = "a"
T = {"a": [1, 2], **{"b": (3,)}}
def run(*names, how="ENABLE", **more):
    for i, (n, v) in enumerate(zip(names, T.items())):
        op.execute(f"ALTER TABLE {n!r} {how:>3} {v[0]}" % more)
        if n in T or not i: continue
        while names: break
    return [x for x in T for y in T[x] if x] or {k: v for k, v in T.items()}
def upgrade():
    with op.batch_alter_table("a", schema=E.A.value) as b:
        b.add_column(sa.Column("x", sa.ARRAY(sa.Text), server_default=sa.text("now()"), index=True))
    op.create_table("t", sa.Column("id", sa.Integer(), primary_key=True), *[sa.Column(n) for n in T])
    try:
        run("a", *T, how=os.getenv("X", "y"), **{"z": 1})
    except Exception as e:
        raise ValueError from e
    op.bulk_insert(sa.table("t", sa.column("a")), [{"a": 1}])
    op.execute(sa.update(sa.table("t")).where(True).values(a=lambda q: q[1:2][-1]))
"""
SCRIPT = """
import { a as b } from './x'; const { c, d: [e] } = require('./y');
class M { name = 'q'; async up(q) { await q.query(`x ${b}`); } }
module.exports = { async up(queryInterface, Sequelize) {
  const t = ['a', `b${c?.d ?? 1}`]; let s = ''; s += t.map((x, i) => x + i).join(',');
  for (const [k, v] of Object.entries({ a: 1, ...t })) { if (k === v) continue; else break; }
  for (let i = 0; i < 3; i++)
    await queryInterface.addColumn({ tableName: t[i], schema: 's' }, 'x', Sequelize.UUID);
  try {
    await queryInterface.createTable('z', { id: { type: Sequelize.ENUM('a'), references: { model: 'q' } } });
  }
  catch (e) { throw e } finally { await queryInterface.sequelize.transaction(async (t) => { return t; }) }
  const on = sql.fragment`x ${t[0]}`; await sql`ALTER ${sql.identifier(['s', t])} ${on} ${{}} ${sql(t)}`;
  await knex.raw('a ?? ? :b: :c', [t, 1]).then(() => sql.raw(`x`)).catch((e) => { throw e; });
  await queryInterface.addIndex('a', ['b', { name: 'c' }], { unique: !0 });
} };
"""


def scrambled(text: str, chance: random.Random) -> str:
    """Return a text with lines lost, doubled and swapped, and pieces of lines moved."""
    lines = text.splitlines()
    for _ in range(chance.randrange(1, 6)):
        first, second = chance.randrange(len(lines)), chance.randrange(len(lines))
        cut = chance.randrange(len(lines[first]) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            lines[first] = lines[first][:cut] + lines[second].strip() + lines[first][cut:]
        elif kind == 1:
            lines[first] = lines[first][:cut]
        elif kind == 2:
            lines.insert(second, lines[first])
        else:
            lines[first], lines[second] = lines[second], lines[first]
    return "\n".join(lines)


@given(st.randoms(use_true_random=False))
@QUIET
def test_a_scrambled_revision_is_followed_or_noted(chance: random.Random) -> None:
    text = f"revision = 'a'\ndown_revision = None\n{scrambled(PYTHON, chance)}"
    replay = Replay("x")
    count = replay_revisions([SourceFile("1.py", ROOT / "1.py", text.encode())], replay, {}, ROOT)
    assert count >= 0
    assert all(place.path == "1.py" and reason for place, reason in replay.not_analysed)


@given(st.randoms(use_true_random=False))
@QUIET
def test_a_scrambled_script_is_followed_or_noted(chance: random.Random) -> None:
    replay = Replay("x")
    file = SourceFile("1.js", ROOT / "1.js", scrambled(SCRIPT, chance).encode())
    count = replay_scripts([file], replay, {}, ROOT)
    assert count >= 0
    assert all(place.path == "1.js" and reason for place, reason in replay.not_analysed)


def test_the_seeds_of_both_do_something() -> None:
    for files, follow in (
        ([SourceFile("1.py", ROOT / "1.py", PYTHON.encode())], replay_revisions),
        ([SourceFile("1.js", ROOT / "1.js", SCRIPT.encode())], replay_scripts),
    ):
        assert follow(files, Replay("x"), {}, ROOT) > 3


@given(st.text(alphabet="f\"'{}[]()\\n :=T!typeclassdefexcept,\n", max_size=60))
@QUIET
def test_arbitrary_python_is_parsed_or_refused(text: str) -> None:
    try:
        tree = parsed(text)
    except (SyntaxError, ValueError):
        return
    assert tree.body is not None


NAMES = st.sampled_from(
    [
        *("V1__a.sql", "R__b.sql", "B2__c.sql", "U1__d.sql", "up.sql", "down.sql", "migration.sql"),
        *("schema.sql", "1.sql", "01_a.up.sql", "x--1.0.sql", "x--1.0--1.1.sql", "current.sql"),
        *("a_down.sql", "seed.sql", ".sql"),
    ]
)
FOLDERS = st.sampled_from(
    ["migrations", "versions", "up", "committed", "2024", "1_a", "V2", "docs", "supabase", "deploy", "schema"]
)
BODIES = st.sampled_from([b"CREATE TABLE a ();", b"SELECT 1;", b"", b"-- atlas:checkpoint\nDROP TABLE a;"])


@given(st.lists(st.tuples(st.lists(FOLDERS, max_size=4), NAMES, BODIES), max_size=12))
@QUIET
def test_every_file_is_in_one_history_at_most(found: list[tuple[list[str], str, bytes]]) -> None:
    paths = {"/".join([*folders, name]): body for folders, name, body in found}
    files = [SourceFile(path, Path("/nowhere") / path, body, base=".") for path, body in paths.items()]
    migrations = arranged(files)
    placed = [file.path for history in migrations.histories.values() for file in history]
    placed += [file.path for file in migrations.queries]
    assert len(placed) == len(set(placed))
    assert set(placed) <= set(paths)
