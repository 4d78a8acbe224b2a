"""Migrations written as programs: which files they are, in which order they run, and which are not read.

A migration in JavaScript or TypeScript exports its way up and runs SQL; its folder is one history where
any of its files defines something. The tools sort by name, unless a runner of the project imports the
migrations one by one: then the order is that of its list. A folder named as migrations are, whose
files define something in a way that nothing here reads, is told (RLS090) and not passed over.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from lint.files import SCRIPTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lint.files import SourceFile

DEFINES = re.compile(
    rb"\b(?:create|alter|drop)\s+(?:or\s+replace\s+)?(?:(?:global|local|temp|temporary|unlogged|foreign|"
    rb"materialized|unique|recursive|event|constraint|default)\s+)*(?:table|policy|view|schema|function|"
    rb"procedure|role|user|index|trigger|rule|type|domain|sequence|extension|publication|database|"
    rb"privileges|group)\b|(?:^|;)\s*(?:grant|revoke)\s|\bdo\s+(?:language\s+\w+\s+)?[$']",
    re.IGNORECASE | re.MULTILINE,
)
#: Schema builders of Knex, Kysely, node-pg-migrate and Django.
_BUILDS = re.compile(
    rb"\.schema\s*\.\s*(?:createTable|alterTable|table)\b|\bpgm\s*\.\s*(?:createTable|alterTable|addColumns?)\b"
    rb"|\bmigrations\.(?:CreateModel|AddField|RunSQL|RunPython)\b"
)
#: Names that only migrations have: a number of several digits or a date, or a word for it.
_STEP = re.compile(r"(?:[vV]?\d{3,}|\d{1,4}[-_.])\w?|(?:version|migration)_?\d", re.IGNORECASE)
_FOLDER = re.compile(r"migrat|versions\Z", re.IGNORECASE)
_TYPESCRIPT = frozenset({".ts", ".mts", ".cts", ".tsx"})
#: Neither runs past the beginning of the next one, so that the search takes time that grows with the text.
_IMPORT = re.compile(
    rb"""\bimport\s((?:(?!\bimport\b)[\w$*\s{},])+?)\sfrom\s*+['"]([^'"\n]+)['"]"""
    rb"""|\b(?:const|let|var)\s((?:(?!\b(?:const|let|var)\b)[\w$\s{},:])+?)="""
    rb"""\s*+(?:await\s++)?(?:require|import)\(\s*+['"]([^'"\n]+)['"]\s*+\)"""
)
_LOCAL_NAME = re.compile(rb"([\w$]+)\s*(?:[,}]|\Z)")
_JAVASCRIPT = re.compile(r"\.[cm]?[jt]sx?\Z")


def script_histories(
    programs: Iterable[SourceFile], applied: Callable[[SourceFile], bool]
) -> dict[str, list[SourceFile]]:
    """Return the migrations of each folder in the order they run; `applied` says which count."""
    scripts = [file for file in programs if file.location.suffix in SCRIPTS]
    certain: set[str] = set()
    folders: dict[str, list[SourceFile]] = {}
    for file in scripts:
        sure = file.is_script_migration
        if (sure or file.may_be_script_migration) and applied(file):
            folder = str(PurePosixPath(file.path).parent)
            folders.setdefault(folder, []).append(file)
            if sure or DEFINES.search(file.content):
                certain.add(folder)
    found = {folder: _one_of_each(steps) for folder, steps in folders.items() if folder in certain}
    return {folder: _as_run(folder, steps, scripts) for folder, steps in found.items()}


def _one_of_each(steps: list[SourceFile]) -> list[SourceFile]:
    """Keep one file for each step: TypeScript over the JavaScript compiled from it."""
    chosen: dict[str, SourceFile] = {}
    for file in sorted(steps, key=lambda file: file.path):
        stem = _stem(file.location.name)
        if stem not in chosen or file.location.suffix in _TYPESCRIPT:
            chosen[stem] = file
    return [chosen[stem] for stem in sorted(chosen)]


def _stem(name: str) -> str:
    return _JAVASCRIPT.sub("", name)


def _as_run(folder: str, steps: list[SourceFile], scripts: list[SourceFile]) -> list[SourceFile]:
    """Return the steps of a folder in the order of the runner that lists them, else as they are."""
    stems = {_stem(file.location.name) for file in steps}
    for file in scripts:
        if not _near(file, folder):
            continue
        listed = [stem for stem in _listed(file.content) if stem in stems]
        if len(listed) > 1 and 2 * len(listed) >= len(stems):
            place = {stem: number for number, stem in enumerate(listed)}
            rest = [one for one in steps if one.path != file.path]
            return sorted(rest, key=lambda one: place.get(_stem(one.location.name), len(place)))
    return steps


def _near(file: SourceFile, folder: str) -> bool:
    home, at = PurePosixPath(folder), PurePosixPath(file.path).parent
    return at in {home, home.parent, home.parent.parent} or at.parent == home.parent


def _listed(content: bytes) -> list[str]:
    """Return the modules that a program imports, in the order in which it uses them afterwards."""
    if content.count(b"import") + content.count(b"require") < 2:
        return []
    imports = list(_IMPORT.finditer(content))
    end = imports[-1].end() if imports else 0
    used = {name: end + at for at, name in _first_uses(content[end:])}
    found = [(_position(match, used), _module(match)) for match in imports]
    return list(dict.fromkeys(stem for _, stem in sorted(found)))


def _first_uses(text: bytes) -> Iterator[tuple[int, bytes]]:
    seen: set[bytes] = set()
    for match in re.finditer(rb"[\w$]+", text):
        if match[0] not in seen:
            seen.add(match[0])
            yield match.start(), match[0]


def _position(match: re.Match[bytes], used: dict[bytes, int]) -> int:
    names = _LOCAL_NAME.findall((match[1] or match[3] or b"").strip())
    return min((used[name] for name in names if name in used), default=match.start())


def _module(match: re.Match[bytes]) -> str:
    path = (match[2] or match[4]).decode(errors="replace")
    return _stem(PurePosixPath(path).name)


# Migrations that nothing reads


def unread_folders(programs: Iterable[SourceFile]) -> dict[str, list[SourceFile]]:
    """Return the folders of migrations that define something and are read by nothing here."""
    folders: dict[str, list[SourceFile]] = {}
    for file in programs:
        if is_step(file) and (DEFINES.search(file.content) or _BUILDS.search(file.content)):
            folders.setdefault(str(PurePosixPath(file.path).parent), []).append(file)
    return folders


def is_step(file: SourceFile) -> bool:
    """Say whether a file is named as a migration is, in a folder that is named for them."""
    parts = file.location.absolute().parts  # the folder that is linted may itself be the one of migrations
    around = any(_FOLDER.search(part) for part in parts[-4:-1])
    return around and _STEP.match(file.location.name) is not None
