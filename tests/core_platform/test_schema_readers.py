"""Who reads and who writes each table, taken from the source: no reader unlisted, no table decorative."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import yaml

from core_platform.schema import Base, TenantOwned

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "core_platform"
TRAFFIC = ROOT / "posture/traffic.py"  # registers people and agents until there is an interface for it
READING = {"select", "join", "outerjoin"}
Readers = dict[tuple[str, str], set[str]]


def tenant_models() -> dict[str, str]:
    return {
        mapper.class_.__name__: str(mapper.local_table)
        for mapper in Base.registry.mappers
        if issubclass(mapper.class_, TenantOwned) and str(mapper.local_table) in Base.metadata.tables
    }


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.AST]]:
    """Top-level functions and methods, by qualified name."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                    yield f"{node.name}.{inner.name}", inner


def called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def named(node: ast.AST, models: dict[str, str]) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)} & set(models)


def uses() -> tuple[Readers, set[str]]:
    """Readers as (path, function) to tables; and the tables that some function writes."""
    models, readers, written = tenant_models(), defaultdict(set), set()
    for path in [*sorted(SOURCE.rglob("*.py")), TRAFFIC]:
        if SOURCE / "schema" in path.parents and path.name != "migrate.py":
            continue
        source = path.read_text()
        written |= {table for table in models.values() if f"INSERT INTO {table} " in source}
        for name, function in functions(ast.parse(source)):
            read = {n for call in calls(function) if called(call) in READING for n in named(call, models)}
            if read:
                readers[(str(path.relative_to(ROOT)), name)] = {models[model] for model in read}
            # A model that a function names and does not select from is one it fills.
            written |= {models[model] for model in named(function, models) - read}
    return dict(readers), written


def calls(function: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(function) if isinstance(node, ast.Call))


def test_every_reader_of_a_tenant_table_is_listed_with_its_tables():
    listed = yaml.safe_load((SOURCE / "tenancy/readers.yaml").read_text())["readers"]
    assert {(r["path"], r["function"]): set(r["tables"]) for r in listed} == uses()[0]
    assert len({r["id"] for r in listed}) == len(listed)
    assert {r["session"] for r in listed} <= {"tenant", "bypass"}


def test_every_tenant_table_has_a_reader_and_a_writer():
    readers, written = uses()
    read = {table for tables in readers.values() for table in tables}
    missing = defaultdict(set)
    for table in tenant_models().values():
        if table not in read:
            missing[table].add("reader")
        if table not in written:
            missing[table].add("writer")
    assert dict(missing) == {}
