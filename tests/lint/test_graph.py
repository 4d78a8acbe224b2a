"""Who calls whom: what is followed across files, and what is listed as not followed."""

from __future__ import annotations

from textwrap import dedent

import pytest

from lint.source.graph import Graph
from lint.source.python import read_python


def graph(files: dict[str, str]) -> Graph:
    return Graph([read_python(dedent(text).encode(), path) for path, text in files.items()])


def callees(of: Graph, path: str, name: str) -> set[str]:
    return {edge.callee[1] for edge in of.callees_of((path, name))}


WORK = {"app/db.py": "def work(x): ...\nclass Store:\n    def save(self): ...\n"}


@pytest.mark.parametrize(
    "caller",
    [
        "from app.db import work\ndef f(): work(1)",
        "from app.db import work as w\ndef f(): w(1)",
        "from .db import work\ndef f(): work(1)",
        "import app.db as d\ndef f(): d.work(1)",
        "import app.db\ndef f(): app.db.work(1)",
        "from app import db\ndef f(): db.work(1)",
        "from app.db import *\ndef f(): work(1)",
        "from app.db import work\ndef f():\n    job = partial(work, 1)\n    job()",
        "from app.db import work\ndef f(): run_as_bypass(t, reason, work)",
        "from app.db import work\ndef f(): Thread(target=work)",
        "def f():\n    from app.db import work\n    work(1)",
    ],
)
def test_a_function_of_another_module_is_found(caller: str) -> None:
    assert callees(graph({**WORK, "app/a.py": caller}), "app/a.py", "f") == {"work"}


def test_a_name_handed_on_by_a_package_is_found_where_it_is_defined() -> None:
    files = {
        **WORK,
        "app/__init__.py": "from app.db import work\n",
        "b.py": "from app import work\ndef f(): work(1)\n",
    }
    assert callees(graph(files), "b.py", "f") == {"work"}


def test_an_import_below_a_source_folder_is_found() -> None:
    files = {
        "src/app/db.py": WORK["app/db.py"],
        "src/jobs/j.py": "from app.db import work\ndef f(): work(1)\n",
    }
    assert callees(graph(files), "src/jobs/j.py", "f") == {"work"}


def test_a_file_of_the_standard_librarys_name_elsewhere_is_not_what_is_imported() -> None:
    files = {"tools/json.py": "def dumps(x): ...\n", "app/a.py": "import json\ndef f(): json.dumps(1)\n"}
    assert callees(graph(files), "app/a.py", "f") == set()


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n    s = Store()\n    s.save()",
        "def f(s: Store): s.save()",
        "def f(s: 'Store | None'): s.save()",
        "def f():\n    with Store() as s:\n        s.save()",
        "def f(): Store().save()",
        "def make() -> Store: ...\ndef f(): make().save()",
        "store = Store()\ndef f(): store.save()",
        "class Sub(Store): ...\ndef f(s: Sub): s.save()",
    ],
)
def test_a_method_is_found_by_the_class_of_its_object(text: str) -> None:
    files = {**WORK, "app/a.py": f"from app.db import Store\n{text}\n"}
    assert "Store.save" in callees(graph(files), "app/a.py", "f")


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n    s: Store\n    def f(self): self.s.save()",
        "class A:\n    def __init__(self, s: Store): self.s = s\n    def f(self): self.s.save()",
        "class A:\n    def __init__(self): self.s = Store()\n    def f(self): self.s.save()",
        "class A(Store):\n    def f(self): self.save()",
        "class A(Store):\n    def f(self): super().save()",
        "class A:\n    def f(self): self.go()\n    def go(self): Store().save()",
    ],
)
def test_a_method_is_found_through_self(text: str) -> None:
    of = graph({**WORK, "app/a.py": f"from app.db import Store\n{text}\n"})
    assert ("app/db.py", "Store.save") in of.reachable_from([("app/a.py", "A.f")])


def test_a_class_called_runs_its_constructor() -> None:
    of = graph({"a.py": "class A:\n    def __init__(self): go()\ndef go(): ...\ndef f(): A()\n"})
    assert ("a.py", "go") in of.reachable_from([("a.py", "f")])


def test_a_decorated_function_runs_the_wrapper_of_its_decorator() -> None:
    text = """
        def guarded(fn):
            def wrapper(*a):
                check()
                return fn(*a)
            return wrapper
        def check(): ...
        @guarded
        def f(): ...
    """
    of = graph({"a.py": text})
    assert ("a.py", "check") in of.reachable_from([("a.py", "f")])


def test_callers_are_told_with_the_call_and_how_it_is_known() -> None:
    of = graph({"a.py": "def f():\n    g(h)\ndef g(x): ...\ndef h(): ...\n"})
    (edge,) = of.callers_of(("a.py", "h"))
    assert (edge.caller, edge.how, edge.place.line) == (("a.py", "f"), "callback", 2)
    assert [edge.how for edge in of.callers_of(("a.py", "g"))] == ["call"]


TWO_STORES = "class A:\n    def save(self): ...\nclass B:\n    def save(self): ...\n"


def test_what_cannot_be_followed_is_listed_with_the_reason() -> None:
    text = TWO_STORES + "def f(x, fn):\n    x.save()\n    fn()\n    len(x)\n    x.other()\n"
    assert [(one.written, one.reason) for one in graph({"a.py": text}).unresolved] == [
        ("x.save", "a method of an object whose class is not known"),
        ("fn", "a function that is a parameter"),
    ]


def test_an_object_of_a_library_runs_nothing_of_the_program() -> None:
    caller = "def f(c: Client):\n    c.save()\n    d = Client()\n    d.save()\n"
    text = f"from lib import Client\n{TWO_STORES}{caller}"
    of = graph({"a.py": text})
    assert (callees(of, "a.py", "f"), of.unresolved) == (set(), ())


def test_functions_that_call_each_other_end() -> None:
    of = graph({"a.py": "from b import g\ndef f(): g()\n", "b.py": "from a import f\ndef g(): f()\n"})
    both = {("a.py", "f"), ("b.py", "g")}
    assert of.reachable_from([("a.py", "f")]) == both
    assert of.reaching([("a.py", "f")]) == both


def test_modules_that_hand_each_other_a_name_on_end() -> None:
    of = graph({"a.py": "from b import x\ndef f(): x()\n", "b.py": "from a import x\n"})
    assert of.callees_of(("a.py", "f")) == ()
