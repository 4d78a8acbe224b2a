"""What every probe works with: the transaction, the role under test, two tenants and their rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from lint.live.probes.result import ProbeFinding, Protocol
from lint.live.probes.session import AS_LOGIN, Actor, Answer, Session, name, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lint.catalogue import Catalogue, Table
    from lint.live.probes.binding import SettingsRead, TenantBinding
    from lint.live.probes.structure import Relation, Structure
    from lint.live.probes.synthesis import Seeder
    from lint.report import Severity

#: Foreign key, unique, not null, check, exclusion: checked after WITH CHECK (CREATE POLICY, Notes), so
#: whoever meets one was let through by row security.
PAST_ROW_SECURITY: Final = frozenset({"23503", "23505", "23P01"})
#: A lock or time limit of the probe itself: no answer.
UNANSWERED: Final = frozenset({"55P03", "57014", "40P01", "40001", "53200"})
#: Rows above which a statement without WHERE, or a COPY of the whole table, is left out.
UNQUALIFIED_LIMIT_ROWS: Final = 20_000
#: Foreign rows are counted up to here.
COUNTED_ROWS: Final = 1000

_SEVERITIES: Final[Mapping[str, Severity]] = {
    "RLS013": "warning",
    "RLS014": "warning",
    "RLS015": "warning",
    "RLS017": "warning",
    "RLS018": "warning",
    "RLS020": "error",
    "RLS034": "warning",
    "RLS050": "warning",
    "RLS051": "warning",
}


@dataclass(slots=True)
class Target:
    """A tenant table as probes meet it; `own` and `foreign` are rows of A and B that are in it."""

    relation: Relation
    table: Table
    tenant: str
    own: int = 0
    foreign: int = 0
    #: False when the policies do not apply to the role at all.
    active: bool = True
    readable: bool = False

    @property
    def sql(self) -> str:
        """The table, quoted."""
        return name(self.relation.schema, self.relation.name)

    @property
    def column(self) -> str:
        """The tenant column, quoted."""
        return name(self.tenant)

    @property
    def qualified(self) -> str:
        """The name that findings use."""
        return self.relation.qualified

    def may(self, *commands: str) -> bool:
        """Whether the role holds all of some privileges."""
        return self.relation.privileges.issuperset(commands)


@dataclass(slots=True)
class Scene:
    """One probe of one database."""

    session: Session
    structure: Structure
    catalogue: Catalogue
    actor: Actor
    tenants: tuple[str, str]
    binding: TenantBinding | None
    read: SettingsRead
    #: The role itself and every role whose rights it has.
    identities: frozenset[str]
    version: int
    protocol: Protocol = field(default_factory=Protocol)
    #: None when nothing may be written.
    seeder: Seeder | None = None
    targets: list[Target] = field(default_factory=list)
    #: Setting names that the binding makes.
    carriers: frozenset[str] = frozenset()
    #: Reads of own rows that showed none: the table, whose rows, and the answer.
    missing: list[tuple[Target, str, Answer]] = field(default_factory=list)
    #: The settings that a login of the role starts with.
    login_settings: dict[str, str] = field(default_factory=dict)

    #: Whether row security does not apply to the login that seeds.
    sees_all: bool = True

    @property
    def reached(self) -> list[Target]:
        """The targets on which the role holds a privilege."""
        return [target for target in self.targets if target.relation.privileges]

    @property
    def a(self) -> str:
        """The attacking tenant."""
        return self.tenants[0]

    @property
    def b(self) -> str:
        """The tenant whose rows must stay out of reach."""
        return self.tenants[1]

    def settings(self, tenant: str) -> Mapping[str, str]:
        """The settings that bind a tenant; nothing when there is no binding."""
        return self.binding.settings(tenant) if self.binding else {}

    def tried(self, settings: Mapping[str, str], *statements: str) -> Answer:
        """Run statements as the role under settings, and undo them."""
        self.protocol.tried()
        return self.session.undone(self.actor.script(settings, *statements))

    def as_a(self, *statements: str) -> Answer:
        """Run statements as the role, bound to A."""
        return self.tried(self.settings(self.a), *statements)

    def as_b(self, *statements: str) -> Answer:
        """Run statements as the role, bound to B."""
        return self.tried(self.settings(self.b), *statements)

    def as_a_then_login(self, statement: str, *after: str) -> Answer:
        """Run a statement as A, then look at what it did with the login's eyes."""
        return self.as_a(statement, AS_LOGIN, *after)

    def report(self, rule: str, at: str, probe: str, message: str, fix: str) -> None:
        """Write a finding down."""
        severity = _SEVERITIES.get(rule, "error")
        self.protocol.finding(ProbeFinding(rule, severity, at, probe, message, fix))

    def unanswered(self, at: str, probe: str, answer: Answer) -> bool:
        """Whether an answer is none, because a limit ended the probe; written down if so."""
        if answer.sqlstate in UNANSWERED:
            self.protocol.inconclusive(at, probe, answer.said)
            return True
        return False

    def target_of(self, oid: int) -> Target | None:
        """The target that is a relation."""
        return next((one for one in self.targets if one.relation.oid == oid), None)


def rows_of(target: Target, tenant: str, *, limit: int = 5) -> str:
    """A query: how many rows of a tenant are visible, up to a limit."""
    where = f"{target.column} = {quoted(tenant)}"
    return f"(SELECT count(*) FROM (SELECT FROM {target.sql} WHERE {where} LIMIT {limit}) own)"  # noqa: S608 - quoted


def rows_beyond(target: Target, tenant: str) -> str:
    """A query: how many rows of other tenants are visible, up to `COUNTED_ROWS`."""
    where = f"{target.column} <> {quoted(tenant)}"
    return f"(SELECT count(*) FROM (SELECT FROM {target.sql} WHERE {where} LIMIT {COUNTED_ROWS}) other)"  # noqa: S608 - quoted


def many(count: int, word: str = "row") -> str:
    """A count in words: "3 rows", "1000 or more rows"."""
    if count >= COUNTED_ROWS:
        return f"{COUNTED_ROWS} or more {word}s"
    return f"{count} {word}{'' if count == 1 else 's'}"
