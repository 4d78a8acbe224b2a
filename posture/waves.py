"""What `posture platform wave` does: shows where tables stand, and takes one a wave further.

The rules are in `core_platform.tenancy.waves`; this is the operator's side of them, with a refusal as a
finding (exit code 1) and a wrong call as a usage error.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

from core_platform.errors import PlatformError
from core_platform.settings import SettingsError, open_database, read_settings
from core_platform.tenancy import PlatformDatabase, TenantId, waves
from core_platform.tenancy.reader_verification import ReaderComparison, compare_readers, registered_readers
from posture.cli import Exit
from posture.errors import UsageError


def run_wave(arguments: argparse.Namespace) -> int:
    """Run one step of `posture platform wave`."""
    steps = {"status": _status, "advance": _advance, "verify": _verify}
    try:
        return steps[arguments.step](arguments)
    except waves.WaveRefused as refused:
        print(f"refused: {refused}")
        return Exit.FINDINGS
    except (SettingsError, ValueError) as error:
        raise UsageError(str(error)) from error
    except PlatformError as error:
        raise UsageError(str(error)) from error


def _status(arguments: argparse.Namespace) -> int:
    for one in waves.status(arguments.url):
        print(f"{one.table:<36}{one.wave:<10}{one.at}  {one.actor}")
    return Exit.HOLDS


def _advance(arguments: argparse.Namespace) -> int:
    url, table, actor = arguments.url, arguments.table, arguments.actor
    match arguments.wave:
        case "columns":
            waves.prepare_columns(url, table, actor=actor)
        case "wrap":
            if arguments.unwrapped_sites is None:
                raise UsageError("wave wrap needs --unwrapped-sites: the count of posture lint")
            waves.wrap(url, table, unwrapped_sites=arguments.unwrapped_sites, actor=actor)
        case "observe":
            waves.observe(url, table, actor=actor)
        case "verify":
            waves.verify(url, table, _comparisons(arguments), actor=actor)
        case "enforce":
            waves.enforce(url, table, actor=actor)
        case _:
            with closing(_database(arguments)) as database:
                waves.canary(url, database, table, _tenants(arguments), actor=actor)
    print(f"{table} is in wave {arguments.wave}")
    return Exit.HOLDS


def _verify(arguments: argparse.Namespace) -> int:
    compared = _comparisons(arguments)
    for one in compared:
        print(f"{'equal' if one.equal else 'DIFFERS':<9}{one.reader:<24}{one.tenant}  {one.rows} rows")
    return Exit.HOLDS if all(one.equal for one in compared) else Exit.FINDINGS


def _comparisons(arguments: argparse.Namespace) -> list[ReaderComparison]:
    with closing(_database(arguments)) as database:
        return compare_readers(registered_readers(), arguments.url, database, _tenants(arguments))


def _database(arguments: argparse.Namespace) -> PlatformDatabase:
    if arguments.settings is None:
        raise UsageError("this wave needs --settings: the platform's JSON settings")
    return open_database(read_settings(Path(arguments.settings)))


def _tenants(arguments: argparse.Namespace) -> tuple[TenantId, TenantId]:
    if arguments.tenants is None:
        raise UsageError("this wave needs --tenants: two ids, one of a tenant with rows")
    first, second = arguments.tenants
    return TenantId.parse(first), TenantId.parse(second)
