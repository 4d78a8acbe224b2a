"""What others must do for our controls to hold: customers, and the companies that we build on.

For the pack's eighth folder and the system description. An auditor calls them complementary user-entity
controls and complementary subservice-organization controls. Loading is strict, as for the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from controls.claims import HERE, read_yaml, refuse_keys
from controls.errors import CatalogueError

RESPONSIBILITIES: Final = HERE / "responsibilities.yaml"
_ID: Final = re.compile(r"(CUEC|CSOC)-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class CustomerDuty:
    """Something that a customer must do.

    Attributes:
        id: ``CUEC-01``.
        title: in a few words.
        duty: what to do, when, in full sentences.
        without: what our controls cannot protect where it is not done.
        claims: ids of the claims that rest on it.
        criteria: ids of the criteria that it serves.
    """

    id: str
    title: str
    duty: str
    without: str
    claims: tuple[str, ...]
    criteria: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SubserviceDuty:
    """Something that a company we build on must do.

    Attributes:
        id: ``CSOC-01``.
        organisation: the company.
        service: what we use of it.
        page: the security page's words that name it.
        duty: what we rely on it for.
        claims: ids of the claims that rest on it.
        criteria: ids of the criteria that it serves.
    """

    id: str
    organisation: str
    service: str
    page: str
    duty: str
    claims: tuple[str, ...]
    criteria: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Responsibilities:
    """All of them, in the order of their ids."""

    customer: tuple[CustomerDuty, ...]
    subservice: tuple[SubserviceDuty, ...]


Duty = TypeVar("Duty", CustomerDuty, SubserviceDuty)


def load_responsibilities(
    path: Path = RESPONSIBILITIES, *, claims: Collection[str], criteria: Collection[str]
) -> Responsibilities:
    """Read the file.

    Args:
        claims: ids that a responsibility may link, those of the catalogue and of the page's draft.
        criteria: ids of the criteria.

    Raises:
        CatalogueError: naming the file, the responsibility and the key that is wrong.
    """
    parsed = read_yaml(path)
    refuse_keys(parsed, {"customer", "subservice"}, {"customer", "subservice"}, path.name)
    read = Responsibilities(
        _load(parsed["customer"], CustomerDuty, "CUEC", path.name),
        _load(parsed["subservice"], SubserviceDuty, "CSOC", path.name),
    )
    duties: tuple[CustomerDuty | SubserviceDuty, ...] = (*read.customer, *read.subservice)
    for duty in duties:
        where = f"{path.name}: {duty.id}"
        _refuse_unknown(duty.claims, claims, f"{where}: claims", "claim")
        _refuse_unknown(duty.criteria, criteria, f"{where}: criteria", "criterion")
    return read


def _load(items: Any, kind: type[Duty], prefix: str, file: str) -> tuple[Duty, ...]:  # noqa: ANN401 - YAML
    if not isinstance(items, list) or not items:
        raise CatalogueError(f"{file}: {prefix}s are no list of at least one responsibility")
    duties = tuple(_duty(item, kind, file) for item in items)
    for number, duty in enumerate(duties, 1):
        if duty.id != f"{prefix}-{number:02}":
            raise CatalogueError(f"{file}: {duty.id} stands where {prefix}-{number:02} was expected")
    return duties


def _duty(item: object, kind: type[Duty], file: str) -> Duty:
    if not isinstance(item, dict) or not _ID.fullmatch(str(item.get("id"))):
        raise CatalogueError(f"{file}: a responsibility has no id of the form CUEC-01 or CSOC-01")
    where = f"{file}: {item['id']}"
    names = set(kind.__dataclass_fields__)
    refuse_keys(item, names, names, where)
    try:
        duty = msgspec.convert(item, kind)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{where}: {error}") from error
    if empty := sorted(name for name in names if not getattr(duty, name)):
        raise CatalogueError(f"{where}: {empty[0]} is empty")
    return duty


def _refuse_unknown(named: Collection[str], known: Collection[str], where: str, word: str) -> None:
    for name in named:
        if name not in known:
            raise CatalogueError(f"{where} names {name}, which is no {word}")
