"""`posture controls`: what is claimed, which check decides it, and what must turn that check red."""

from __future__ import annotations

import argparse
import json

from posture.cli import Exit
from posture.errors import UsageError

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
    catalogue = load_catalogue()
    areas = [area.name for area in catalogue.areas]
    if arguments.area not in (None, *areas):
        raise UsageError(f"no control area {arguments.area!r}; the catalogue has {', '.join(areas)}")
    claims = [claim for claim in catalogue.claims if arguments.area in (None, claim.area)]
    sabotages = {claim.id: [one.what for one in SABOTAGES if one.check == claim.check] for claim in claims}
    titles = {
        claim.id: checks[claim.check].title if claim.check and claim.check in checks else claim.quote
        for claim in claims
    }
    if arguments.format == "json":
        rows = [
            {
                "id": claim.id,
                "area": claim.area,
                "status": claim.status.value,
                "how": claim.how.value,
                "criteria": list(claim.criteria),
                "check": claim.check,
                "sabotages": sabotages[claim.id],
                "title": titles.get(claim.id, claim.quote),
            }
            for claim in claims
        ]
        print(json.dumps(rows, indent=2))
        return Exit.HOLDS
    for claim in claims:
        decided = f"{len(sabotages[claim.id])} sabotages" if claim.check else f"no check yet ({claim.how})"
        print(f"{claim.id:<7} {claim.area:<17} {decided:<24} {titles.get(claim.id, claim.quote)}")
    return Exit.HOLDS
