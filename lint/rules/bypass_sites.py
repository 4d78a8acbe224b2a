"""The registry of sites that may bypass row security.

A YAML list (or a mapping with the list under `sites`) whose entries give id, path, function, kind,
reason and owner. A registry that cannot be trusted stops the run, because BYP001 would be a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint.errors import LintConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from lint.source.sites import Call

_REQUIRED = ("id", "path", "function", "kind", "reason", "owner")


@dataclass(frozen=True, slots=True)
class BypassSite:
    """One allowed site: a function of a file, what kind of site it is, and who answers for it."""

    id: str
    path: str
    function: str
    kind: str
    reason: str
    owner: str

    def allows(self, call: Call) -> bool:
        """Say whether a call stands in this site's function, or in one nested in it."""
        inside = call.function == self.function or call.function.startswith(f"{self.function}.")
        return call.place.path == self.path and inside


def read_registry(path: Path, kinds: tuple[str, ...]) -> tuple[BypassSite, ...]:
    """Read the registry; raise LintConfigError naming the file, the site and the field."""
    import yaml

    try:
        content: object = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LintConfigError(f"lint.registry: {path} cannot be read ({error})") from error
    except yaml.YAMLError as error:
        raise LintConfigError(f"lint.registry: {path} is not YAML ({error})") from error
    sites = content.get("sites") if isinstance(content, Mapping) else content
    if sites is None:
        return ()
    if not isinstance(sites, list):
        raise LintConfigError(f"lint.registry: {path} must hold a list of sites")
    read = tuple(_site(site, f"{path}: site {index}", kinds) for index, site in enumerate(sites))
    _refuse_twins(read, path)
    return read


def _site(site: object, where: str, kinds: tuple[str, ...]) -> BypassSite:
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
    return BypassSite(**values)


def _refuse_twins(sites: tuple[BypassSite, ...], path: Path) -> None:
    seen: set[str] = set()
    for site in sites:
        if site.id in seen:
            raise LintConfigError(f"lint.registry: {path} has two sites with id {site.id}")
        seen.add(site.id)
