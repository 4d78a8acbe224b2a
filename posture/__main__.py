"""The console script: hands over to the command line and turns what it raises into exit codes."""

from __future__ import annotations

import sys


def main() -> int:
    """Run `posture` with the process's arguments and return its exit code."""
    from posture.cli import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
