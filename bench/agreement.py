"""Does the lint's SQL front end see what PostgreSQL sees?

`python bench/agreement.py PATH…` compares the facts of every .sql file below the paths with those of
PostgreSQL's own parser (pglast), and prints for each kind how many agreed, were missed and were
extra, and each disagreement with its file and line.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

SHOWN = 200
WIDTH = 300


def from_the_root() -> None:
    """Let `lint` and `tests` mean the packages, not files beside this one."""
    here = Path(__file__).resolve().parent
    if Path(sys.path[0]).resolve() == here:
        sys.path[0] = str(here.parent)


def sql_files(paths: list[str]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        found += sorted(path.rglob("*.sql")) if path.is_dir() else [path]
    return found


def main() -> None:
    from_the_root()
    from tests.lint.oracle import compared

    counts: dict[str, Counter[str]] = {name: Counter() for name in ("agreed", "missed", "extra")}
    differences = []
    files = sql_files(sys.argv[1:])
    for path in files:
        text = path.read_text(errors="replace")
        for name, facts in zip(counts, compared(text), strict=True):
            counts[name].update(str(fact[0]) for _, fact in facts)
            if name != "agreed":
                differences += [(path, line, name, fact) for line, fact in facts]
    for path, line, name, fact in differences[:SHOWN]:
        print(f"{path}:{line}: {name} {str(fact)[:WIDTH]}")
    for kind in sorted(set().union(*counts.values())):
        print(f"{kind:20}" + "".join(f"{counts[name][kind]:9}" for name in counts))
    total = {name: sum(counter.values()) for name, counter in counts.items()}
    whole = max(1, sum(total.values()))
    print(f"{'all':20}" + "".join(f"{total[name]:9}" for name in counts))
    print(f"{len(files)} files; {total['agreed'] / whole:.4%} of facts identical")


if __name__ == "__main__":
    main()
