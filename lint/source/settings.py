"""Every change of a session setting in source code: which name, which value, by which call.

Names that constants hold are filled in (`set_config('{TENANT}', …)`), also across imports, so that a
setting is known by what it is called in the database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lint.source.access import MAKES_SQL, RUNS, covers, tag_of
from lint.source.program import constants_of
from lint.source.sites import HOLE
from lint.source.sql_texts import SettingChange, is_sql, named_setting, setting_changes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lint.catalogue import Place
    from lint.config import LintConfig
    from lint.source.sites import Call, Source, Text

_UNKNOWN_NAME = re.compile(
    rf"\bset_config\s*\(\s*(?:'?{HOLE}|%s|%\(|\$\d|:\w|\?)|\bset\s+(?:local\s+|session\s+)?{HOLE}",
    re.IGNORECASE,
)
#: set_config() whose name is the first parameter: what it is called stands in the list of values.
_NAME_APART = re.compile(r"\bset_config\s*\(\s*(?:\$1|%s|\?)\s*,[^,()]*,\s*(\w+)\s*\)", re.IGNORECASE)
_FIRST_OF_LIST = re.compile(r"\s*[\[(]\s*['\"]([\w.]+)['\"]")
_SECOND_EMPTY = re.compile(r"\s*[\[(]\s*['\"][\w.]+['\"]\s*,\s*['\"]{2}\s*[,\])]")
_ARGUMENTS = 3
_TENANT_WORDS = frozenset({"tenant", "org", "organization", "organisation", "workspace", "account", "team"})


@dataclass(frozen=True, slots=True)
class SettingSite:
    """One change of a setting, where it is written, and the string or call that makes it."""

    change: SettingChange
    place: Place
    function: str
    source: Source
    text: Text | None = None
    call: Call | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The setting changes of a program, and where a name could not be read."""

    sites: tuple[SettingSite, ...] = ()
    unnamed: tuple[tuple[Source, Text], ...] = ()

    def of(self, source: Source) -> tuple[SettingSite, ...]:
        """Return those of one file."""
        return tuple(site for site in self.sites if site.source is source)


def settings_of(sources: Sequence[Source]) -> Settings:
    """Return every change of a setting in the sources."""
    constants = {source.path: constants_of(source) for source in sources}
    everywhere = _unambiguous(constants.values())
    sites: list[SettingSite] = []
    unnamed: list[tuple[Source, Text]] = []
    for source in sources:
        known = {**_imported(source, everywhere), **constants[source.path]}
        for text in source.texts:
            whole = filled(text, known)
            if is_sql(whole):
                sites.extend(_of_text(whole, source))
            if _UNKNOWN_NAME.search(whole.value) and is_run(whole):
                given = list(_given_apart(whole, source))
                sites.extend(given)
                if not given:
                    unnamed.append((source, text))
        for call in source.calls:
            if call.name == "set_config" and len(call.arguments) == _ARGUMENTS:
                sites.extend(_of_call(call, source, known))
    return Settings(tuple(sites), tuple(unnamed))


def is_run(text: Text) -> bool:
    """Say whether a string is run as SQL, or kept under a name to be run."""
    return not text.calls or not (RUNS | MAKES_SQL).isdisjoint(text.calls)


def _unambiguous(many: Iterable[Mapping[str, str]]) -> dict[str, str]:
    found: dict[str, set[str]] = {}
    for constants in many:
        for name, value in constants.items():
            found.setdefault(name, set()).add(value)
    return {name: next(iter(values)) for name, values in found.items() if len(values) == 1}


def _imported(source: Source, everywhere: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for alias, target in source.imports.items():
        value = everywhere.get(target.rpartition(".")[2])
        if value is not None:
            found[alias] = value
    return found


def filled(text: Text, known: Mapping[str, str]) -> Text:
    """Return a text with its interpolated constants filled in; other holes stay."""
    if not text.holes or HOLE not in text.value:
        return text
    pieces = text.value.split(HOLE)
    names = (*text.holes, *[""] * len(pieces))
    whole, left = pieces[0], []
    for name, piece in zip(names, pieces[1:], strict=False):
        value = known.get(name, known.get(name.rpartition(".")[2], HOLE))
        if value == HOLE:
            left.append(name)
        whole += value + piece
    return replace(text, value=whole, holes=tuple(left))


def _of_text(text: Text, source: Source) -> Iterator[SettingSite]:
    call = _call_of(text, source)
    for change in setting_changes(text.value):
        yield SettingSite(change, text.place, text.function, source, text, call)


def _given_apart(text: Text, source: Source) -> Iterator[SettingSite]:
    """Yield the change of `query("SELECT set_config($1, $2, false)", ["app.tenant_id", id])`."""
    match = _NAME_APART.search(text.value)
    call = _call_of(text, source)
    values = call.arguments[1].text if call is not None and len(call.arguments) > 1 else ""
    name, value = _FIRST_OF_LIST.match(values), _SECOND_EMPTY.match(values)
    if match is None or name is None:
        return
    local = match[1].lower() not in {"false", "f"}
    for change in named_setting(name[1], "", local=local):
        cleared = replace(change, value="default") if value is not None else change
        yield SettingSite(cleared, text.place, text.function, source, text, call)


def _call_of(text: Text, source: Source) -> Call | None:
    """Return the innermost call around a string that is a method of something."""
    around = [
        call
        for call in source.calls
        if call.function == text.function and covers(call.place, text.place)
        if "." in call.written and call.name in text.calls
    ]
    found = max(around, key=lambda call: (call.place.line, call.place.column), default=None)
    return _run_of_tag(text, source) if found is None and text.tagged else found


def _run_of_tag(text: Text, source: Source) -> Call | None:
    """Return the call that runs a tagged template: sql`…`.execute(db), else the tag itself."""
    tag = tag_of(text, source)
    run = (
        call for call in source.calls if tag is not None and call.receiver is tag and call.name == "execute"
    )
    return next(run, tag)


def _of_call(call: Call, source: Source, known: Mapping[str, str]) -> Iterator[SettingSite]:
    """Yield the change of `func.set_config("name", value, False)`."""
    name, value, local = call.arguments
    setting = name.text if name.kind == "literal" else known.get(name.text.rpartition(".")[2])
    if setting is not None:
        text = value.text if value.kind == "literal" else ""
        for change in named_setting(setting, text, local=local.text not in {"False", "false"}):
            yield SettingSite(change, call.place, call.function, source, call=call)


def is_tenant_setting(name: str, config: LintConfig) -> bool:
    """Say whether a session setting carries the tenant: configured, or named so."""
    if name in config.tenant_gucs:
        return True
    words = name.rpartition(".")[2].split("_")
    return "bypass" not in words and not _TENANT_WORDS.isdisjoint(words)
