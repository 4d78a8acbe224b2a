"""What attempts of one tenant to reach another's rows show, and when they show nothing.

An attempt that could not be carried out proves nothing, a table nobody attacked is not protected by
that, and a tenant that does not even see its own canary row cannot be said not to see another's.
"""

from __future__ import annotations

from collections.abc import Iterator

from checks.judgement import deviation
from checks.protection import tenant_tables
from controls.verdict import Deviation
from evidence.kinds.postgres import Attempt, AttemptResult, Isolation, RowSecurity
from evidence.view import Observation

OWN_ROWS = "own_rows"
#: Attempts without which a tenant table counts as not probed.
REQUIRED_PROBES = frozenset({"select", "insert", "update"})

Catalogs = tuple[Observation[RowSecurity], ...]
Probes = tuple[Observation[Isolation], ...]


def attacks(probes: Probes) -> tuple[Attempt, ...]:
    """Every attempt to reach another tenant's rows."""
    return tuple(one for probe in probes for one in probe.payload.attempts if one.probe != OWN_ROWS)


def controls(probes: Probes) -> tuple[Attempt, ...]:
    """Every look of a tenant at its own canary row."""
    return tuple(one for probe in probes for one in probe.payload.attempts if one.probe == OWN_ROWS)


def leaked(attempt: Attempt) -> bool:
    """Whether the attempt read or changed a row of another tenant."""
    return attempt.result is AttemptResult.LEAKED or attempt.foreign_rows > 0


def leaks(probes: Probes) -> Iterator[Deviation]:
    """Each attack that leaked, and any leak that was counted without being listed."""
    for probe in probes:
        for one in attacks((probe,)):
            if leaked(one):
                what = f"{one.probe} reached {one.foreign_rows} rows of another tenant"
                yield deviation(probe, what, one.table)
        listed = sum(1 for one in probe.payload.attempts if leaked(one))
        if probe.payload.leaked > listed:
            yield deviation(probe, f"{probe.payload.leaked} leaks counted, {listed} listed", "attempts")


def gaps(catalogs: Catalogs, probes: Probes) -> Iterator[str]:
    """Why attacks that all held would still not prove isolation."""
    made = attacks(probes)
    unclear = sum(1 for one in made if one.result is AttemptResult.INCONCLUSIVE)
    if unclear:
        yield f"{unclear} of {len(made)} attempts were inconclusive and prove nothing."
    elif any(probe.payload.inconclusive for probe in probes):
        yield "Some attempts were inconclusive and prove nothing."
    unprobed = sum(_unprobed(catalog, probes) for catalog in catalogs)
    if unprobed:
        yield f"{unprobed} tables that hold tenant data were not attacked in full."
    if not all(_has_positive_control(probe) for probe in probes):
        yield "Some tenant did not see its own rows, so not seeing another's proves nothing."


def vanished(probes: Probes) -> Iterator[Deviation]:
    """Each table whose canary row its own tenant did not see.

    A row that is hidden and a row that is not there look the same from the application's login, and
    neither is what was promised: every tenant table has a canary row, and its tenant sees it.
    """
    for probe in probes:
        for one in controls((probe,)):
            if one.result is not AttemptResult.HELD:
                yield deviation(probe, "its own tenant does not see the canary row", one.table)


def control_gaps(probes: Probes) -> Iterator[str]:
    """Why canary rows that are all visible would still leave a table in doubt."""
    uncontrolled = sum(
        len({one.table for one in attacks((probe,))} - {one.table for one in controls((probe,))})
        for probe in probes
    )
    if uncontrolled:
        yield f"{uncontrolled} tables were attacked without looking for their own tenant's row."
    if not all(controls((probe,)) for probe in probes):
        yield "In a database in scope no tenant looked for its own rows."


def _unprobed(catalog: Observation[RowSecurity], probes: Probes) -> int:
    made = [
        (one.table, one.probe)
        for probe in probes
        if probe.subject == catalog.subject
        for one in probe.payload.attempts
    ]
    return sum(
        1
        for table in tenant_tables(catalog.payload)
        if not {probe for name, probe in made if name == table.name} >= REQUIRED_PROBES
    )


def _has_positive_control(probe: Observation[Isolation]) -> bool:
    own = controls((probe,))
    return bool(own) and all(one.result is AttemptResult.HELD for one in own)
