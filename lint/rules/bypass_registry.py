"""BYP004: the registry of bypass sites against the source, the calendar and its own ceiling."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lint.catalogue import Place
from lint.rules.bypass_rules import BYP004

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date

    from lint.config import LintConfig
    from lint.report import Finding
    from lint.rules.bypass_sites import BypassSite, Registry
    from lint.source.inventory import Judged


def registry_findings(
    registry: Registry, judged: Sequence[Judged], config: LintConfig, run: set[str], here: set[str]
) -> Iterator[Finding]:
    """Yield what is out of date in a registry.

    `run` are the paths of this run, `here` the registered paths that exist: a site of a file that
    exists and is no part of the run is not judged.
    """
    today = datetime.now(UTC).date()
    used = {one.site.id for one in judged if one.site is not None}
    for site in registry.sites:
        yield from _expiry(site, registry, today)
        gone = site.path not in here
        if site.id not in used and (gone or site.path in run):
            yield _stale(site, registry, gone=gone)
    whole = all(site.id in used or site.path not in here for site in registry.sites)
    yield from _ratchet(registry, judged, config, whole=whole)


def _place(registry: Registry, line: int) -> Place:
    return Place(registry.path, line, 1, line)


def _expiry(site: BypassSite, registry: Registry, today: date) -> Iterator[Finding]:
    if site.expires is None:
        yield BYP004.finding(
            _place(registry, site.line),
            f"the bypass site {site.id} has no day on which it expires, so it is never reviewed again",
            f"add expires: {today.replace(year=today.year + 1, day=1)}, or an earlier day",
            subject=f"{site.id}:no expiry",
        )
    elif site.expires < today:
        yield BYP004.finding(
            _place(registry, site.line),
            f"the bypass site {site.id} expired on {site.expires}: {site.owner} allowed it no longer",
            f"ask {site.owner} to renew it with a new day, or remove the bypass",
            subject=f"{site.id}:expired",
            severity="error",
        )


def _stale(site: BypassSite, registry: Registry, *, gone: bool) -> Finding:
    what = "the file does not exist" if gone else f"{site.function} bypasses nothing"
    return BYP004.finding(
        _place(registry, site.line),
        f"the bypass site {site.id} is registered for {site.path}, but {what}: the entry would allow "
        "the next bypass that appears there",
        f"remove the entry {site.id}, or correct its path and function",
        subject=f"{site.id}:stale",
    )


def _ratchet(
    registry: Registry, judged: Sequence[Judged], config: LintConfig, *, whole: bool
) -> Iterator[Finding]:
    """Yield whether the number of sites rose above the ceiling, or fell below it."""
    ceiling = registry.ceiling if registry.ceiling is not None else config.bypass_ceiling
    if ceiling is None:
        return
    count = len(judged)
    place = _place(registry, registry.ceiling_line)
    if count > ceiling:
        last = max(
            judged, key=lambda one: (one.site is None, one.use.call.place.path, one.use.call.place.line)
        )
        yield BYP004.finding(
            place,
            f"there are {count} bypass sites and the ceiling is {ceiling}: the number may only fall",
            f"remove a bypass, such as the one at {last.use.call.place.path}:{last.use.call.place.line}",
            subject="ceiling:above",
            severity="error",
        )
    elif count < ceiling and whole:
        yield BYP004.finding(
            place,
            f"there are {count} bypass sites, fewer than the ceiling of {ceiling}",
            f"lower the ceiling to {count}, so that the number cannot rise again unseen",
            subject="ceiling:below",
            severity="info",
        )
