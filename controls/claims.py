"""The catalogue: every claim of the security page, how it is shown, and its words for each verdict.

For the claims compiler, the questionnaire and whoever adds a control. One YAML file for each control
area; loading is strict, and an error names the file, the claim and the key.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from controls.errors import CatalogueError
from controls.wording import check_equation, placeholders, strong_words, typed_numbers
from evidence.payload import Audience

HERE: Final = Path(__file__).parent
CATALOGUE: Final = HERE / "catalogue"
CRITERIA: Final = HERE / "source" / "tsc-criteria.yaml"
DRAFT: Final = HERE / "source" / "claims-draft.yaml"
CRITERIA_CATEGORIES: Final = (
    "security",
    "availability",
    "confidentiality",
    "processing_integrity",
    "privacy",
)
AREAS: Final = (
    "governance",
    "tenant_isolation",
    "identity",
    "agent_ingress",
    "cryptography",
    "customer_access",
    "redaction",
    "operations",
    "change_management",
    "data_lifecycle",
    "processing_integrity",
    "privacy",
    "secrets",
)
"""Control areas in the order in which the security page speaks of them."""
AREA_KEYS: Final = frozenset({"area", "title", "summary", "claims"})


class Status(StrEnum):
    """How the security page states a claim."""

    IN_PLACE = "in_place"
    IN_FLIGHT = "in_flight"
    ROADMAP = "roadmap"
    POLICY = "policy"


class How(StrEnum):
    """What decides a claim: a probe, a probe with a person's document, or a person."""

    AUTO = "auto"
    HYBRID = "hybrid"
    ATTESTED = "attested"


@dataclass(frozen=True, slots=True)
class Claim:
    """One promise of the security page.

    Attributes:
        id: as in ``RLS-01``; the check that decides it bears the same name.
        area: control area, the name of its catalogue file.
        quote: the page's own words.
        status: how the page states it.
        how: what decides it.
        criteria: Trust Services Criteria ids that it serves.
        view: who may read its evidence.
        freshness: longest acceptable age of evidence.
        asserted: our sentence while the verdict is satisfied.
        not_shown: our sentence in any other case; no strong word, no typed number.
        measured: a sentence of facts that stands beside either; '' when there is none.
        proof: for each strong word of `asserted`, an equation over the verdict's facts.
        check: id of the check that decides it; None when none does in this version.
        needs: what is missing to decide it; '' when a check does.
        tension: contradictions of the page that touch it.
        target: when the page says it will be reached.
    """

    id: str
    area: str
    quote: str
    status: Status
    how: How
    criteria: tuple[str, ...]
    view: Audience
    freshness: timedelta
    asserted: str
    not_shown: str
    measured: str = ""
    proof: Mapping[str, str] = field(default_factory=dict)
    check: str | None = None
    needs: str = ""
    tension: tuple[str, ...] = ()
    target: date | None = None


@dataclass(frozen=True, slots=True)
class Area:
    """A control area with its claims, in the order of the catalogue."""

    name: str
    title: str
    summary: str
    claims: tuple[Claim, ...]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All areas of this version, and the criteria's titles in our own words."""

    areas: tuple[Area, ...]
    criteria: Mapping[str, str]

    @property
    def claims(self) -> tuple[Claim, ...]:
        """Every claim, area by area."""
        return tuple(claim for area in self.areas for claim in area.claims)


def load_catalogue(folder: Path = CATALOGUE, criteria: Path = CRITERIA) -> Catalogue:
    """Read every area of a folder.

    Raises:
        CatalogueError: naming the file, the claim and the key that is wrong.
    """
    titles = load_criteria(criteria)
    areas = tuple(_load_area(path, titles) for path in _area_files(folder))
    if not areas:
        raise CatalogueError(f"{folder}: no catalogue file; expected one YAML file for each control area")
    seen: set[str] = set()
    for claim in (claim for area in areas for claim in area.claims):
        if claim.id in seen:
            raise CatalogueError(f"{claim.area}.yaml: claim {claim.id} stands in the catalogue twice")
        seen.add(claim.id)
    return Catalogue(areas, titles)


def _area_files(folder: Path) -> list[Path]:
    files = list(folder.glob("*.yaml"))
    if foreign := sorted(path.name for path in files if path.stem not in AREAS):
        raise CatalogueError(f"{foreign[0]}: no control area of that name; known are {', '.join(AREAS)}")
    return sorted(files, key=lambda path: AREAS.index(path.stem))


def load_criteria(path: Path = CRITERIA) -> dict[str, str]:
    """Criteria ids and our titles, in the order of the five categories."""
    parsed = read_yaml(path)
    try:
        return {name: str(title) for group in CRITERIA_CATEGORIES for name, title in parsed[group].items()}
    except (KeyError, AttributeError) as error:
        raise CatalogueError(f"{path.name}: category {error} is missing or no mapping") from error


def load_drafted(path: Path = DRAFT) -> dict[str, tuple[str, ...]]:
    """Every promise found on the security page, also those without a catalogue entry, and its criteria."""
    try:
        return {claim["id"]: tuple(claim["tsc"]) for claim in read_yaml(path)["claims"]}
    except (KeyError, TypeError) as error:
        raise CatalogueError(f"{path.name}: a claim lacks {error}") from error


def _load_area(path: Path, criteria: Mapping[str, str]) -> Area:
    parsed = read_yaml(path)
    refuse_keys(parsed, AREA_KEYS, AREA_KEYS, path.name)
    if parsed["area"] != path.stem:
        raise CatalogueError(f"{path.name}: area is {parsed['area']!r}, expected the file's name")
    if not isinstance(parsed["claims"], list) or not parsed["claims"]:
        raise CatalogueError(f"{path.name}: claims is no list of at least one claim")
    claims = tuple(_load_claim(item, path, criteria) for item in parsed["claims"])
    return Area(path.stem, str(parsed["title"]), str(parsed["summary"]), claims)


def _load_claim(item: object, path: Path, criteria: Mapping[str, str]) -> Claim:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise CatalogueError(f"{path.name}: a claim has no id")
    where = f"{path.name}: {item['id']}"
    fields = dataclasses.fields(Claim)
    allowed = {entry.name for entry in fields} - {"area"}
    required = {entry.name for entry in fields if entry.default is dataclasses.MISSING} & allowed
    refuse_keys(item, allowed, required - {"proof"}, where)
    try:
        claim = msgspec.convert({**item, "area": path.stem}, Claim)
    except msgspec.ValidationError as error:
        raise CatalogueError(f"{where}: {error}") from error
    _refuse_contradictions(claim, criteria, where)
    _refuse_words(claim, where)
    return claim


def _refuse_contradictions(claim: Claim, criteria: Mapping[str, str], where: str) -> None:
    if unknown := [name for name in claim.criteria if name not in criteria]:
        raise CatalogueError(f"{where}: criteria names {unknown[0]}, which is no criterion")
    if not claim.criteria:
        raise CatalogueError(f"{where}: criteria is empty; a claim serves at least one criterion")
    if claim.check is None and not claim.needs:
        raise CatalogueError(f"{where}: neither check nor needs; say what is missing to decide it")
    if claim.check is not None and claim.needs:
        raise CatalogueError(f"{where}: both check and needs; a claim that a check decides lacks nothing")


def _refuse_words(claim: Claim, where: str) -> None:
    for key in ("asserted", "not_shown", "measured", "needs"):
        text: str = getattr(claim, key)
        placeholders(text)
        if numbers := typed_numbers(text):
            raise CatalogueError(f"{where}: {key} has the typed number {numbers[0]}; use a {{fact}}")
        if key != "asserted" and (words := strong_words(text)):
            raise CatalogueError(
                f"{where}: {key} says {words[0]!r}, which needs a proof; asserted may say it"
            )
    for key in ("not_shown", "needs"):
        if placeholders(getattr(claim, key)):
            raise CatalogueError(
                f"{where}: {key} uses a fact, which an unknown verdict may lack; see measured"
            )
    if claim.view is not Audience.PUBLIC and placeholders(claim.asserted):
        raise CatalogueError(f"{where}: asserted uses a fact of a gated claim; facts belong in measured")
    _refuse_proofs(claim, where)


def _refuse_proofs(claim: Claim, where: str) -> None:
    words = set(strong_words(claim.asserted))
    if claim.check is not None and (unproved := sorted(words - claim.proof.keys())):
        raise CatalogueError(f"{where}: asserted says {unproved[0]!r} and proof states no equation for it")
    if idle := sorted(claim.proof.keys() - words):
        raise CatalogueError(f"{where}: proof has {idle[0]!r}, a word that asserted does not say")
    for word, equation in claim.proof.items():
        try:
            check_equation(equation)
        except CatalogueError as error:
            raise CatalogueError(f"{where}: proof of {word!r}: {error}") from error


def refuse_keys(
    item: Mapping[str, Any],
    allowed: frozenset[str] | set[str],
    required: frozenset[str] | set[str],
    where: str,
) -> None:
    """Refuse a mapping with a key that is not `allowed`, or without one that is `required`."""
    if unknown := sorted(item.keys() - allowed):
        raise CatalogueError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(allowed))}")
    if missing := sorted(required - item.keys()):
        raise CatalogueError(f"{where}: key {missing[0]!r} is missing")


class _StrictLoader(yaml.SafeLoader):
    """YAML without duplicate keys: the second one would silently replace the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := [key for n, key in enumerate(keys) if key in keys[:n]]:
            line = node.start_mark.line + 1
            raise CatalogueError(f"key {twice[0]!r} stands twice in the mapping at line {line}")
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that is a mapping, without duplicate keys.

    Raises:
        CatalogueError: naming the file and what is wrong with it.
    """
    try:
        parsed = yaml.load(path.read_text("utf-8"), _StrictLoader)  # noqa: S506 - a SafeLoader
    except (OSError, yaml.YAMLError, UnicodeDecodeError, CatalogueError) as error:
        raise CatalogueError(f"{path.name}: {error}") from error
    if not isinstance(parsed, dict):
        raise CatalogueError(f"{path.name}: got {type(parsed).__name__}, expected a mapping")
    return parsed
