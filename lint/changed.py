"""Which lines a branch changed, as git tells it, so that a pull request is judged by its own lines.

The whole project is still read, since a finding depends on history; only what is told is limited. Git
is asked with fixed arguments: the tree of the merge base where it is there, of the base itself on a
shallow clone that does not reach so far, against the working tree, untracked files included.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from lint.errors import LintError

if TYPE_CHECKING:
    from lint.report import Finding

_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_SECONDS = 120
_DIFF = (
    *("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--ignore-submodules"),
    *("--src-prefix=a/", "--dst-prefix=b/", "--diff-filter=d"),
)


@dataclass(frozen=True, slots=True)
class Changes:
    """Changed lines by path relative to the root; None for a file that is new as a whole."""

    base: str
    lines: Mapping[str, tuple[range, ...] | None] = field(default_factory=dict)

    def touch(self, finding: Finding, migrations: Collection[str]) -> bool:
        """Say whether a finding stands in what was changed.

        A changed migration counts as a whole, since each of its statements makes the state of the
        head; of other source, the lines count.
        """
        if finding.path not in self.lines:
            return False
        changed = self.lines[finding.path]
        if changed is None or (changed and finding.path in migrations):
            return True
        last = max(finding.line, finding.end_line)
        return any(lines.start <= last and finding.line < lines.stop for lines in changed)


def changes_since(base: str, root: Path) -> Changes:
    """Ask git what was changed since `base`; raise LintError with the remedy when it cannot tell."""
    top = Path(_git(root, "rev-parse", "--show-toplevel").decode("utf-8", "surrogateescape").rstrip("\n"))
    start = _start(base, top)
    files = _changed_files(top, start)
    for path, lines in _hunks(_git(top, *_DIFF, "--unified=0", start, "--")).items():
        if path in files:
            files[path] = lines
    for path in _paths(_git(top, "ls-files", "--others", "--exclude-standard", "--full-name", "-z")):
        files[path] = None
    return Changes(base, _relative(files, top, root))


def _start(base: str, top: Path) -> str:
    """The commit to compare with: the merge base, else the base itself."""
    commit = _commit(base, top) or _commit(f"origin/{base}", top)
    if commit is None:
        raise LintError(
            f"--changed {base}: no such commit here; on a shallow clone get it first with "
            f"`git fetch --depth=1 origin {base.removeprefix('origin/')}` and give --changed FETCH_HEAD"
        )
    merge_base = _answer(top, "merge-base", commit, "HEAD")
    return merge_base.decode().split("\n")[0] if merge_base else commit


def _commit(name: str, top: Path) -> str | None:
    found = _answer(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return found.decode().strip() if found else None


def _changed_files(top: Path, start: str) -> dict[str, tuple[range, ...] | None]:
    """Every file that changed; a file only renamed has no changed line, a new one has all."""
    fields = _git(top, *_DIFF, "--raw", "-z", start, "--").split(b"\0")
    files: dict[str, tuple[range, ...] | None] = {}
    at = 0
    while at < len(fields) and fields[at].startswith(b":"):
        status = fields[at].split()[4]
        at += 2 if status[:1] in b"RC" else 1
        files[_text(fields[at])] = () if status == b"R100" else None
        at += 1
    return files


def _hunks(patch: bytes) -> dict[str, tuple[range, ...]]:
    """The lines of each file that are new in a patch without context; deletions mark their place.

    A path that git quotes is left out: its file then counts as changed in whole.
    """
    lines: dict[str, list[range]] = {}
    path, left, is_new = "", 0, False
    for line in patch.split(b"\n"):
        if left > 0:
            left -= line[:1] in (b"-", b"+")
        elif line.startswith(b"diff --git "):
            path, is_new = "", False
        elif line.startswith(b"new file mode"):
            is_new = True
        elif line.startswith(b"+++ b/") and not is_new:
            path = _text(line[6:].rstrip(b"\t"))
        elif path and (hunk := _HUNK.match(line)):
            removed, start, count = int(hunk[1] or 1), max(int(hunk[2]), 1), int(hunk[3] or 1)
            lines.setdefault(path, []).append(range(start, start + max(count, 1)))
            left = count + removed
    return {path: tuple(ranges) for path, ranges in lines.items()}


def _relative(
    files: Mapping[str, tuple[range, ...] | None], top: Path, root: Path
) -> dict[str, tuple[range, ...] | None]:
    """Paths as the report has them: relative to the linted root."""
    base = root.resolve()
    return {
        (top / path).relative_to(base).as_posix(): lines
        for path, lines in files.items()
        if (top / path).is_relative_to(base)
    }


def _paths(output: bytes) -> list[str]:
    return [_text(path) for path in output.split(b"\0") if path]


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _git(folder: Path, *arguments: str) -> bytes:
    done = _run(folder, arguments)
    if done.returncode:
        why = done.stderr.decode("utf-8", "replace").strip().partition("\n")[0]
        raise LintError(f"--changed needs a git repository: {why or 'git failed'} (in {folder})")
    return done.stdout


def _answer(folder: Path, *arguments: str) -> bytes | None:
    """What git says, None when it says no."""
    done = _run(folder, arguments)
    return done.stdout if done.returncode == 0 else None


def _run(folder: Path, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[bytes]:
    settings = ("-c", "core.quotePath=false", "-c", "core.fsmonitor=false")
    command = ["git", "-C", str(folder), *settings, *arguments]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS)
    except OSError as error:
        raise LintError(f"--changed needs git: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise LintError(f"--changed: git did not answer within {_SECONDS} s") from error
