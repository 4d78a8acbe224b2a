"""Ingest every registered log source once: ``python -m core_platform.redaction --settings FILE``.

For a scheduler. Prints one JSON object for each source on standard output. Our own credentials come from
the environment, as boto3 finds them; each source is read through its tenant's role, and one that cannot be
read keeps nobody else's waiting. Returns 2, with a line saying why, if it could not run or a source was not
read.
"""

import argparse
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from core_platform.errors import PlatformError
from core_platform.redaction.access import open_place
from core_platform.redaction.ingest import IngestSummary, ingest_source
from core_platform.redaction.keys import HashKeyring
from core_platform.settings import LogSource, PlatformSettings, open_database, read_settings


def main() -> int:
    """Ingest and say what was done."""
    parser = argparse.ArgumentParser(prog="python -m core_platform.redaction", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="the platform's JSON settings")
    try:
        return _ingest_all(read_settings(parser.parse_args().settings))
    except PlatformError as error:
        print(f"redaction: {error}", file=sys.stderr)
        return 2


def _ingest_all(settings: PlatformSettings) -> int:
    redaction = settings.require_redaction()
    keyring = HashKeyring(settings.secret(redaction.hash_key))
    base = boto3.Session(region_name=redaction.region)
    database = open_database(settings)
    status = 0
    for source in redaction.sources:
        try:
            place = open_place(base, redaction, source, datetime.now(UTC))
            done = ingest_source(database, place, source, keyring)
        except (BotoCoreError, ClientError) as error:
            # The error's text may name keys of the customer's bucket, or the role.
            why = f"AWS did not answer as expected ({type(error).__name__})"
            print(f"redaction: tenant {source.tenant}: {why}", file=sys.stderr)
            status = 2
        else:
            print(json.dumps(_counts(source, done)), flush=True)
    return status


def _counts(source: LogSource, done: IngestSummary) -> dict[str, str | int]:
    return {
        "tenant": source.tenant,
        "objects": done.objects,
        "skipped": done.skipped,
        "records": done.records,
        "quarantined": done.quarantined,
        "unknown_fields": done.unknown_fields.total(),
    }


if __name__ == "__main__":
    sys.exit(main())
