"""Quick copies are those of the standard library, and the collector is left as it was found."""

from __future__ import annotations

import dataclasses
import gc

import pytest

from lint.catalogue import Column, ForeignKey, Key, Place, Policy, Table
from lint.collection import SELDOM, seldom_collected
from lint.copying import replace
from lint.history import facts
from lint.rules.path_policies import Cascades


@pytest.mark.parametrize(
    ("record", "changes"),
    [
        (Table("a", "b", (Column("c"),), enabled=True), {"forced": True, "owner": "d"}),
        (Column("c", "int", place=Place("x")), {"nullable": False}),
        (Key(("a",), "unique"), {"name": "k", "place": Place("y", 2)}),
        (ForeignKey(("a",), "s.t"), {}),
        (Policy("p", using="a = 1"), {"roles": ("x",)}),
        (facts.DropTable(("a",)), {"cascade": True}),
    ],
)
def test_a_copy_is_the_one_that_dataclasses_make(record: Table, changes: dict[str, object]) -> None:
    assert replace(record, **changes) == dataclasses.replace(record, **changes)  # type: ignore[arg-type]
    assert replace(record, **changes).__class__ is record.__class__


def test_a_copy_keeps_what_does_not_count_for_equality() -> None:
    assert replace(Column("a", place=Place("x")), name="b").place == Place("x")


def test_a_field_that_is_none_is_refused() -> None:
    with pytest.raises(KeyError, match="colour"):
        replace(Column("a"), colour="red")


def test_the_collector_gets_its_threshold_back_from_a_run_that_fails() -> None:
    before = gc.get_threshold()
    with pytest.raises(RuntimeError, match="seldom: True"):
        _fail()
    assert gc.get_threshold() == before


@seldom_collected()
def _fail() -> None:
    raise RuntimeError(f"seldom: {gc.get_threshold()[0] >= SELDOM}")


def test_a_collector_that_is_switched_off_stays_off() -> None:
    before = gc.get_threshold()
    gc.set_threshold(0)
    try:
        with seldom_collected():
            assert gc.get_threshold()[0] == 0
    finally:
        gc.set_threshold(*before)


def test_every_drop_that_may_cascade_is_heard_by_the_rule_about_it() -> None:
    kinds = [kind for kind in vars(facts).values() if dataclasses.is_dataclass(kind)]
    cascading = {kind for kind in kinds if "cascade" in {field.name for field in dataclasses.fields(kind)}}
    assert cascading
    assert cascading <= set(Cascades.kinds)
