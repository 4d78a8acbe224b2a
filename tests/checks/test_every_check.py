"""What every check holds to: green on health, never green on silence, and each with a way to be seen red."""

from __future__ import annotations

import ast
import dataclasses
import random
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import checks
from checks.check import AREAS, SABOTAGES, Check, load_checks
from checks.twin import SabotageError
from controls.claims import load_catalogue
from controls.verdict import State
from evidence.payload import KINDS, Payload
from evidence.record import Outcome
from evidence.view import Evidence

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKS = load_checks()
IDS = sorted(CHECKS)
ROOT = Path(checks.__file__).parents[1]
NON_OBSERVATIONS = [outcome for outcome in Outcome if outcome is not Outcome.OBSERVED]

every_check = pytest.mark.parametrize("check", IDS)


def emptied(payload: Payload) -> Payload:
    """The same payload as if there had been nothing to see: no lists, no counts."""
    blanks: dict[type, Any] = {tuple: (), int: 0}
    fields = dataclasses.fields(payload)  # type: ignore[arg-type]  # every payload is a dataclass
    values = {field.name: getattr(payload, field.name) for field in fields}
    return dataclasses.replace(
        payload,  # type: ignore[type-var]  # as above
        **{name: blanks[type(value)] for name, value in values.items() if type(value) in blanks},
    )


@every_check
def test_a_healthy_world_satisfies_it(world: Any, check: str) -> None:
    verdict = world.judge(check)
    assert verdict.state is State.SATISFIED, (verdict.reason, verdict.deviations)
    assert verdict.deviations == ()
    assert verdict.completeness.complete
    assert verdict.evidence


@every_check
def test_no_records_are_unknown(world: Any, check: str) -> None:
    assert world.judge_records(check, []).state is State.UNKNOWN


@every_check
def test_a_scope_without_units_is_unknown(world: Any, check: str) -> None:
    assert world.judge_records(check, world.records(), scope=world.empty_scope).state is State.UNKNOWN


@every_check
def test_records_of_units_outside_the_scope_are_not_judged(world: Any, check: str) -> None:
    verdict = world.judge_records(check, world.records(), scope=world.empty_scope)
    assert verdict.evidence == ()
    assert verdict.deviations == ()


@every_check
@pytest.mark.parametrize("outcome", NON_OBSERVATIONS)
def test_a_refusal_of_everything_is_unknown(world: Any, check: str, outcome: Outcome) -> None:
    refused = {kind: lambda _seen: outcome for kind in KINDS.values()}
    assert world.judge(check, refused).state is State.UNKNOWN


@every_check
def test_a_refusal_of_any_expected_kind_is_unknown(world: Any, check: str) -> None:
    for expect in CHECKS[check].expects:
        verdict = world.judge(check, {expect.kind: lambda _seen: Outcome.DENIED})
        assert verdict.state is State.UNKNOWN
        assert any("denied" in refusal for refusal in verdict.completeness.refused)


@every_check
def test_stale_evidence_is_unknown(world: Any, check: str) -> None:
    oldest = max(expect.every for expect in CHECKS[check].expects)
    later = world.as_of + oldest
    assert world.judge_records(check, world.records(), as_of=later).state is State.UNKNOWN


@every_check
def test_empty_observations_are_never_green(world: Any, check: str) -> None:
    everything_empty = dict.fromkeys(KINDS.values(), emptied)
    assert world.judge(check, everything_empty).state is not State.SATISFIED


@given(data=st.data())
def test_dropping_records_never_turns_a_verdict_green(world: Any, data: st.DataObject) -> None:
    check = data.draw(st.sampled_from(IDS))
    empty = data.draw(st.sets(st.sampled_from(sorted(KINDS))))
    records = world.records({KINDS[name]: emptied for name in empty})
    kept = data.draw(st.lists(st.sampled_from(records), unique_by=id))
    before = world.judge_records(check, records).state
    after = world.judge_records(check, kept).state
    assert after is not State.SATISFIED or before is State.SATISFIED


@given(data=st.data())
def test_a_non_observation_never_gives_green(world: Any, data: st.DataObject) -> None:
    check = data.draw(st.sampled_from(IDS))
    expected = sorted(expect.kind.kind for expect in CHECKS[check].expects)
    lost = data.draw(st.sets(st.sampled_from(expected), min_size=1))
    outcome = data.draw(st.sampled_from(NON_OBSERVATIONS))
    changes = {KINDS[name]: lambda _seen: outcome for name in lost}
    assert world.judge(check, changes).state is State.UNKNOWN


@every_check
def test_the_order_of_records_does_not_matter(world: Any, check: str) -> None:
    records = world.records()
    shuffled = random.Random(7).sample(records, len(records))
    assert world.judge_records(check, shuffled) == world.judge_records(check, records)


@every_check
def test_it_says_what_it_judges_and_how_fresh(check: str) -> None:
    declared: Check = CHECKS[check]
    assert declared.title.endswith(".")
    assert declared.title != declared.id
    assert declared.claims[0] == declared.id
    assert all(timedelta() < expect.every <= timedelta(days=7) for expect in declared.expects)


@every_check
def test_it_has_a_sabotage(check: str) -> None:
    assert any(sabotage.check == check for sabotage in SABOTAGES)


def test_sabotages_are_told_apart_and_name_what_they_break() -> None:
    assert len({(sabotage.check, sabotage.what) for sabotage in SABOTAGES}) == len(SABOTAGES) >= 30
    assert all(sabotage.names and all(one.strip() for one in sabotage.names) for sabotage in SABOTAGES)


@pytest.mark.parametrize("area", AREAS)
def test_areas_and_ids_agree(area: str) -> None:
    prefixes = {check.id.partition("-")[0] for check in CHECKS.values() if check.area == area}
    known = {
        "tenant_isolation": {"RLS"},
        "agent_ingress": {"ING"},
        "cryptography": {"CRY"},
        "redaction": {"RED"},
        "operations": {"MON", "AVL"},
        "secrets": {"SEC"},
    }
    assert prefixes == known[area]


def test_checks_import_only_the_standard_library_and_our_own_modules() -> None:
    ours = {"checks", "controls", "evidence"}
    for file in (ROOT / "checks").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {name.partition(".")[0] for name in names}
            assert roots <= ours | sys.stdlib_module_names, (file.name, roots)


class DrySource:
    """Applies patches to copies in memory, as strictly as a twin does."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}

    def patch(self, path: str, old: str, new: str) -> None:
        text = self.files.get(path) or (ROOT / path).read_text()
        if text.count(old) != 1:
            raise SabotageError(f"{path}: {old!r} occurs {text.count(old)} times")
        self.write(path, text.replace(old, new))

    def write(self, path: str, text: str) -> None:
        assert (ROOT / path).parent.is_dir()
        if path.endswith(".py"):
            compile(text, path, "exec")
        self.files[path] = text


class DryTwin:
    """A twin that remembers what was done to it."""

    def __init__(self) -> None:
        self.source = DrySource()
        self.done: list[object] = []

    @property
    def database(self) -> DryTwin:
        return self

    @property
    def redis(self) -> DryTwin:
        return self

    @property
    def ingress(self) -> DryTwin:
        return self

    @property
    def aws(self) -> DryTwin:
        return self

    def execute(self, *command: str | int) -> None:
        self.done.append(command)

    def environment(self, name: str, value: str) -> None:
        self.done.append((name, value))

    def call(self, service: str, operation: str, **parameters: object) -> Mapping[str, object]:
        self.done.append((service, operation, parameters))
        return {
            "Buckets": [{"Name": "tensorcost-exports-111122223333"}],
            "DetectorIds": ["d-1"],
        }


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda one: f"{one.check} {one.what}")
def test_a_sabotage_fits_the_source_and_changes_something(sabotage: Any) -> None:
    twin = DryTwin()
    sabotage.apply(twin)
    assert twin.done or twin.source.files


def test_reasons_name_nothing_that_only_deviations_may_name() -> None:
    gated = re.compile(r"\b(identity|gpu|ai|integration|audit|app)\.[a-z_]+|core-|arn:|[0-9]{12}")
    for file in (ROOT / "checks").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg in ("holds", "fails"):
                text = ast.unparse(node.value)
                assert not gated.search(text), (file.name, text)


def _second_unit(world: Any, change: Any = None) -> tuple[Any, list[Any]]:
    """A scope with a second unit of each population, and evidence of both; the second may be changed."""
    units = [
        dataclasses.replace(unit, id=f"{unit.population}/two", subject=f"{unit.subject}-two")
        for unit in world.scope.units
    ]
    scope = dataclasses.replace(world.scope, units=(*world.scope.units, *units))
    subjects = {unit.population: unit.subject for unit in units}
    copies = []
    for one in world.records(dict.fromkeys(KINDS.values(), change) if change else None):
        population = one.record.header.unit.partition("/")[0]
        header = dataclasses.replace(
            one.record.header, unit=f"{population}/two", subject=subjects[population]
        )
        record = dataclasses.replace(one.record, header=header)
        copies.append(dataclasses.replace(one, record=record, digest=one.digest + "-two"))
    return scope, [*world.records(), *copies]


MAY_BE_EMPTY = {"AVL-03": "a region without databases", "CRY-02": "no volumes", "SEC-07": "another database"}
"""Checks to which one empty unit beside a full one says nothing bad."""


@every_check
def test_an_empty_unit_beside_a_healthy_one_is_not_green(world: Any, check: str) -> None:
    """A second database that turns out to be an empty one must not hide behind the first."""
    scope, records = _second_unit(world, emptied)
    state = world.judge_records(check, records, scope=scope).state
    assert state is not State.SATISFIED or check in MAY_BE_EMPTY


@every_check
def test_a_unit_is_judged_by_records_of_its_own_subject_alone(world: Any, check: str) -> None:
    """Of the subject that a unit had in an earlier scope, nothing is judged and nothing counted."""
    stray = [
        dataclasses.replace(
            one,
            record=dataclasses.replace(
                one.record, header=dataclasses.replace(one.record.header, subject="postgres:somewhere-else")
            ),
        )
        for one in world.records()
    ]
    alone = world.judge(check)
    assert world.judge_records(check, [*world.records(), *stray]) == alone
    assert world.judge_records(check, stray).state is State.UNKNOWN


@every_check
def test_what_stands_later_in_the_log_counts_whatever_its_clock_says(world: Any, check: str) -> None:
    """A green record with a clock that was ahead, then a red or refused one with the right time."""
    ahead = [
        dataclasses.replace(
            one,
            record=dataclasses.replace(
                one.record,
                header=dataclasses.replace(one.record.header, recorded=world.as_of - timedelta(seconds=1)),
            ),
        )
        for one in world.records()
    ]
    refused = world.records({kind: lambda _seen: Outcome.DENIED for kind in KINDS.values()})
    assert world.judge_records(check, [*ahead, *refused]).state is State.UNKNOWN


@every_check
def test_it_reads_nothing_that_it_does_not_expect(world: Any, check: str) -> None:
    """What is judged without being expected could be stale or refused, and nobody would count it."""
    read: set[Any] = set()

    class Watched(Evidence):
        def observed(self, kind: Any) -> Any:
            read.add(kind)
            return super().observed(kind)

    CHECKS[check](Watched(world.records(), as_of=world.as_of), world.scope, world.as_of)
    assert read == {expect.kind for expect in CHECKS[check].expects}


def test_no_check_is_content_with_older_evidence_than_its_claims_allow() -> None:
    for claim in load_catalogue().claims:
        if claim.check is not None:
            assert max(expect.every for expect in CHECKS[claim.check].expects) <= claim.freshness, claim.id
