"""From the names that source code writes to the protected tables of the catalogues.

Protected is a table with row security enabled and a tenant column, as the migrations leave it.
"schema.name" is a table exactly, a bare name where one table of the whole project has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lint.source.access import Models
from lint.source.orm_python import MODEL_WORDS, python_models

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lint.catalogue import Catalogue, Table
    from lint.config import LintConfig
    from lint.files import SourceFile
    from lint.source.orm_python import Model


class Link:
    """From the names that source code writes to the protected tables of the catalogues."""

    def __init__(self, catalogues: Iterable[Catalogue], config: LintConfig) -> None:
        self.catalogues = tuple(catalogues)
        self.protected: dict[str, Table] = {}
        self._bare: dict[str, set[str]] = {}
        for catalogue in self.catalogues:
            for name, table in catalogue.tables.items():
                self._bare.setdefault(table.name, set()).add(name)
                if table.enabled and table.tenant_column and not config.is_global(name):
                    self.protected[name] = table

    def table(self, name: str) -> Table | None:
        """Return the protected table that a name stands for, None for any other or an unclear one."""
        if "." in name:
            return self.protected.get(name)
        named = self._bare.get(name, set())
        return self.protected.get(next(iter(named))) if len(named) == 1 else None

    def knows(self, name: str) -> bool:
        """Say whether the migrations make a table of that name, protected or not."""
        return name.rpartition(".")[2] in self._bare

    def by_client_name(self) -> dict[str, str]:
        """Return the names that a TypeScript client gives tables: `appConnection` for app_connection."""
        names: dict[str, str] = {}
        for bare, qualified in self._bare.items():
            if len(qualified) == 1:
                for spelled in _client_names(bare):
                    names.setdefault(spelled, next(iter(qualified)))
        return names


def _client_names(table: str) -> set[str]:
    words = [word for word in table.split("_") if word]
    if not words:
        return set()
    camel = words[0][:1].lower() + words[0][1:] + "".join(word[:1].upper() + word[1:] for word in words[1:])
    forms = {camel, camel[:-1]} if camel.endswith("s") else {camel, f"{camel}s"}
    return {form for name in forms if name for form in (name, name[:1].upper() + name[1:])}


def models_of(
    files: Iterable[SourceFile], link: Link, typescript_models: Mapping[str, str] | None = None
) -> Models:
    """Return the models of the Python files among `files`, and the client names of TypeScript."""
    if not link.protected:
        return Models()
    return Models(python_models_of(files), {**link.by_client_name(), **(typescript_models or {})})


def python_models_of(files: Iterable[SourceFile]) -> tuple[Model, ...]:
    """Return the models of the Python files among some files."""
    return python_models(
        (file.path, file.content)
        for file in files
        if file.location.suffix == ".py" and MODEL_WORDS.search(file.content)
    )
