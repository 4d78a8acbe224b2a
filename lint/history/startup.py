"""What a program does to protection when it starts: DDL that its own functions run, after the migrations.

`conn.execute(text("CREATE POLICY …"))` in an application's database module is a last step of the history,
if the role that it connects as may take it. Functions are followed as migrations are; kept is what decides
who sees which rows, over tables that the migrations made.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from lint.files import PYTHON, SCRIPTS, text_of
from lint.history import facts
from lint.history.evaluate import BudgetExceededError, Call, Evaluator
from lint.history.imports import Project
from lint.history.javascript import TooDeepError
from lint.history.newest_python import parsed
from lint.history.program import Program
from lint.history.sequelize import ScriptModules, exported_functions, followed
from lint.history.values import UNKNOWN, Class, Function, Module, Unknown, Value
from lint.limits import TooSlowError, file_deadline

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lint.files import SourceFile
    from lint.history.facts import Fact
    from lint.history.replay import Replay
    from lint.history.sql import Statement
    from lint.history.statements import Operations

#: What a program must say to be looked at: statements over protection are seldom written otherwise.
_PROTECTS = re.compile(
    rb"\b(?:create|alter|drop)\s+policy\b|\b(?:enable|disable|force)\s+row\s+level\b|\bsecurity\s+definer\b",
    re.IGNORECASE,
)
#: Folders of programs that people run by hand, once or never.
_BY_HAND = re.compile(
    r"(?:^|/)(?:scripts?|tools?|bin|bench\w*|examples?|docs?|seeds?|fixtures?|testing|test_\w+|migrat\w*|versions)/",
    re.IGNORECASE,
)
#: What functions are called that make a database ready; any other may be a test's, or an experiment's.
_STARTS = re.compile(
    r"set_?up|init|ensure|bootstrap|start_?up|on_?start|lifespan|prepare|install|migrate|provision"
    r"|(?:apply|enable|create|sync|configure)_?\w*(?:rls|polic|schema|security|tables|all)",
    re.IGNORECASE,
)
_EXECUTES = frozenset({"execute", "exec_driver_sql", "scalar", "scalars", "fetch", "fetchval"})
_KEPT = (
    facts.CreatePolicy,
    facts.AlterPolicy,
    facts.DropPolicy,
    facts.RowSecurityChange,
    facts.CreateView,
    facts.AlterView,
    facts.CreateFunction,
    facts.AlterFunction,
    facts.GrantPrivileges,
)


def may_run_at_start(file: SourceFile) -> bool:
    """Say whether a program changes what protects tables, and is no migration and no tool."""
    code = file.location.suffix in PYTHON | SCRIPTS
    return code and _BY_HAND.search(file.path) is None and _PROTECTS.search(file.content) is not None


def replay_start(files: Iterable[SourceFile], replay: Replay, operations: Operations, root: Path) -> None:
    """Replay what programs run when they start, on top of what migrations made."""
    project, modules = Project(root), ScriptModules(root)
    for file in files:
        replay.begin_file(file.path)
        program = _AtStart(file.path, replay, operations)
        try:
            with file_deadline():
                if file.location.suffix in PYTHON:
                    _follow(file, program, project)
                else:
                    followed(file, program, modules, _functions)
        except (BudgetExceededError, RecursionError, TooSlowError, TooDeepError):
            continue


class _AtStart(Program):
    """A program of which only statements over protection count, and only over tables that are known."""

    def _facts(self, statement: Statement) -> list[Fact]:
        return [
            fact for fact in super()._facts(statement) if isinstance(fact, _KEPT) and self._is_known(fact)
        ]

    def _is_known(self, fact: Fact) -> bool:
        if isinstance(fact, (facts.CreatePolicy, facts.AlterPolicy, facts.DropPolicy)):
            return self.replay.key(fact.table) in self.replay.tables
        return (
            not isinstance(fact, facts.RowSecurityChange) or self.replay.key(fact.name) in self.replay.tables
        )


def _follow(file: SourceFile, program: Program, project: Project) -> None:
    """Follow each function of a Python module that executes anything."""
    try:
        tree: ast.Module = parsed(text_of(file)[0])
    except (SyntaxError, ValueError, MemoryError):
        return
    module = project.module(file.location, tree)

    def effect(call: Call) -> Value:
        text = next((one for one in call.arguments[:2] if isinstance(one, str)), None)
        if call.name not in _EXECUTES or text is None:
            return UNKNOWN
        program.sql(text, call.node)
        return Unknown(call.path).called()

    evaluator = Evaluator(module, effect)
    for function in _functions(module):
        if function.module is module and _executes(function):
            evaluator.outcome(function, [])


def _functions(module: Module) -> Iterator[Function]:
    """Yield the functions of a module, those of its classes among them, that are called as a start is."""
    for value in exported_functions(module):
        if isinstance(value, Class):
            named = _STARTS.search(value.name) is not None
            methods = (one for one in value.names.values() if isinstance(one, Function))
            yield from (one for one in methods if named or _starts(one))
        elif isinstance(value, Function) and _starts(value):
            yield value


def _starts(function: Function) -> bool:
    node = function.node
    return not isinstance(node, ast.Lambda) and _STARTS.search(node.name) is not None


def _executes(function: Function) -> bool:
    called = (node.func for node in ast.walk(function.node) if isinstance(node, ast.Call))
    return any(isinstance(one, ast.Attribute) and one.attr in _EXECUTES for one in called)
