"""Run the ingress as its own process: ``python -m core_platform.ingress --settings FILE``.

Prints ``listening HOST:PORT`` on standard output when agents may connect, and one JSON object for
each event on standard error. SIGTERM and SIGINT drain it. ``--commission`` declares, once for each
new deployment, that the empty nonce store has forgotten nothing, and exits.
"""

import argparse
import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from core_platform.errors import PlatformError
from core_platform.ingress.tls import raise_floor
from core_platform.settings import PlatformSettings, open_database, read_settings


def main() -> int:
    """Serve until told to stop. Returns 2, with one line saying why, if the settings are wrong."""
    arguments = _parse(sys.argv[1:])
    raise_floor()
    # gRPC's own lines would stand between the JSON objects; a failed handshake is not an event of ours.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    try:
        settings = read_settings(arguments.settings)
        run = _commission if arguments.commission else _serve
        return asyncio.run(run(settings))
    except PlatformError as error:
        print(f"ingress: {error}", file=sys.stderr)
        return 2


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m core_platform.ingress", description=__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="the platform's JSON settings")
    parser.add_argument("--commission", action="store_true", help="declare the nonce store complete")
    return parser.parse_args(words)


async def _serve(settings: PlatformSettings) -> int:
    # Imported here: everything below imports grpc, which must not happen before raise_floor().
    from core_platform.ingress.events import log_as_json
    from core_platform.ingress.server import IngressServer

    log_as_json(logging.getLogger("core_platform"), sys.stderr)
    database = open_database(settings)
    server = IngressServer(settings, database)
    port = await server.start()
    host = settings.require_ingress().listen.rpartition(":")[0]
    print(f"listening {host}:{port}", flush=True)
    await _told_to_stop()
    await server.drain()
    return 0


async def _commission(settings: PlatformSettings) -> int:
    from core_platform.ingress.nonces import commission

    if await commission(settings.require_ingress().redis_url):
        print("commissioned")
        return 0
    print("ingress: the nonce store has a memory already; nothing changed", file=sys.stderr)
    return 1


async def _told_to_stop() -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    await told.wait()


if __name__ == "__main__":
    sys.exit(main())
