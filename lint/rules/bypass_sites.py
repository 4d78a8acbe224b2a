"""The registry of sites that may bypass row security.

A YAML list (or a mapping with the list under `sites` and a `ceiling`) whose entries give id, path,
function, kind, reason and owner, and should give the day they expire and their scope. A registry that
cannot be trusted stops the run, because BYP001 would be a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Literal

from lint.errors import LintConfigError

if TYPE_CHECKING:
    from pathlib import Path

    import yaml

    from lint.source.sites import Call

Scope = Literal["one-tenant", "all-tenants"]
_REQUIRED = ("id", "path", "function", "kind", "reason", "owner")
_SCOPES: tuple[Scope, ...] = ("one-tenant", "all-tenants")
#: What a registry calls the top level of a module, which has no name of its own.
MODULE = "<module>"


@dataclass(frozen=True, slots=True)
class BypassSite:
    """One allowed site: a function of a file, what kind of site it is, and who answers for it."""

    id: str
    path: str
    function: str
    kind: str
    reason: str
    owner: str
    #: The last day it is allowed, None when the registry does not say.
    expires: date | None = None
    scope: Scope | None = None
    #: The line of the registry that it stands on.
    line: int = 1

    def allows(self, call: Call) -> bool:
        """Say whether a call stands in this site's function, or in one nested in it."""
        if self.function == MODULE:
            return call.place.path == self.path and not call.function
        inside = call.function == self.function or call.function.startswith(f"{self.function}.")
        return call.place.path == self.path and inside


@dataclass(frozen=True, slots=True)
class Registry:
    """The allowed sites and how many there may be; `path` is where findings about it are told."""

    path: str
    sites: tuple[BypassSite, ...] = ()
    ceiling: int | None = None
    ceiling_line: int = 1


def read_registry(path: Path, kinds: tuple[str, ...]) -> tuple[BypassSite, ...]:
    """Read the registry's sites; raise LintConfigError naming the file, the site and the field."""
    return load_registry(path, kinds, str(path)).sites


def load_registry(path: Path, kinds: tuple[str, ...], told: str) -> Registry:
    """Read the registry, told in findings as `told`; raise LintConfigError as `read_registry` does."""
    import yaml

    try:
        text = path.read_text("utf-8")
        content: object = yaml.safe_load(text)
        lines = _Lines(yaml.compose(text, Loader=yaml.SafeLoader))
    except (OSError, UnicodeDecodeError) as error:
        raise LintConfigError(f"lint.registry: {path} cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise LintConfigError(f"lint.registry: {path} is not YAML ({error})") from error
    sites = content.get("sites") if isinstance(content, Mapping) else content
    if sites is None:
        sites = []
    if not isinstance(sites, list):
        raise LintConfigError(f"lint.registry: {path} must hold a list of sites")
    read = tuple(
        _site(site, f"{path}: site {index}", kinds, lines.of_site(index)) for index, site in enumerate(sites)
    )
    _refuse_twins(read, path)
    return Registry(told, read, _ceiling(content, path), lines.of_key("ceiling"))


class _Lines:
    """On which lines a registry's entries stand."""

    def __init__(self, root: yaml.Node | None) -> None:
        self._keys: dict[str, tuple[int, yaml.Node]] = {}
        import yaml

        for key, value in root.value if isinstance(root, yaml.MappingNode) else ():
            self._keys[str(key.value)] = (key.start_mark.line + 1, value)
        self._sites = self._keys["sites"][1] if "sites" in self._keys else root

    def of_key(self, key: str) -> int:
        return self._keys[key][0] if key in self._keys else 1

    def of_site(self, index: int) -> int:
        listed = self._sites.value if self._sites is not None else ()
        return int(listed[index].start_mark.line) + 1 if index < len(listed) else 1


def _ceiling(content: object, path: Path) -> int | None:
    ceiling = content.get("ceiling") if isinstance(content, Mapping) else None
    if ceiling is None:
        return None
    if not isinstance(ceiling, int) or isinstance(ceiling, bool) or ceiling < 0:
        raise LintConfigError(f"lint.registry: {path}: ceiling must be a count, got {ceiling!r}")
    return ceiling


def _site(site: object, where: str, kinds: tuple[str, ...], line: int) -> BypassSite:
    if not isinstance(site, Mapping):
        raise LintConfigError(f"lint.registry: {where} must be a mapping with {', '.join(_REQUIRED)}")
    values = {}
    for field in _REQUIRED:
        value = site.get(field)
        if not isinstance(value, str) or not value.strip():
            raise LintConfigError(f"lint.registry: {where} has no {field}")
        values[field] = value
    if values["kind"] not in kinds:
        raise LintConfigError(
            f"lint.registry: {where} has kind {values['kind']!r}; allowed are {', '.join(kinds)}"
        )
    expires, scope = _expiry(site.get("expires"), where), _scope(site.get("scope"), where)
    return BypassSite(**values, expires=expires, scope=scope, line=line)


def _expiry(value: object, where: str) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if value is None or isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError as error:
        raise LintConfigError(
            f"lint.registry: {where} expires on {value!r}; write a day, as in 2027-11-30"
        ) from error


def _scope(value: object, where: str) -> Scope | None:
    if value is None:
        return None
    for scope in _SCOPES:
        if value == scope:
            return scope
    raise LintConfigError(f"lint.registry: {where} has scope {value!r}; allowed are {' and '.join(_SCOPES)}")


def _refuse_twins(sites: tuple[BypassSite, ...], path: Path) -> None:
    seen: set[str] = set()
    for site in sites:
        if site.id in seen:
            raise LintConfigError(f"lint.registry: {path} has two sites with id {site.id}")
        seen.add(site.id)
