"""Only what a branch changed is told, as real git repositories tell it, shallow ones included."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lint import LintError, lint_paths
from lint.changed import Changes, changes_since

TABLE = "CREATE TABLE {} (tenant_id int);\n"
CALLS = "import db\n\n\ndef f():\n    run_as_bypass(a, A)\n\n\ndef g():\n    run_as_bypass(a, B)\n"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def commit(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "c")


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "r"
    folder.mkdir()
    git(folder, "init", "-q")
    commit(folder, m__1_dot_sql=TABLE.format("a"), app_dot_py=CALLS)
    git(folder, "checkout", "-q", "-b", "work")
    return folder


def told(root: Path, changes: Changes) -> list[tuple[str, int]]:
    report = lint_paths([root], root=root)
    migrations = {finding.path for finding in report.findings if finding.path.endswith(".sql")}
    return [
        (f.path, f.line) for f in report.findings if f.severity == "error" and changes.touch(f, migrations)
    ]


def test_a_new_migration_and_changed_lines_are_told_and_nothing_else(repository: Path) -> None:
    commit(repository, m__2_dot_sql=TABLE.format("b"), app_dot_py=CALLS.replace(", B)", ", C)"))
    assert told(repository, changes_since("main", repository)) == [("app.py", 9), ("m/2.sql", 1)]


def test_uncommitted_and_untracked_files_count(repository: Path) -> None:
    (repository / "app.py").write_text("# more\n" + CALLS)
    (repository / "m" / "3 ü.sql").write_text(TABLE.format("c"))
    assert told(repository, changes_since("main", repository)) == [("m/3 ü.sql", 1)]


def test_a_changed_migration_counts_as_a_whole(repository: Path) -> None:
    commit(repository, m__1_dot_sql=TABLE.format("a") + "SELECT 1;\n")
    assert told(repository, changes_since("main", repository)) == [("m/1.sql", 1)]


def test_a_file_that_is_only_renamed_is_not_changed_and_an_edited_one_is(repository: Path) -> None:
    git(repository, "mv", "app.py", "service.py")
    assert told(repository, changes_since("main", repository)) == []
    (repository / "service.py").write_text(CALLS.replace(", A)", ", Z)"))
    assert told(repository, changes_since("main", repository)) == [("service.py", 5)]


def test_what_moved_on_in_the_base_is_not_told_as_changed_here(repository: Path) -> None:
    commit(repository, m__2_dot_sql=TABLE.format("b"))
    git(repository, "checkout", "-q", "main")
    commit(repository, app_dot_py="import db\nrun_as_bypass(a, M)\n" + CALLS)
    git(repository, "checkout", "-q", "work")
    assert told(repository, changes_since("main", repository)) == [("m/2.sql", 1)]


def test_paths_are_relative_to_a_root_below_the_repository(repository: Path) -> None:
    commit(repository, m__2_dot_sql=TABLE.format("b"), other_dot_py="x = 1\n")
    changes = changes_since("main", repository / "m")
    assert set(changes.lines) == {"2.sql"}


def test_names_that_git_quotes_and_its_settings_do_not_matter(repository: Path) -> None:
    for setting in ("diff.noprefix", "diff.mnemonicPrefix"):
        git(repository, "config", setting, "true")
    git(repository, "config", "core.quotePath", "true")
    git(repository, "config", "diff.external", "false")
    odd = 'm/2 "x"\té.sql'
    (repository / odd).write_text(TABLE.format("b"))
    commit(repository, app_dot_py=CALLS.replace(", A)", ", Z)"))
    assert told(repository, changes_since("main", repository)) == [("app.py", 5), (odd, 1)]


def test_a_line_of_source_that_looks_like_a_patch_is_source(repository: Path) -> None:
    hostile = CALLS.replace("import db\n", "import db\n\n\n") + "x = '''\n++ b/m/1.sql\n@@ -1 +1 @@\n'''\n"
    commit(repository, app_dot_py=hostile)
    assert set(changes_since("main", repository).lines) == {"app.py"}


@pytest.fixture
def shallow(repository: Path, tmp_path: Path) -> Path:
    commit(repository, m__2_dot_sql=TABLE.format("b"))
    folder = tmp_path / "s"
    address = f"file://{repository}"
    git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "work", address, str(folder))
    return folder


def test_a_shallow_clone_without_the_base_is_told_what_to_fetch(shallow: Path) -> None:
    with pytest.raises(LintError, match="git fetch --depth=1 origin main"):
        changes_since("main", shallow)


def test_a_shallow_clone_compares_with_the_tree_of_the_base(shallow: Path) -> None:
    git(shallow, "fetch", "-q", "--depth=1", "origin", "main")
    assert git(shallow, "rev-list", "--count", "HEAD").strip() == "1"
    assert told(shallow, changes_since("FETCH_HEAD", shallow)) == [("m/2.sql", 1)]


@pytest.mark.parametrize("base", ["nowhere", "--help", "-p", "a b", ""])
def test_a_base_that_is_no_commit_is_refused(repository: Path, base: str) -> None:
    with pytest.raises(LintError, match="no such commit"):
        changes_since(base, repository)


def test_a_folder_that_is_no_repository_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(LintError, match="--changed needs a git repository"):
        changes_since("main", tmp_path)
