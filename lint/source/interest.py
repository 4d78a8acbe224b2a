"""Which files of a project matter to the bypass discipline, so that the others need not be parsed.

The files that name a bypass, a verification, a tenant scope or a handler's base are read first; then
those that name a function of theirs that leads to one, and so on. A file that names none of these
cannot lie on a path from a request to a bypass that names can show.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

from lint.source.bypass_uses import bypass_uses
from lint.source.read import read_source

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from lint.config import LintConfig
    from lint.files import SourceFile
    from lint.source.sites import Call, Source

#: How many calls away from a bypass callers are looked for: far where requests are handled, because a
#: verification may stand anywhere on the way; else near, for the tenants and blocks that they pass.
_ROUNDS_TO_HANDLERS = 6
_ROUNDS = 2
#: Shorter names, and those of half of all methods, would draw in every file.
_SHORTEST = 4
#: A word that so many files contain connects nothing; it grows with the size of the project.
_COMMON_FROM = 25
_WORD = re.compile(rb"[A-Za-z_]\w{3,}")
_COMMON = frozenset(
    {"main", "read", "call", "send", "list", "save", "load", "find", "init", "open", "close", "start", "stop"}
    | {"create", "update", "delete", "execute", "handle", "process", "commit", "connect", "write", "begin"}
    | {
        "__init__",
        "__call__",
        "__enter__",
        "__exit__",
        "__aenter__",
        "__aexit__",
        "apply",
        "fetch",
        "wrapper",
    }
)


def interesting(files: Iterable[SourceFile], config: LintConfig, read: dict[str, Source]) -> list[Source]:
    """Read the files that matter, adding them to `read`; none when nothing bypasses."""
    everything = list(files)
    if not _bypasses(everything, config):
        return []
    seeds = _any_of(_seeds(config))
    chosen = _read_all([file for file in everything if seeds.search(file.content)], config, read)
    words = {file.path: frozenset(_WORD.findall(file.content)) for file in everything}
    common = _common_words(words.values())
    wanted = frozenset(_names(config))
    for _ in range(_ROUNDS_TO_HANDLERS if _handles(everything, config) else _ROUNDS):
        leading = {name for source in chosen.values() for name in _leading(source, wanted, config)}
        new = {name for name in leading - wanted if name.encode() not in common}
        if not new:
            break
        wanted |= new
        spelled = {name.encode() for name in new}
        found = [f for f in everything if f.path not in chosen and not spelled.isdisjoint(words[f.path])]
        chosen |= _read_all(found, config, read)
    return list(chosen.values())


def _read_all(files: Iterable[SourceFile], config: LintConfig, read: dict[str, Source]) -> dict[str, Source]:
    for file in files:
        if file.path not in read:
            read[file.path] = read_source(file, config)
    return {file.path: read[file.path] for file in files}


def _common_words(words: Collection[frozenset[bytes]]) -> frozenset[bytes]:
    """Return the words of so many files that naming one shows no connection."""
    counts = Counter(word for file in words for word in file)
    most = max(_COMMON_FROM, len(words) // 20)
    return frozenset(word for word, count in counts.items() if count > most)


def _bypasses(files: Sequence[SourceFile], config: LintConfig) -> bool:
    markers = [marker.partition("(")[2].rstrip(")") for marker in config.bypass_markers]
    words = [
        *config.bypass_names,
        *(part for glob in config.bypass_contexts for part in _plain(glob)),
        *markers,
    ]
    pattern = _any_of(words)
    return any(pattern.search(file.content) for file in files)


def _handles(files: Sequence[SourceFile], config: LintConfig) -> bool:
    """Say whether the project may have request handlers that the rules can know."""
    bases = [part for glob in config.handler_bases for part in _plain(glob)]
    pattern = _any_of(bases)
    return bool(config.handlers) or any(pattern.search(file.content) for file in files)


def _seeds(config: LintConfig) -> list[str]:
    globs = [*config.bypass_contexts, *config.handler_bases]
    markers = [marker.partition("(")[2].rstrip(")") for marker in config.bypass_markers]
    return [*_names(config), *markers, *(part for glob in globs for part in _plain(glob))]


def _names(config: LintConfig) -> list[str]:
    verifiers = [name.rpartition(".")[2] for name in config.verifiers if "." not in name]
    return [*config.bypass_names, *config.tenant_scopes, *verifiers]


def _plain(glob: str) -> Iterator[str]:
    yield from (part for part in glob.split("*") if part)


def _any_of(words: Iterable[str]) -> re.Pattern[bytes]:
    return re.compile("|".join(re.escape(word) for word in sorted(words)).encode() or rb"(?!)")


def _leading(source: Source, wanted: frozenset[str], config: LintConfig) -> Iterator[str]:
    """Yield the names of a file's functions that bypass, or call or hand on something wanted."""
    bypasses = {id(use.call) for use in bypass_uses(source, config)}
    for call in source.calls:
        if id(call) not in bypasses and call.name not in wanted and not _hands_on(call, wanted):
            continue
        own = call.function.partition(".<anonymous")[0].rpartition(".")[2]
        if len(own) >= _SHORTEST and own not in _COMMON:
            yield own


def _hands_on(call: Call, wanted: frozenset[str]) -> bool:
    return any(a.kind in {"name", "other"} and a.text.rpartition(".")[2] in wanted for a in call.arguments)
