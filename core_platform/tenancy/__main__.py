"""Try the sessions of a deployment: ``python -m core_platform.tenancy --settings FILE --tenants A B``.

Prints what `core_platform.tenancy.context_probe` found as one JSON object. Returns 2, with one line
saying why, if it could not look.
"""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from core_platform.errors import PlatformError
from core_platform.settings import read_settings
from core_platform.tenancy import PlatformDatabase, SealKey, TenantId
from core_platform.tenancy.context_probe import probe_context


def main() -> int:
    """Probe and print."""
    parser = argparse.ArgumentParser(prog="python -m core_platform.tenancy", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="the platform's JSON settings")
    parser.add_argument("--tenants", nargs=2, required=True, metavar="ID", help="two tenants that exist")
    arguments = parser.parse_args()
    try:
        settings = read_settings(arguments.settings)
        key = SealKey(settings.seal.kid, settings.secret(settings.seal.secret))
        database = PlatformDatabase(settings.app_url, seal=key, pool_size=1)
        first, second = (TenantId.parse(one) for one in arguments.tenants)
        report = probe_context(database, first, second)
    except PlatformError as error:
        print(f"tenancy: {error}", file=sys.stderr)
        return 2
    print(json.dumps(dataclasses.asdict(report)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
