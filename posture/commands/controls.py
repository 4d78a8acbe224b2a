"""`posture controls`: what is claimed, which check decides it, and what must turn that check red."""

from __future__ import annotations

import argparse
import json

from posture.cli import Exit

EXAMPLE = """examples:
  posture controls                      every claim with its check
  posture controls --area redaction     one control area
  posture controls --format json        for another program
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments and its help."""
    parser.epilog = EXAMPLE
    parser.add_argument("--area", help="only this control area")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(arguments: argparse.Namespace) -> int:
    """Print the catalogue."""
    from checks.check import SABOTAGES, load_checks
    from controls.claims import load_catalogue

    checks = load_checks()
    rows = [
        {
            "id": claim.id,
            "area": claim.area,
            "status": str(claim.status),
            "how": str(claim.how),
            "criteria": list(claim.criteria),
            "check": claim.check,
            "sabotages": [one.what for one in SABOTAGES if one.check == claim.check],
            "title": checks[claim.check].title if claim.check in checks else claim.quote,
        }
        for claim in load_catalogue().claims
        if arguments.area in (None, claim.area)
    ]
    if arguments.format == "json":
        print(json.dumps(rows, indent=2))
        return Exit.HOLDS
    for row in rows:
        decided = f"{len(row['sabotages'])} sabotages" if row["check"] else f"no check yet ({row['how']})"
        print(f"{row['id']:<7} {row['area']:<17} {decided:<28} {row['title']}")
    return Exit.HOLDS
