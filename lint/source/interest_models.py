"""Which files may touch a table through its model, so that those that only speak of one are not read.

A Python name counts for a model where it is defined, imported, or an attribute of something imported;
a script's where a query builder, a client or a quoted name takes it. Bytes are read, nothing is parsed:
what stands in a comment may be taken for use, but no use is passed over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lint.source.interest import Marks, is_script

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from lint.files import SourceFile

_IMPORTS = re.compile(
    rb"^[ \t]*(?:from[ \t]+[\w.]+[ \t]+)?import[ \t]+(\([^)]*\)|[^\n\\]*(?:\\\r?\n[^\n\\]*)*)", re.MULTILINE
)
_SCRIPT_IMPORTS = re.compile(
    rb"(?:import|export)\s+([^;'\"()=]*?\bfrom\b)|(?:const|let|var)\s+([^;=]*?)=\s*(?:await\s+)?(?:import|require)\("
)
_WHOLE_MODULE = re.compile(rb"\*\s*as\s|=\s*(?:await\s+)?(?:import|require)\(")
_WORD = re.compile(rb"\w+")
#: What defines models in scripts: Drizzle, Sequelize, TypeORM, MikroORM.
_DEFINES = Marks(
    (b"pgTable", b"pgView", b"pgMaterializedView", b"pgSchema", b"equelize", b"typeorm", b"mikro-orm")
)
_CLIENT_METHODS = (
    rb"find\w+|count|sum|aggregate|groupBy|create\w*|bulkCreate|upsert|update\w*|delete\w*|increment|"
    rb"decrement|restore|destroy|truncate"
)
_CLIENT_CALLS = re.compile(rb"\.\s*(?:" + _CLIENT_METHODS + rb")\s*\(")
_LAST_WORD = re.compile(rb"(\w+)\s*[?!]?\Z")
_LONGEST_NAME = 80
#: Where a statement takes a table: as a variable, or in quotes; where TypeORM takes a model.
_TAKEN = (
    re.compile(rb"(?:getRepository\(|InjectRepository\(|Repository<|anager\.\w+\()\s*(\w+)"),
    re.compile(rb"(?:from|insert|update|delete|Join|JoinLateral)\(\s*(?:\w+\.)*(\w+)"),
    re.compile(
        rb"(?:selectFrom|insertInto|replaceInto|updateTable|deleteFrom|mergeInto|Join|JoinLateral|from)"
        rb"\(\s*['\"`](?:\w+\.)?(\w+)"
    ),
)


def defines_models(file: SourceFile) -> bool:
    """Say whether a script may define the models of an ORM or query builder."""
    return _DEFINES.stand_in(file.content)


def uses_name(file: SourceFile, names: Collection[bytes], members: Collection[bytes] = ()) -> bool:
    """Say whether a file may use one of some functions or classes of others, or some member of an object.

    A name is imported, or an attribute of a module; in scripts, of one that is imported as a whole.
    """
    content = file.content
    if any(b"." + name in content for name in members):
        return True
    whole_modules = not is_script(file) or _WHOLE_MODULE.search(content) is not None
    if whole_modules and any(b"." + name in content for name in names):
        return True
    imports = _SCRIPT_IMPORTS if is_script(file) else _IMPORTS
    known = frozenset(names)
    return any(not known.isdisjoint(_WORD.findall(found[0])) for found in imports.finditer(content))


def takes_table(file: SourceFile, names: Iterable[bytes]) -> bool:
    """Say whether a statement in a script may take a table by one of these names."""
    known, content = frozenset(names), file.content
    if any(found[1] in known for pattern in _TAKEN for found in pattern.finditer(content)):
        return True
    return any(_word_before(content, found.start()) in known for found in _CLIENT_CALLS.finditer(content))


def _word_before(content: bytes, at: int) -> bytes:
    found = _LAST_WORD.search(content[max(0, at - _LONGEST_NAME) : at])
    return found[1] if found is not None else b""


def client_spellings(names: Iterable[str]) -> frozenset[bytes]:
    """Return how a client may spell models: as they are called, or with a small letter first."""
    return frozenset(
        spelled.encode()
        for name in names
        if "." not in name
        for spelled in (name, name[:1].lower() + name[1:])
    )
