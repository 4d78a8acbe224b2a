"""How a transaction says which tenant it is for: found in the policies, given, or minted by a caller.

A plain setting takes the tenant's id. A sealed one cannot be made from the id, so its two values are
given, or a caller's `TenantBinding` mints them; without either, nothing is guessed.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from lint.live.probes.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: A setting that is read: its name, what is done with it up to a comparison, the literal compared.
_READ: Final = re.compile(
    r"current_setting\(\s*'([^']+)'(?:::text)?[^)]*\)"
    r"((?:::\w+|\s|\)|,\s*'[^']*'(?:::\w+)?)*)(?:->>?\s*'([^']+)')?",
    re.IGNORECASE,
)
_SWITCH: Final = re.compile(
    r"current_setting\(\s*'([^']+)'[^)]*\)(?:::\w+|\s|\)|,\s*'[^']*'(?:::\w+)?)*(?:=|IN\b)\s*\(?'([^']*)'",
    re.IGNORECASE,
)
_TENANT_WORDS: Final = re.compile(
    r"tenant|org|account|workspace|team|customer|company|claims|shop|user", re.IGNORECASE
)


class TenantBinding(Protocol):
    """How the application tells the database which tenant a transaction is for."""

    def settings(self, tenant: str) -> Mapping[str, str]:
        """The settings to make for one transaction (``{"app.tenant_ticket": "…"}``)."""


@dataclass(frozen=True, slots=True)
class PlainSetting:
    """A setting that holds the tenant's id; `key` when it holds it in a JSON object."""

    setting: str
    key: str = ""

    def settings(self, tenant: str) -> Mapping[str, str]:
        """The setting with the tenant's id."""
        return {self.setting: json.dumps({self.key: tenant}) if self.key else tenant}


@dataclass(frozen=True, slots=True)
class GivenValues:
    """A setting whose value for each of two tenants was given; the tenants are known once asked."""

    setting: str
    values: tuple[str, str]
    tenants: tuple[str, str] = ("", "")

    def settings(self, tenant: str) -> Mapping[str, str]:
        """The value given for one of the two tenants."""
        return {self.setting: self.values[self.tenants.index(tenant)]}


def given(text: str) -> PlainSetting | GivenValues:
    """Read `NAME` or `NAME=VALUE_A,VALUE_B`; ProbeError when it is neither."""
    setting, equals, values = text.partition("=")
    if not equals:
        return PlainSetting(setting)
    first, comma, second = values.partition(",")
    if not (setting and comma and first and second and first != second):
        raise ProbeError(f"--tenant-setting {text}: give NAME, or NAME=VALUE_A,VALUE_B of two tenants")
    return GivenValues(setting, (first, second))


@dataclass(frozen=True, slots=True)
class SettingsRead:
    """The settings that policies ask for, and the literals that each is compared with."""

    carriers: tuple[PlainSetting, ...]
    literals: Mapping[str, frozenset[str]]

    @property
    def carrier(self) -> PlainSetting | None:
        """The one that most probably carries the tenant, None when there is none."""
        return self.carriers[0] if self.carriers else None

    @property
    def names(self) -> frozenset[str]:
        """Every setting that is asked for."""
        return frozenset(self.literals)


def settings_read(expressions: Iterable[str]) -> SettingsRead:
    """The settings read by policy expressions (and the functions they call), the tenant's first.

    The tenant's is the one that most expressions read without comparing it with a literal.
    """
    carriers: Counter[PlainSetting] = Counter()
    literals: dict[str, set[str]] = {}
    for text in expressions:
        switches = {setting.lower() for setting, _ in _SWITCH.findall(text)}
        for setting, literal in _SWITCH.findall(text):
            literals.setdefault(setting.lower(), set()).add(literal)
        for setting, _, key in _READ.findall(text):
            literals.setdefault(setting.lower(), set())
            if setting.lower() not in switches or key:
                weight = 3 if _TENANT_WORDS.search(setting) else 1
                carriers[PlainSetting(setting.lower(), key)] += weight
    ranked = sorted(carriers, key=lambda one: (-carriers[one], one.setting))
    return SettingsRead(tuple(ranked), {key: frozenset(values) for key, values in literals.items()})
