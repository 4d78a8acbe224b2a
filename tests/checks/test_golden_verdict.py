"""A whole verdict in its published form, as `posture check --format json` and a pack carry it.

`POSTURE_UPDATE_GOLDEN=1 pytest tests/checks` writes the file anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evidence.payload import encode

if TYPE_CHECKING:
    from collections.abc import Callable

GOLDEN = Path(__file__).parent / "golden" / "verdict.json"


def test_a_failed_verdict_is_published_in_this_form(world: Any, with_table: Callable[..., Any]) -> None:
    verdict = world.judge("RLS-01", with_table("identity.app_user", forced=False))
    published: Any = encode(verdict)
    # The digest of the check's own source changes with every edit; what it covers is tested elsewhere.
    assert len(published["source"]) == 64
    published["source"] = "0" * 64
    text = json.dumps(published, indent=2, sort_keys=True) + "\n"
    if os.environ.get("POSTURE_UPDATE_GOLDEN"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()
