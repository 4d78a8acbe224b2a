"""Python read into steps: what runs, in which order, and what may not run."""

from __future__ import annotations

from textwrap import dedent

import pytest

from lint.source.python import read_python
from lint.source.sites import (
    HOLE,
    Attempt,
    Bind,
    Block,
    Call,
    Choice,
    Do,
    Function,
    Leave,
    Repeat,
    Source,
    Step,
    Within,
)


def read(text: str, path: str = "app/m.py") -> Source:
    return read_python(dedent(text).encode(), path)


def body(text: str) -> Block:
    """The steps of a function `f` whose body is given."""
    lines = "\n".join(f"    {line}" for line in dedent(text).strip().splitlines())
    return read(f"async def f(a, b):\n{lines}\n").functions["f"].body


def shape(step: Step) -> object:
    """A step as a short text or tuple, for reading in a test."""
    if isinstance(step, Do):
        return step.call.written
    if isinstance(step, Choice):
        return "either", *(shapes(branch) for branch in step.branches)
    if isinstance(step, Repeat):
        return "loop", shapes(step.body)
    if isinstance(step, Attempt):
        return "try", shapes(step.body), [shapes(handler) for handler in step.handlers], shapes(step.always)
    if isinstance(step, Within):
        return "with", step.call.written if step.call else step.written, step.name, shapes(step.body)
    if isinstance(step, Bind):
        return f"{'='.join(step.targets)}="
    return step.kind


def shapes(block: Block) -> list[object]:
    return [shape(step) for step in block]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("outer(inner(a), second())", ["inner", "second", "outer"]),
        ("a.first().second(third())", ["a.first", "third", "().second"]),
        ("x = call()", ["call", "x="]),
        ("if check(): yes()\nelse: no()", ["check", ("either", ["yes"], ["no"])]),
        (
            "if one(): a1()\nelif two(): a2()",
            ["one", ("either", ["a1"], ["two", ("either", ["a2"], [])])],
        ),
        ("left() and right()", ["left", ("either", ["right"], [])]),
        ("return yes() if cond() else no()", ["cond", ("either", ["yes"], ["no"]), "return"]),
        (
            "for x in listing():\n    use(x)\nelse:\n    rest()",
            ["listing", ("loop", ["use"]), ("either", ["rest"], [])],
        ),
        ("[use(x) for x in listing() if ok(x)]", ["listing", ("loop", ["ok", ("either", ["use"], [])])]),
        ("while True:\n    step()\n    break", [("loop", ["step", "break"])]),
        (
            "try: risky()\nexcept E: caught()\nelse: fine()\nfinally: always()",
            [("try", ["risky", "fine"], [["caught"]], ["always"])],
        ),
        (
            "async with opening(arg()) as s, lock: use(s)",
            ["arg", ("with", "opening", "s", [("with", "lock", "", ["use"])])],
        ),
        ("match a:\n    case 1 if ok(): one()\n    case _: other()", [("either", ["ok", "one"], ["other"])]),
        ("match a:\n    case 1: one()", [("either", ["one"], [])]),
        ("if (n := call()): use(n)", ["call", "n=", ("either", ["use"], [])]),
        ("x: int = await call()", ["call", "x="]),
        ("raise Wrong(a)", ["Wrong", "raise"]),
        ("yield a", ["yield"]),
        ("cache[key()] = value()", ["value", "cache[]=", "key"]),
    ],
)
def test_steps_stand_in_the_order_they_run(text: str, expected: list[object]) -> None:
    assert shapes(body(text)) == expected


def test_a_nested_function_is_a_function_of_its_own_and_no_part_of_the_outer_one() -> None:
    source = read("""
        def outer():
            @decorate(1)
            def inner(x=default()):
                work()
            return lambda y: also(y)
    """)
    assert shapes(source.functions["outer"].body) == ["decorate", "default", "return"]
    assert shapes(source.functions["outer.inner"].body) == ["work"]
    assert source.functions["outer.inner"].decorators == ("decorate",)
    assert shapes(source.functions["outer.<anonymous:6>"].body) == ["also", "return"]


def test_a_method_knows_its_class_its_types_and_what_it_binds_outside() -> None:
    source = read("""
        from grpc_out import AgentServicer as Base
        class Agent(Base):
            verifier: Verifier
            async def Report(self, request: pb.Hello, *rest: str, n=1) -> Reply:
                global last
                last = request
    """)
    assert source.functions["Agent.Report"] == Function(
        "Agent.Report",
        source.functions["Agent.Report"].place,
        ("self", "request", "rest", "n"),
        (),
        ("grpc_out.AgentServicer",),
        source.functions["Agent.Report"].body,
        asynchronous=True,
        exported=True,
        types={"request": "pb.Hello", "rest": "str"},
        defaults={"n": "1"},
        returns="Reply",
        outer=("last",),
    )
    assert source.classes["Agent"].attributes == {"verifier": "Verifier"}


def calls(text: str) -> dict[str, Call]:
    return {call.name: call for call in read(text).calls}


def test_a_call_tells_what_its_result_is_bound_to_awaited_and_called_on() -> None:
    found = calls(
        "async def f():\n    a.rows = await db.select(x).all(limit.size, g(y), key=None)\n    drop()\n"
    )
    assert found["all"].receiver == found["select"]
    assert (found["all"].awaited, found["all"].bound_to) == (True, ("a.rows",))
    assert [(one.kind, one.names, one.keyword) for one in found["all"].arguments] == [
        ("other", ("limit.size",), None),
        ("other", ("y",), None),
        ("literal", (), "key"),
    ]
    assert (found["drop"].dropped, found["all"].dropped, found["select"].dropped) == (True, False, False)


def test_an_anonymous_function_handed_on_is_named_in_the_argument() -> None:
    source = read("def f():\n    run(lambda s: s.go())\n")
    (argument,) = next(call for call in source.calls if call.name == "run").arguments
    assert (argument.kind, argument.function) == ("function", "f.<anonymous:2>")
    assert "f.<anonymous:2>" in source.functions


@pytest.mark.parametrize(
    ("text", "value", "holes"),
    [
        ('f"SET x = {tenant.id!r}"', f"SET x = {HOLE}", ("tenant.id",)),
        ('"SET x = %s, %(b)s" % (t, u)', f"SET x = {HOLE}, {HOLE}", ("t", "b")),
        ('"SET x = \'" + str(t) + "\'"', f"SET x = '{HOLE}'", ("t",)),
        ('"SET {}".format(t)', f"SET {HOLE}", ("t",)),
        ('"SET {a}".format(a=t)', f"SET {HOLE}", ("t",)),
        ('"a" "b" f"{c}"', f"ab{HOLE}", ("c",)),
        ('f"{{x}} {y}"', f"{{x}} {HOLE}", ("y",)),
    ],
)
def test_what_a_string_interpolates_is_told_in_order(text: str, value: str, holes: tuple[str, ...]) -> None:
    source = read(f"execute({text})\n")
    assert [(one.value, one.holes, one.calls[0]) for one in source.texts] == [(value, holes, "execute")]


def test_documentation_is_no_text() -> None:
    assert read('"""SET ROLE x"""\ndef f():\n    "SET ROLE y"\n').texts == ()


def test_what_is_returned_whole_is_told_apart_from_what_is_only_read() -> None:
    returned = [step for step in body("return a, b.x, c.read(d)") if isinstance(step, Leave)]
    assert [(step.names, step.values) for step in returned] == [(("a", "b.x", "c", "d"), ("a", "b.x"))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("from . import a", {"a": "app.a"}),
        ("from .b import c as d", {"d": "app.b.c"}),
        ("from ..x import y", {"y": "x.y"}),
        ("import a.b", {"a": "a"}),
        ("import a.b as c", {"c": "a.b"}),
    ],
)
def test_an_import_is_told_from_the_root(text: str, expected: dict[str, str]) -> None:
    assert read(text + "\n").imports == expected


def test_a_function_defined_twice_does_either_and_an_overload_gives_way() -> None:
    twice = read("""
        class C:
            @property
            def x(self): return get()
            @x.setter
            def x(self, value): put()
            @overload
            def y(self): ...
            def y(self): real()
    """)
    assert shapes(twice.functions["C.x"].body) == [("either", ["get", "return"], ["put"])]
    assert shapes(twice.functions["C.y"].body) == ["real"]


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 3000 + "f()" + ")" * 3000,
        "x = " + " + ".join(["f()"] * 3000),
        "f()" + ".g()" * 3000,
        "if a: pass\n" + "elif b(): c()\n" * 3000,
        "(" * 2000 + "x" + ",)" * 2000 + " = y",
        "def f(:\n  with (a as : \n    return [x\n",
    ],
)
def test_no_depth_and_no_broken_line_stops_the_reading(text: str) -> None:
    source = read(text + "\nrun_as_bypass(a)\n")
    assert "run_as_bypass" in {call.name for call in source.calls}
