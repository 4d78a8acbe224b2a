"""TypeScript and JavaScript read into the model of sources: what runs, in which order, on what."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lint.source.sites import (
    HOLE,
    Attempt,
    Bind,
    Block,
    Call,
    Choice,
    Do,
    Leave,
    Repeat,
    Source,
    Within,
)
from lint.source.typescript import read_typescript
from lint.source.typescript_db import is_bundled, opens_connection


def read(text: str, path: str = "src/jobs/sweep.ts") -> Source:
    return read_typescript(text.encode(), path)


def call(source: Source, name: str) -> Call:
    (found,) = (one for one in source.calls if one.name == name)
    return found


def outline(block: Block) -> list[object]:
    """The steps of a block as nested lists of words, for comparison."""
    return [_outlined(step) for step in block]


def _outlined(step: object) -> object:
    match step:
        case Do(made):
            return made.written
        case Choice(branches):
            return ["choice", *(outline(branch) for branch in branches)]
        case Repeat(body, variables, over):
            return ["repeat", variables, over, outline(body)]
        case Attempt(body, handlers, always):
            return ["try", outline(body), [outline(one) for one in handlers], outline(always)]
        case Within(opened, name, body):
            return ["within", opened.written if opened else "", name, outline(body)]
        case Bind(targets):
            return ["bind", *targets]
        case Leave(kind, names):
            return [kind, *names]
    raise AssertionError(step)


def body(text: str) -> list[object]:
    """The outline of the body of `async function f() { TEXT }`."""
    return outline(read(f"async function f() {{\n{text}\n}}").functions["f"].body)


# Imports and exports


@pytest.mark.parametrize(
    ("line", "local", "target"),
    [
        ("import { Pool } from 'pg';", "Pool", "pg.Pool"),
        ("import { Pool as Db } from 'pg';", "Db", "pg.Pool"),
        ("import pg from 'pg';", "pg", "pg"),
        ("import * as pg from 'pg';", "pg", "pg"),
        ("import { default as pg } from 'pg';", "pg", "pg"),
        ("import pg = require('pg');", "pg", "pg"),
        ("const { Pool: Db } = require('pg');", "Db", "pg.Pool"),
        ("const pg = require('pg');", "pg", "pg"),
        ("const { Pool } = await import('pg');", "Pool", "pg.Pool"),
        ("import { run } from '../db/client';", "run", "src.db.client.run"),
        ("import { run } from '../db/client.js';", "run", "src.db.client.run"),
        ("import { run } from '../db';", "run", "src.db.run"),
        ("import { run } from '../db/index.ts';", "run", "src.db.run"),
        ("import run from './run';", "run", "src.jobs.run.default"),
        ("import { db } from '@/db';", "db", "@/db.db"),
        ("import { a, type B } from 'm';", "a", "m.a"),
    ],
)
def test_a_local_name_is_resolved_to_what_it_was_imported_from(line: str, local: str, target: str) -> None:
    assert read(line).imports == {local: target}


@pytest.mark.parametrize("line", ["import type { Pool } from 'pg';", "import './polyfill';"])
def test_imports_that_bind_no_value_are_none(line: str) -> None:
    assert read(line).imports == {}


def test_taking_a_namespace_apart_is_an_import_too() -> None:
    source = read(
        "import * as utils from '@tensorcost/db-utils';\nconst { runAsBypass: go } = utils;\ngo(t, f);"
    )
    assert source.calls[0].callee == "@tensorcost/db-utils.runAsBypass"


def test_exports_say_which_function_or_module_they_are() -> None:
    source = read(
        "export { a as b };\nexport { c } from '../db';\nexport * from './all';\nexport * as ns from './n';\n"
        "export const d = () => 1;\nexport default async function run() {}\nfunction a() {}"
    )
    assert source.exports == {
        "b": "a",
        "c": "src.db.c",
        "ns": "src.jobs.n",
        "d": "d",
        "default": "run",
    }
    assert source.star_exports == ("src.jobs.all",)
    assert {name for name, one in source.functions.items() if one.exported} == {"a", "d", "run"}


@pytest.mark.parametrize(
    "text",
    [
        "module.exports = { up: async (q) => { f(); }, down() {} };",
        "exports.up = async function (q) { f(); };\nexports.down = () => {};",
        "export default { async up(q) { f(); }, down: () => {} };",
        "export async function up(q) { f(); }\nexport const down = () => {};",
    ],
)
def test_migrations_of_every_style_have_functions_named_up_and_down(text: str) -> None:
    source = read(text)
    assert {"up", "down"} <= set(source.functions)
    assert source.functions["up"].parameters == ("q",)
    assert call(source, "f").function == "up"


# Functions and classes


def test_functions_are_named_by_what_they_are_assigned_to() -> None:
    source = read(
        "class A { m() {} x = () => 1; static s = function () {}; }\n"
        "const jobs = { sweep: async () => {}, nested: { deep() {} } };\n"
        "function outer() { const inner = () => { use(() => 1); }; }\n"
        "B.prototype.go = function () {};\nexport const job = cron(async () => { f(); });"
    )
    assert [name for name in source.functions if name] == [
        *("A.m", "A.x", "A.s", "jobs.sweep", "jobs.nested.deep", "outer", "outer.inner"),
        *("outer.inner.<anonymous:3>", "B.go", "job.<anonymous:5>"),
    ]


def test_two_functions_of_one_name_are_both_kept() -> None:
    source = read("if (x) { var f = () => a(); } else { var f = () => b(); }")
    assert [one.function for one in source.calls] == ["f", "f@1:46"]
    assert set(source.functions) == {"", "f", "f@1:46"}


def test_parameters_have_their_types_and_are_bound_when_taken_apart() -> None:
    function = read(
        "export async function f({ db, id: tenant }: Ctx, n = now(), ...rest: string[]): Promise<void> {}"
    ).functions["f"]
    assert function.parameters == ("{db, tenant}", "n", "...rest")
    assert function.types == {"{db, tenant}": "Ctx", "...rest": "string[]"}
    assert function.returns == "Promise<void>"
    assert (function.asynchronous, function.exported) == (True, True)
    assert outline(function.body) == [["bind", "db", "tenant"], "now"]


def test_a_controller_has_decorators_bases_and_attributes() -> None:
    source = read(
        "import { Injectable, Get } from '@nestjs/common';\nimport { Base } from './base';\n"
        "@Injectable()\nexport class Users extends Base<User> implements OnInit {\n"
        "  private cache: Map<string, User>;\n"
        "  constructor(private readonly db: PrismaClient) { super(); }\n"
        "  @Get('users')\n  async list(@Req() request: Request) { return this.db.user.findMany(); }\n}"
    )
    function = source.functions["Users.list"]
    assert function.decorators == ("@nestjs/common.Get",)
    assert function.bases == ("src.jobs.base.Base", "OnInit")
    assert function.parameters == ("request",)
    owner = source.classes["Users"]
    assert owner.decorators == ("@nestjs/common.Injectable",)
    assert owner.attributes == {"cache": "Map<string, User>", "db": "PrismaClient"}
    assert outline(source.functions["Users.constructor"].body) == [["bind", "this.db"], "super"]


# Steps


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("if (a()) b(); else c();", ["a", ["choice", ["b"], ["c"]]]),
        ("if (x) a();", [["choice", ["a"], []]]),
        ("x ? a() : b();", [["choice", ["a"], ["b"]]]),
        ("ok() && a();", ["ok", ["choice", ["a"], []]]),
        ("x ?? a();", [["choice", ["a"], []]]),
        ("x ||= a();", [["choice", ["a"], []], ["bind", "x"]]),
        ("for (const [k, v] of m()) { a(v); }", ["m", ["repeat", ("k", "v"), ("m",), ["a"]]]),
        ("for (let i = 0; i < n(); i++) a();", [["bind", "i"], ["repeat", (), (), ["n", "a"]]]),
        ("while (a()) { if (x) break; }", [["repeat", (), (), ["a", ["choice", [["break"]], []]]]]),
        ("do { a(); } while (b());", [["repeat", (), (), ["a", "b"]]]),
        ("try { a(); } catch (e) { b(); } finally { c(); }", [["try", ["a"], [["b"]], ["c"]]]),
        ("const x = a(b(), c.d);", ["b", "a", ["bind", "x"]]),
        ("const { x, y: [z] } = a();", ["a", ["bind", "x", "z"]]),
        ("this.x = a();", ["a", ["bind", "this.x"]]),
        ("cache[key()] = a();", ["a", ["bind", "cache[]"]]),
        ("return a(x);", ["a", ["return", "a", "x"]]),
        ("throw new E(x);", ["E", ["raise", "E", "x"]]),
        ("using c = open(); a(); await using d = take(); b();",
         [["within", "open", "c", ["a", ["within", "take", "d", ["b"]]]]]),
        ("x.a().b(c()).d();", ["x.a", "c", "().b", "().d"]),
        ("(await a()).b();", ["a", "().b"]),
        ("rows.map((r) => { a(r); });", ["rows.map"]),
        ("outer: for (const x of y) { continue outer; }", [["repeat", ("x",), ("y",), [["continue"]]]]),
    ],
)  # fmt: skip
def test_steps_stand_in_the_order_they_run(text: str, steps: list[object]) -> None:
    assert body(text) == steps


def test_a_case_without_break_falls_through_and_break_leaves_only_the_switch() -> None:
    text = "switch (x) { case 1: a(); case 2: b(); break; case 3: if (y) break; return c(); }"
    assert body(text) == [["choice", ["a", "b"], ["b"], ["c", ["return", "c"]], []]]


def test_loops_that_only_break_ends_are_endless() -> None:
    for text in ("for (;;) { a(); }", "while (true) { a(); }"):
        (step,) = read(text).functions[""].body
        assert isinstance(step, Repeat)
        assert step.endless


def test_an_arrow_without_braces_returns_its_value() -> None:
    source = read("const f = (tx) => tx.query(q);")
    assert outline(source.functions["f"].body) == ["tx.query", ["return", "tx.query", "q"]]


def test_a_constant_is_told_with_its_binding() -> None:
    steps = read("const tenant = '*';\nconst other = compute();").functions[""].body
    assert [step.constant for step in steps if isinstance(step, Bind)] == ["'*'", ""]


# Calls


def test_a_chain_leads_to_its_receiver() -> None:
    source = read("const rows = await db.select().from(users).where(eq(users.id, id));")
    where = call(source, "where")
    assert where.awaited
    assert where.bound_to == ("rows",)
    assert where.receiver is call(source, "from")
    assert where.receiver is not None
    assert where.receiver.receiver is call(source, "select")
    assert call(source, "from").arguments[0].text == "users"


def test_a_chain_over_lines_stands_where_its_own_name_does() -> None:
    source = read("request.storage\n  .asSuperUser()\n  .findBucket(name);")
    assert call(source, "asSuperUser").place.line == 2
    assert call(source, "findBucket").place.line == 3


def test_casts_optional_chains_and_literal_keys_are_seen_through() -> None:
    source = read("(db as any)!.pool?.['query']<Row>(x as string);")
    assert source.calls[0].written == "db.pool.query"
    assert source.calls[0].arguments[0].kind == "name"


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("'all'", "literal"),
        ("`all`", "literal"),
        ("`${x}`", "other"),
        ("null", "literal"),
        ("undefined", "literal"),
        ("Reason.Sweep", "member"),
        ("config.TENANT", "member"),
        ("req.body", "other"),
        ("tenant", "name"),
        ("async (tx) => {}", "function"),
        ("f()", "other"),
        ("{ a: 1 }", "other"),
    ],
)
def test_arguments_are_told_by_kind(written: str, kind: str) -> None:
    assert read(f"run({written});").calls[-1].arguments[0].kind == kind


def test_an_object_literal_has_keys_with_paths_and_the_names_it_reads() -> None:
    source = read("prisma.user.findMany({ where: { tenantId: ctx.tenant, id }, take: 5, each() {} });")
    (argument,) = source.calls[0].arguments
    assert argument.keys == ("where", "where.tenantId", "where.id", "take", "each")
    assert argument.names == ("ctx.tenant", "id")
    assert argument.functions == ("each",)


@pytest.mark.parametrize(
    ("text", "awaited", "dropped"),
    [
        ("await run(a);", True, False),
        ("run(a);", False, True),
        ("void run(a);", False, True),
        ("run(a).catch(log);", False, True),
        ("await run(a).catch(log);", True, False),
        ("await Promise.all([run(a), other()]);", True, False),
        ("const p = run(a);", False, False),
        ("return run(a);", False, False),
        ("use(run(a));", False, False),
        ("const f = () => run(a);", False, False),
    ],
)
def test_a_promise_that_nobody_awaits_is_told(text: str, awaited: bool, dropped: bool) -> None:
    found = call(read(f"async function f() {{ {text} }}"), "run")
    assert (found.awaited, found.dropped) == (awaited, dropped)


def test_a_function_run_at_once_is_a_call_of_it() -> None:
    source = read("(async () => { f(); })();")
    assert [one.written for one in source.calls] == ["f", "<anonymous:1>"]


# Texts


@pytest.mark.parametrize(
    ("written", "value", "holes"),
    [
        ("'a\\n\\x41\\u{1F600}'", "a\nA\U0001f600", ()),
        ("`SET ROLE ${role}`", f"SET ROLE {HOLE}", ("role",)),
        ("`${a.b} ${f(x)} ${1}`", f"{HOLE} {HOLE} {HOLE}", ("a.b", "f", "")),
        ("'SELECT ' + column + ' FROM t'", f"SELECT {HOLE} FROM t", ("column",)),
        ("'SELECT 1 ' +\n'FROM t'", "SELECT 1 FROM t", ()),
    ],
)
def test_strings_have_a_hole_for_each_interpolated_name(
    written: str, value: str, holes: tuple[str, ...]
) -> None:
    (text,) = read(f"run({written});").texts
    assert (text.value, text.holes, text.calls) == (value, holes, ("run",))


@pytest.mark.parametrize("tag", ["sql", "sql<Row>", "sql<{ a: string }[]>", "tx.$queryRaw<Row[]>"])
def test_a_tagged_template_is_a_call_with_a_text(tag: str) -> None:
    source = read(f"const rows = await db.execute({tag}`SELECT * FROM ${{users}} WHERE id = ${{a.id}}`);")
    made = source.calls[0]
    assert made.name == tag.partition("<")[0].rpartition(".")[2]
    assert made.arguments[0].names == ("users", "a.id")
    (text,) = source.texts
    assert text.calls == ("execute", made.name)
    assert text.holes == ("users", "a.id")
    assert text.tagged
    assert not source.broken


def test_only_the_template_that_has_the_tag_is_tagged() -> None:
    source = read("sql`a ${f(`b ${c}`)}`; sql(`d ${e}`);")
    assert {text.value[0]: text.tagged for text in source.texts} == {"a": True, "b": False, "d": False}


def test_types_directives_and_keys_are_no_texts() -> None:
    source = read("'use server';\ntype A = 'x';\nconst a: 'y' = b as 'z';\nconst c = { 'k': 1 };")
    assert source.texts == ()


# Grammars and robustness


def test_jsx_in_a_js_file_and_an_angle_cast_in_a_ts_file_are_both_read() -> None:
    jsx = read("const A = () => <p onClick={() => run(x)}>{f()}</p>;", "a.js")
    cast = read("const a = <Tenant>run(x);", "a.ts")
    for source in (jsx, cast):
        assert not source.broken
        assert call(source, "run").arguments[0].text == "x"


def test_a_file_with_a_broken_line_is_still_read() -> None:
    source = read("const = ;\nif (x {\n\n  runAsBypass(a, b);\n}\n")
    assert source.broken
    assert call(source, "runAsBypass").arguments[1].text == "b"


@pytest.mark.parametrize(
    "text",
    [
        "f(" * 20_000 + ")" * 20_000,
        "a" + ".b()" * 20_000,
        "x = " + "1 + " * 30_000 + "1",
        "x = " + "'a' + " * 20_000 + "'b'",
        "[" * 20_000,
        "`${" * 5_000 + "}`" * 5_000,
        "if (a) {" * 5_000 + "}" * 5_000,
        "x = " + "a ? b : " * 10_000 + "c",
        "(() => " * 5_000 + "1" + ")" * 5_000,
        "switch (x) {" + "case 1: f();" * 5_000 + "}",
    ],
    ids=[
        "calls",
        "chain",
        "sum",
        "concatenation",
        "arrays",
        "templates",
        "blocks",
        "ternaries",
        "arrows",
        "cases",
    ],
)
def test_depth_and_length_cost_no_stack_and_no_square(text: str) -> None:
    started = time.process_time()
    read(text)
    assert time.process_time() - started < 20


_PIECES = (
    *("import { a } from './b';", "export default ", "class A extends B {", "async m(@D() p: T) {", "}", ")"),
    *(
        "await f(x)",
        "sql`SELECT ${y}`",
        "`",
        "${",
        "'",
        '"',
        "({ a: { b } }) =>",
        "function* g() {",
        "?.",
        "<T>",
    ),
    *(
        "switch (x) { case 1:",
        "for await (const [q] of w)",
        "using r = s();",
        "try {",
        "} catch {",
        "=",
        ";",
        "\n",
    ),
    *(
        "module.exports = ",
        "new P",
        "@",
        "#p",
        "\\u{110000}",
        "\0",
        "\ud7ff",
        "<p>{",
        "</p>",
        "as const",
        "...",
    ),
)


@settings(max_examples=150, deadline=5_000)
@given(st.lists(st.sampled_from(_PIECES), max_size=40), st.sampled_from(["a.ts", "a.tsx", "a.cjs"]))
def test_no_arrangement_of_real_pieces_raises(pieces: list[str], path: str) -> None:
    source = read_typescript(" ".join(pieces).encode(), path)
    assert source.functions[""].place.line == 1


@settings(max_examples=100, deadline=5_000)
@given(st.binary(max_size=300))
def test_no_bytes_raise(content: bytes) -> None:
    assert read_typescript(content, "a.ts").language == "typescript"


# What is read at all


def test_a_bundlers_output_is_told_by_its_lines() -> None:
    assert is_bundled(b"a();\n" + b"x" * 40_000 + b"\nb();")
    assert not is_bundled(b"a();\n" * 20_000)


@pytest.mark.parametrize(
    ("text", "opens"),
    [
        ("import { Pool } from 'pg'; new Pool();", True),
        ("import pg from 'pg'; new pg.Client();", True),
        ("import postgres from 'postgres'; postgres(url);", True),
        ("import { drizzle } from 'drizzle-orm/node-postgres'; drizzle(url);", True),
        ("import { PrismaClient } from '@acme/database'; new PrismaClient();", True),
        ("import { Kysely } from 'kysely'; new Kysely({});", True),
        ("import { Sequelize } from 'sequelize'; new Sequelize(url);", True),
        ("const { Sequelize } = require('sequelize'); new Sequelize(url);", True),
        ("import knex from 'knex'; knex({});", True),
        ("import { DataSource } from 'typeorm'; new DataSource({});", True),
        ("import { Client } from 'ssh2'; new Client();", False),
        ("import { Pool } from './threads'; new Pool();", False),
        ("import { Client } from 'pg-listen-fake'; new Client();", False),
    ],
)
def test_connections_are_told_by_the_package_they_come_from(text: str, opens: bool) -> None:
    assert opens_connection(read(text).calls[0]) is opens


@pytest.mark.parametrize(
    ("written", "whole"),
    [
        ("tx", ("tx",)),
        ("{ tx, n: f(x) }", ("tx",)),
        ("[tx, ...more]", ("tx", "more")),
        ("await (tx as any)", ("tx",)),
        ("ok ? tx : other.db", ("tx", "other.db")),
        ("cached ?? tx", ("cached", "tx")),
        ("tx.query(q)", ()),
        ("!tx", ()),
        ("tx + 1", ()),
        ("`${tx}`", ()),
        ("{ n: tx.a(tx) }", ()),
    ],
)
def test_a_value_that_goes_out_whole_is_told_from_one_that_is_only_read(
    written: str, whole: tuple[str, ...]
) -> None:
    steps = read(f"async function f() {{ this.kept = {written}; return {written}; }}").functions["f"].body
    assert [step.values for step in steps if isinstance(step, Bind | Leave)] == [whole, whole]


def test_what_a_function_assigns_but_does_not_declare_reaches_out_of_it() -> None:
    source = read(
        "let kept, n;\nfunction f(a, { b }) { let c; const [d] = x; kept = a; a = b = c = d = 1;\n  n ??= 2;"
        "  for (const e of y) { e = 1; } try { } catch (g) { g = 1; } this.z = 1; q[0] = 1;\n"
        "  function h() { c = 2; } h = 3; }"
    )
    assert source.functions["f"].outer == ("kept", "n")
    assert source.functions["f.h"].outer == ("c",)


def test_a_callback_tells_which_names_around_it_it_reads() -> None:
    source = read(
        "function f(tx) { setTimeout((n) => { const own = tx.user; own.go(n, () => x.y(tx)); }, 5); }"
    )
    assert call(source, "setTimeout").arguments[0].names == ("tx.user", "tx", "x.y", "x")
