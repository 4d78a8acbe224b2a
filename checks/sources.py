"""Which source files decide a verdict: what a pack carries so that a stranger can read and re-perform it.

Starting from the modules of this package, imports of our own packages are followed; what is left is
standard library. The files keep their paths, so that the folder can stand on a Python path; run from
there, this module finds the same files and gives the same digest.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from evidence.proofs.canonical import canonical_bytes

ROOTS: Final = ("checks", "controls", "evidence")
HOUSE: Final = Path(__file__).parent.parent


@cache
def judging_source() -> str:
    """SHA-256 (hex) over the canonical JSON of path and SHA-256 (hex) of every carried source.

    A check calls shared predicates and reads its records through shared code, so its own module would
    pin only a part of what decided.
    """
    digests = {path: hashlib.sha256(source).hexdigest() for path, source in carried_sources().items()}
    return hashlib.sha256(canonical_bytes(digests)).hexdigest()


@cache
def carried_sources() -> dict[str, bytes]:
    """Path (``checks/tenant_isolation.py``) and bytes of each source file that the checks run on."""
    # All modules of `checks`, since a check area is imported by its name (`load_checks`).
    waiting = sorted(f"checks.{path.stem}" for path in (HOUSE / "checks").glob("*.py"))
    found: dict[str, bytes] = {}
    while waiting:
        module = waiting.pop()
        path = _path_of(module)
        if path is None or path.as_posix() in found:
            continue
        source = (HOUSE / path).read_bytes()
        found[path.as_posix()] = source
        waiting += _imports(ast.parse(source))
        waiting += _packages(module)
    return dict(sorted(found.items()))


def _path_of(module: str) -> Path | None:
    if module.partition(".")[0] not in ROOTS:
        return None
    path = Path(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if (HOUSE / candidate).is_file():
            return candidate
    return None


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
            # `from evidence.kinds import aws` names a module, not an attribute.
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _packages(module: str) -> Iterator[str]:
    parts = module.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts)))
