"""The arithmetic of samples: nobody can choose the picks, and everybody can derive them again."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import runpy
import subprocess
import sys
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence.proofs.merkle import tree_root
from evidence.sampling import (
    ItemTree,
    SamplingError,
    chance_of_missing,
    commitment_of,
    drawn,
    item_leaf,
    item_leaves,
    item_salt,
    misses,
    percent,
    seed_of,
    verify_item,
)

REDERIVE = Path(__file__).parents[2] / "trust_portal/packs/rederive.py"
SEEDS = st.binary(min_size=32, max_size=32)
ROWS = st.lists(
    st.dictionaries(st.text("abc_", min_size=1, max_size=4), st.text(max_size=6), max_size=3),
    min_size=1,
    max_size=40,
)


@st.composite
def draws(draw: st.DrawFn, most: int = 400) -> tuple[bytes, int, int]:
    count = draw(st.integers(1, most))
    return draw(SEEDS), count, draw(st.integers(1, count))


@given(draws())
def test_picks_are_different_items_of_the_population_and_as_many_as_asked(
    case: tuple[bytes, int, int],
) -> None:
    seed, count, size = case
    picks = drawn(seed, count, size)
    assert len(picks) == len(set(picks)) == size
    assert set(picks) <= set(range(count))


@settings(deadline=None)
@given(draws())
def test_a_smaller_sample_is_the_beginning_of_a_larger_one(case: tuple[bytes, int, int]) -> None:
    seed, count, size = case
    assert drawn(seed, count, count)[:size] == drawn(seed, count, size)


@given(draws(most=60))
def test_a_second_implementation_draws_the_same(case: tuple[bytes, int, int]) -> None:
    seed, count, size = case
    assert runpy.run_path(str(REDERIVE))["draw"](seed, count, size) == list(drawn(seed, count, size))


@pytest.mark.parametrize("count", [2, 3, 7, 37, 64, 65])
def test_every_item_is_as_likely_as_any_other(count: int) -> None:
    """Chi-square over fixed seeds: 6 standard deviations of margin, and the first pick as well as all."""
    size, rounds = max(1, count // 3), 4_000
    samples = [drawn(hashlib.sha256(n.to_bytes(4, "big")).digest(), count, size) for n in range(rounds)]
    for picks, each in ((Counter(one[0] for one in samples), 1), (Counter(itertools.chain(*samples)), size)):
        expected = rounds * each / count
        chi_square = sum((picks[item] - expected) ** 2 / expected for item in range(count))
        assert chi_square < (count - 1) + 6 * (2 * (count - 1)) ** 0.5


def test_pairs_are_as_likely_as_any_other() -> None:
    pairs = Counter(
        frozenset(drawn(hashlib.sha256(n.to_bytes(4, "big")).digest(), 6, 2)) for n in range(6_000)
    )
    assert len(pairs) == 15
    assert all(abs(number - 400) < 120 for number in pairs.values())


def test_the_picks_of_a_known_seed_stay() -> None:
    """Published samples must derive for ever: this changes only with another name of the algorithm."""
    seed = seed_of(b"\1" * 32, b"\2" * 32, b"\3" * 32)
    assert (
        seed.hex() == hashlib.sha256(b"posture.sample/v1" + b"\1" * 32 + b"\2" * 32 + b"\3" * 32).hexdigest()
    )
    assert drawn(seed, 1_000, 8) == KNOWN


KNOWN = (263, 4, 311, 995, 51, 351, 703, 526)


@pytest.mark.parametrize(("count", "size"), [(5, 6), (0, 1), (5, 0), (5, -1), (0, 0)])
def test_what_cannot_be_drawn_is_refused(count: int, size: int) -> None:
    with pytest.raises(SamplingError, match="cannot draw"):
        drawn(bytes(32), count, size)


def test_nonces_and_parts_of_a_seed_have_one_length() -> None:
    with pytest.raises(SamplingError, match="32 bytes, this one 31"):
        commitment_of(bytes(31))
    for parts in ((bytes(31), bytes(32), bytes(32)), (bytes(32), bytes(33), bytes(32))):
        with pytest.raises(SamplingError, match="three times 32"):
            seed_of(*parts)


@given(ROWS, SEEDS)
@settings(max_examples=60)
def test_each_item_is_proved_in_the_root_and_no_other_row_is(rows: list[dict[str, str]], salt: bytes) -> None:
    leaves = item_leaves(rows, salt)
    tree = ItemTree(leaves)
    assert tree.root == tree_root(leaves)
    for index, row in enumerate(rows):
        proof, own = tree.proof(index), item_salt(salt, index)
        verify_item(row, own, index, tree.size, proof, tree.root)
        for wrong in ({**row, "added": ""}, {"a": "other", **row, "a2": ""}):
            with pytest.raises(SamplingError):
                verify_item(wrong, own, index, tree.size, proof, tree.root)
        with pytest.raises(SamplingError):
            verify_item(row, bytes(16), index, tree.size, proof, tree.root)
        with pytest.raises(SamplingError):
            verify_item(row, own, index + 1, tree.size, proof, tree.root)


@given(ROWS, SEEDS, SEEDS)
@settings(max_examples=30)
def test_the_order_of_columns_changes_nothing_and_the_salt_hides_the_rows(
    rows: list[dict[str, str]], salt: bytes, other: bytes
) -> None:
    turned = [dict(reversed(row.items())) for row in rows]
    assert item_leaves(turned, salt) == item_leaves(rows, salt)
    assert (item_leaves(rows, other) == item_leaves(rows, salt)) == (salt == other)
    salts = [item_salt(salt, index) for index in range(len(rows))]
    assert len(set(salts)) == len(rows)


@given(st.integers(1, 40), st.data())
def test_the_chance_of_missing_is_what_counting_every_sample_gives(count: int, data: st.DataObject) -> None:
    count = min(count, 10)
    size, bad = data.draw(st.integers(1, count)), data.draw(st.integers(0, count))
    samples = list(itertools.combinations(range(count), size))
    missing = sum(all(item >= bad for item in sample) for sample in samples)
    assert chance_of_missing(count, size, bad) == Fraction(missing, len(samples))


@given(st.integers(1, 50_000), st.data())
@settings(max_examples=50, deadline=None)
def test_the_chances_fall_with_the_deviations_and_full_testing_misses_none(
    count: int, data: st.DataObject
) -> None:
    size = data.draw(st.integers(1, min(count, 500)))
    told = misses(count, size)
    assert [one.deviations for one in told] == sorted({one.deviations for one in told})
    assert all(a.chance >= b.chance for a, b in itertools.pairwise(told))
    assert told[0].chance == 1 - Fraction(size, count)
    assert all(one.chance == 0 for one in misses(min(count, 200), min(count, 200)))


def test_the_numbers_of_deviations_are_those_that_auditors_ask_for() -> None:
    assert [one.deviations for one in misses(1_000, 25)] == [1, 2, 3, 5, 10, 50]
    assert [one.deviations for one in misses(4, 2)] == [1, 2, 3]


@pytest.mark.parametrize(
    ("chance", "shown"),
    [
        (Fraction(0), "0 %"),
        (Fraction(1), "100 %"),
        (Fraction(1, 2), "50 %"),
        (Fraction(1, 3), "33.3 %"),
        (Fraction(318, 10**6), "0.0318 %"),
        (Fraction(1, 10**9), "< 0.0001 %"),
        (1 - Fraction(1, 10**9), "> 99.99 %"),
        (Fraction(9951, 10_000), "99.51 %"),
        (Fraction(9999, 100_000), "10 %"),
        (Fraction(1, 100), "1 %"),
    ],
)
def test_a_chance_is_told_with_sensible_digits_and_never_as_certain_when_it_is_not(
    chance: Fraction, shown: str
) -> None:
    assert percent(chance) == shown


def test_the_page_in_the_pack_finds_what_was_changed(tmp_path: Path) -> None:
    rows = [{"id": str(n), "who": "ä€𝄞"} for n in range(23)]
    file = sample(rows, random.Random(5))
    path = tmp_path / "core.x.sample.json"

    def rederived(document: object) -> tuple[int, str]:
        path.write_text(json.dumps(document))
        done = subprocess.run(
            [sys.executable, "-I", str(REDERIVE), str(path)], capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout

    assert rederived(file)[0] == 0
    for change, words in (
        ({"nonce": "00" * 32}, "not the promised one"),
        ({"checkpoint_root": "00" * 32}, "not those that follow"),
        ({"population_root": "00" * 32}, "not those that follow"),
        ({"drawn": [*file["drawn"][1:], file["drawn"][0]]}, "not those that follow"),
        ({"size": 3}, "not those that follow"),
        ({"picks": file["picks"][1:]}, "not those of the picks"),
        ({"picks": [{**one, "row": {}} for one in file["picks"]]}, "is not in the population"),
        ({"picks": [{**one, "proof": one["proof"][1:]} for one in file["picks"]]}, "not in the population"),
    ):
        code, said = rederived({**file, **change})
        assert (code, words in said) == (1, True), said


def sample(rows: list[dict[str, str]], source: random.Random) -> dict[str, object]:
    salt, nonce, later = (source.randbytes(32) for _ in range(3))
    tree = ItemTree(item_leaves(rows, salt))
    picks = drawn(seed_of(tree.root, nonce, later), len(rows), 7)
    assert item_leaf(rows[0], item_salt(salt, 0)) == item_leaves(rows, salt)[0]
    return {
        "population_root": tree.root.hex(),
        "count": len(rows),
        "size": 7,
        "commitment": commitment_of(nonce).hex(),
        "nonce": nonce.hex(),
        "checkpoint_root": later.hex(),
        "drawn": list(picks),
        "picks": [
            {
                "index": n,
                "row": rows[n],
                "salt": item_salt(salt, n).hex(),
                "proof": [one.hex() for one in tree.proof(n)],
            }
            for n in sorted(picks)
        ],
    }
