"""Where row security is bypassed, in each of the forms that projects write it.

A callback (`run_as_bypass(tenant, reason, work)`), a block (`with bypass_rls() as session:`), a
dependency (`Depends(bypass_session)`), or an argument that turns it off (`using(admin_database)`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate
from functools import cache
from typing import TYPE_CHECKING, Literal

from lint.source.holders import steps_of
from lint.source.sites import Within

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lint.config import LintConfig
    from lint.source.sites import Argument, Block, Call, Source

Form = Literal["callback", "block", "dependency", "argument"]
_DEPENDS = frozenset({"Depends", "Security", "Provide"})


@dataclass(frozen=True, slots=True)
class Use:
    """One use of the bypass: the call, its form, and the block it holds in, if it is one."""

    source: Source
    call: Call
    name: str
    form: Form
    #: What the session is called inside a block, "" when it has no name.
    handle: str = ""
    body: Block = ()


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Say whether a name matches one of some globs, case mattering."""
    return bool(patterns) and _globs(tuple(patterns)).match(name) is not None


@cache
def _globs(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern) for pattern in patterns))


def bypass_uses(source: Source, config: LintConfig) -> Iterator[Use]:
    """Yield the uses of the bypass in a file, each call once."""
    names = frozenset(config.bypass_names)
    blocks = dict(_blocks(source, config))
    for call in source.calls:
        block = blocks.get(id(call))
        if call.name in names:
            yield Use(source, call, call.name, "callback")
        elif block is not None:
            yield Use(source, call, call.name, "block", block.name, block.body)
        elif is_marked(call, config):
            yield Use(source, call, call.written.rpartition(".")[2], "argument")
    yield from _dependencies(source, config)


def _blocks(source: Source, config: LintConfig) -> Iterator[tuple[int, Within]]:
    """Yield the blocks that a bypass opens; one inside the bypass's own definition opens nothing new."""
    if not any(is_context(call, config) for call in source.calls):
        return
    for function in source.functions.values():
        if _defines(function.name, config):
            continue
        for step in steps_of(function.body):
            if isinstance(step, Within) and step.call is not None and is_context(step.call, config):
                yield id(step.call), step


def is_context(call: Call, config: LintConfig) -> bool:
    """Say whether a call opens a session around row security."""
    return matches(call.name, config.bypass_contexts)


def _defines(function: str, config: LintConfig) -> bool:
    return any(matches(part, config.bypass_contexts) for part in function.split("."))


def is_marked(call: Call, config: LintConfig) -> bool:
    """Say whether an argument makes a call a bypass, as configured: `using(MainRouter.admin_db)`."""
    for marker in config.bypass_markers:
        name, _, argument = marker.rstrip(")").partition("(")
        if call.name == name.rpartition(".")[2] and any(
            given.text == argument or given.text.endswith(f".{argument}") for given in call.arguments
        ):
            return True
    return False


def _dependencies(source: Source, config: LintConfig) -> Iterator[Use]:
    for call in source.calls:
        if call.name not in _DEPENDS:
            continue
        for argument in call.arguments:
            name = argument.text.rpartition(".")[2]
            if argument.kind in {"name", "other"} and matches(name, config.bypass_contexts):
                yield Use(source, call, name, "dependency")


def tenant_argument(call: Call) -> Argument | None:
    """Return the argument that names the tenant: by keyword, else the first that is no function."""
    for argument in call.arguments:
        if argument.keyword is not None and _names_tenant(argument.keyword):
            return argument
    positional = [argument for argument in call.arguments if argument.keyword is None]
    if not positional or positional[0].kind == "function":
        return None
    return positional[0]


def _names_tenant(keyword: str) -> bool:
    words = keyword.lower().replace("_", "")
    return words in {
        "scope",
        "tenant",
        "tenantid",
        "org",
        "orgid",
        "organizationid",
        "workspaceid",
        "tenants",
    }
