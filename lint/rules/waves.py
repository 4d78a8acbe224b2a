"""Does the head keep the rollout plan? Which tables are due, which are missing, whether it fell back.

A rollout of row security over hundreds of tables goes in waves; the plan is data, in `lint.waves` or
a YAML file, and a table that is due and not enforced is a broken promise.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lint.catalogue import DEFAULT_SCHEMA, Place
from lint.config import wave_mapping
from lint.errors import LintConfigError
from lint.rules.database_rules import COV001

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lint.catalogue import Catalogue, Table
    from lint.config import LintConfig
    from lint.report import Coverage, Finding


def planned_waves(config: LintConfig, root: Path) -> dict[str, int]:
    """Return the plan of the configuration and its file; raise LintConfigError for one that is none."""
    if config.wave_plan is None:
        return dict(config.waves)
    return {**_read_plan(root / config.wave_plan, config.wave_plan), **config.waves}


def _read_plan(path: Path, name: str) -> dict[str, int]:
    import yaml

    try:
        content: object = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise LintConfigError(f"lint.wave_plan: {name} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise LintConfigError(f"lint.wave_plan: {name} is not YAML: {reason}") from error
    plan = content.get("waves", content) if isinstance(content, dict) else content
    return wave_mapping("wave_plan", plan)


def wave_findings(catalogues: Sequence[Catalogue], config: LintConfig) -> Iterator[Finding]:
    """Yield COV001 over all databases of a run, tenant columns known; nothing without plan or floor."""
    plan = {_qualified(name): wave for name, wave in config.waves.items()}
    if plan:
        tables = {name: table for one in reversed(catalogues) for name, table in one.tables.items()}
        source = Place(catalogues[0].source if catalogues else ".")
        yield from _due(tables, plan, config, source)
        for catalogue in catalogues:
            yield from _unplanned(catalogue, plan, config)


def floor_findings(coverage: Coverage, config: LintConfig, source: str) -> Iterator[Finding]:
    """Yield COV001 when fewer tables are enforced than the floor asks, none at all among it."""
    floor = config.coverage_floor
    if floor is None or coverage.enforced >= floor:
        return
    open_tables = [row.name for row in coverage.tables if not row.enforced]
    yield COV001.finding(
        Place(source),
        f"{coverage.enforced} of {len(coverage.tables)} tenant tables are enforced, and the floor is {floor}"
        f"{'; not enforced: ' if open_tables else ''}{', '.join(open_tables[:6])}",
        "enforce them again, or lower lint.coverage_floor in a reviewed change",
        subject="floor",
    )


def _qualified(name: str) -> str:
    return name if "." in name else f"{DEFAULT_SCHEMA}.{name}"


def _due(
    tables: Mapping[str, Table], plan: Mapping[str, int], config: LintConfig, source: Place
) -> Iterator[Finding]:
    for name, wave in sorted(plan.items()):
        table = tables.get(name)
        if config.current_wave is not None and wave > config.current_wave:
            continue
        if table is None or not table.enforced:
            yield COV001.finding(
                _place(table, source),
                f"{name} is planned for wave {wave} and {_state(table)}: the rollout counts it as enforced "
                "and nothing keeps its tenants apart",
                _cure(table, name),
                table=name,
                subject="due",
            )


def _state(table: Table | None) -> str:
    if table is None:
        return "does not exist in the migrations"
    if not table.enabled:
        return "row security is not enabled"
    if not table.permissive:
        return "has no permissive policy"
    return "is not forced, so its owner is exempt"


def _cure(table: Table | None, name: str) -> str:
    if table is None:
        return f"take {name} out of the plan, or lint the migrations that make it"
    if table.enabled and table.permissive:
        return f"ALTER TABLE {table.written} FORCE ROW LEVEL SECURITY;"
    return (
        f"ALTER TABLE {table.written} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; and a policy on "
        f"{table.tenant_column or 'the tenant'}, or plan it for a later wave"
    )


def _unplanned(catalogue: Catalogue, plan: Mapping[str, int], config: LintConfig) -> Iterator[Finding]:
    for table in catalogue.tenant_tables():
        if table.qualified not in plan and not config.is_global(table.qualified):
            done = "is enforced" if table.enforced else "holds tenant rows"
            yield COV001.finding(
                _place(table, Place(catalogue.source)),
                f"{table.qualified} {done} and stands in no wave: nobody would notice it fall back",
                f"add {table.qualified} to lint.waves, or to lint.global_tables with the reason",
                table=table.qualified,
                subject="unplanned",
                severity=None if table.enforced else "warning",
            )


def _place(table: Table | None, otherwise: Place) -> Place:
    places = (table.security_place, table.place) if table else ()
    return next((place for place in places if place is not None), otherwise)
