"""Serves moto on a free loopback port and writes the port into the file named by its argument.

Run as a script by `posture.embedded.aws`, never imported. The port is bound here and told
afterwards, so two servers that start together cannot take each other's.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server


def leave(_signal: int, _frame: object) -> NoReturn:
    """End at once: an emulator has nothing to save."""
    sys.exit(0)


def main() -> None:
    """Argument: the file to write the port into, whole or not at all."""
    signal.signal(signal.SIGTERM, leave)
    logging.basicConfig(level=logging.WARNING)  # an error inside moto belongs into the log
    port_file = Path(sys.argv[1])
    server = make_server(
        "127.0.0.1",
        0,
        DomainDispatcherApplication(create_backend_app),
        threaded=True,
        request_handler=MotoRequestHandler,
    )
    os.environ["MOTO_PORT"] = str(server.port)  # moto puts it into the addresses it gives out
    draft = port_file.with_suffix(".draft")
    draft.write_text(str(server.port))
    draft.replace(port_file)
    server.serve_forever()


if __name__ == "__main__":
    main()
