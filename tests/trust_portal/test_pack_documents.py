"""The documents of a pack: complete, honest on what is missing, without what their readers may not see."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from datetime import date, timedelta
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from controls.claims import Catalogue
from controls.verdict import State, Verdict
from evidence.ledger import Ledger
from evidence.payload import Audience
from evidence.proofs.canonical import canonical_bytes, parse_strict
from evidence.proofs.dsse import Envelope
from evidence.record import unseal
from tests.trust_portal.engagements import (
    ACCOUNTS,
    AS_OF,
    CANARIES,
    CATALOGUE,
    CHECKS,
    DETAIL,
    ERRATUM,
    FIRST,
    LAST,
    TABLE,
    LogOf,
    engagement,
    month,
    record,
    scope,
    verdict,
)
from trust_portal.packs.documents.engagement import Entry, Reading, Window, catalogue_digest
from trust_portal.packs.documents.exceptions import exceptions_document
from trust_portal.packs.documents.files import document_files

SCHEMA = jsonschema_rs.validator_for(
    json.loads((Path(__file__).parents[2] / "docs/schema/pack-documents.schema.json").read_text("utf-8"))
)
MONTH = month()
FILES = {audience: document_files(engagement(audience, entries=MONTH)) for audience in Audience}
AUDITOR = FILES[Audience.AUDITOR]


def document(path: str, audience: Audience = Audience.AUDITOR) -> Any:
    return parse_strict(FILES[audience][path])


def rows(audience: Audience = Audience.AUDITOR) -> dict[str, Any]:
    return {row["id"]: row for row in document("02-control-matrix/matrix.json", audience)["rows"]}


def exceptions(audience: Audience = Audience.AUDITOR) -> dict[str, Any]:
    found = document("07-exceptions/exceptions.json", audience)["exceptions"]
    return {one["check"]: one for one in found}


# --- all documents --------------------------------------------------------------------------------


def test_the_files_of_a_pack_are_all_there() -> None:
    assert {name for name in AUDITOR if not name.startswith("03-criteria/")} == {
        "01-system-description/description.html",
        "01-system-description/description.json",
        "02-control-matrix/matrix.csv",
        "02-control-matrix/matrix.html",
        "02-control-matrix/matrix.json",
        "02-control-matrix/matrix.xlsx",
        "07-exceptions/exceptions.html",
        "07-exceptions/exceptions.json",
        "08-responsibilities/responsibilities.html",
        "08-responsibilities/responsibilities.json",
        "09-changes/changes.html",
        "09-changes/changes.json",
        "coverage.html",
        "coverage.json",
    }
    assert {name for name in AUDITOR if name.startswith("03-criteria/")} == {
        f"03-criteria/{criterion}/{name}"
        for criterion in CATALOGUE.criteria
        for name in ("criterion.json", "index.html")
    }


@pytest.mark.parametrize("audience", list(Audience))
def test_every_document_is_canonical_and_follows_the_published_schema(audience: Audience) -> None:
    for name, content in FILES[audience].items():
        if name.endswith(".json"):
            parsed = parse_strict(content)
            assert canonical_bytes(parsed) == content
            problems = [f"{name}: {e.message} at {list(e.instance_path)}" for e in SCHEMA.iter_errors(parsed)]
            assert not problems, problems[:3]
            assert parsed["audience"] == audience.value


def test_the_same_engagement_gives_the_same_bytes() -> None:
    assert document_files(engagement()) == AUDITOR


def test_what_is_logged_after_the_moment_of_knowledge_changes_nothing() -> None:
    later = dataclasses.replace(
        MONTH[-1],
        index=len(MONTH),
        digest="ee" * 32,
        record=record(
            verdict("RLS-01", State.FAILED, AS_OF + timedelta(hours=1), scope(), ()),
            "RLS-01",
            "check:RLS-01",
            AS_OF + timedelta(hours=1),
        ),
    )
    assert document_files(engagement(entries=[*MONTH, later])) == AUDITOR


@pytest.mark.parametrize("canary", CANARIES)
def test_nothing_gated_occurs_in_a_public_document(canary: str) -> None:
    spelled = {canary, json.dumps(canary)[1:-1], canary.replace("'", "&#39;")}
    for name, content in FILES[Audience.PUBLIC].items():
        for text in spelled:
            assert text.encode() not in content, name


@pytest.mark.parametrize("canary", [*ACCOUNTS, "auditor words"])
def test_accounts_and_refusals_in_full_are_for_auditors(canary: str) -> None:
    assert not [name for name, content in FILES[Audience.NDA].items() if canary.encode() in content]


def test_the_canaries_are_where_they_may_be() -> None:
    """A test that finds nothing anywhere would prove nothing."""
    assert TABLE.encode() in AUDITOR["07-exceptions/exceptions.json"]
    assert DETAIL.encode() in FILES[Audience.NDA]["07-exceptions/exceptions.html"]
    assert ACCOUNTS[1].encode() in AUDITOR["coverage.json"]
    assert b"the operator's own sentence" in FILES[Audience.NDA]["07-exceptions/exceptions.json"]


def test_two_accounts_stay_two_under_other_names() -> None:
    coverage = document("coverage.json", Audience.PUBLIC)
    units = {unit["unit"] for row in coverage["checks"] for unit in row["units"]}
    assert {"aws.rds/(account 1)/us-east-1", "aws.rds/(account 2)/us-east-1"} <= units


def test_the_documents_are_made_from_a_real_log(ledger: Ledger) -> None:
    envelopes = [Envelope.decode(entry) for entry in ledger.entries()]
    entries = [
        Entry(n, hashlib.sha256(one.payload).hexdigest(), unseal(one.payload, partial(ledger.blob, n)))
        for n, one in enumerate(envelopes)
    ]
    day = Window(date(2026, 11, 23), date(2026, 11, 23))
    made = document_files(engagement(Audience.PUBLIC, entries=entries, window=day))
    for name, content in made.items():
        assert b"gated_table_4711" not in content, name
        assert not name.endswith(".json") or SCHEMA.is_valid(parse_strict(content)), name
    told_ = parse_strict(made["07-exceptions/exceptions.json"])["exceptions"]
    assert [(one["check"], one["first_seen"]["entry"]) for one in told_] == [("RLS-01", 3)]
    found = {row["id"]: row for row in parse_strict(made["02-control-matrix/matrix.json"])["rows"]}
    assert found["RLS-01"]["evidence"] == [1]
    assert found["RLS-07"]["coverage"]["received"] == 1


# --- pages ----------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Tags, links and text of a page."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        self.links += [value or "" for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.mark.parametrize("audience", list(Audience))
def test_no_page_runs_or_fetches_anything(audience: Audience) -> None:
    for name, content in FILES[audience].items():
        if not name.endswith(".html"):
            continue
        page = Page(content)
        assert not {"script", "img", "link", "iframe", "object", "form"} & set(page.tags), name
        assert not [attribute for attribute, _ in page.attributes if attribute.startswith("on")]
        assert "style" not in {attribute for attribute, _ in page.attributes}, "the page's policy refuses it"
        assert not [value for _, value in page.attributes if value and "//" in value]
        assert page.tags.count("h1") == 1


def test_every_link_leads_to_a_file_of_the_pack() -> None:
    for name, content in AUDITOR.items():
        if name.endswith(".html"):
            for link in Page(content).links:
                target = (Path("/") / Path(name).parent / link).resolve().relative_to("/").as_posix()
                assert target in AUDITOR, f"{name} links {link}"


def test_pages_escape_what_a_stranger_could_have_written() -> None:
    hostile = engagement(entries=MONTH, name="<script>alert(1)</script>", project="a & b")
    for name, content in document_files(hostile).items():
        if name.endswith(".html"):
            assert b"<script" not in content, name


def test_a_status_is_told_in_words() -> None:
    page = " ".join(Page(AUDITOR["02-control-matrix/matrix.html"]).words)
    for row in rows().values():
        assert row["result"]["word"] in page
    assert "hollow: its check was not seen red" in page
    print_style = AUDITOR["coverage.html"].decode()
    assert "@media print" in print_style


# --- coverage -------------------------------------------------------------------------------------


def test_the_coverage_tells_each_day_of_each_check_and_unit() -> None:
    coverage = {row["check"]: row for row in document("coverage.json")["checks"]}
    assert list(coverage) == sorted(CHECKS)
    assert coverage["CRY-01"]["days"] == "rrrrrrrrrrsmrrlrrrrrrrrrrrrr"
    assert coverage["AVL-03"]["days"] == "rrrrrrrrrrsmrrlrrrrrxxrrrrrr"
    second = coverage["AVL-03"]["units"][1]
    assert second["days"] == "---------------rrrrrxxrrrrrr"
    assert second["totals"]["expected"] == 13
    assert second["refusals"] == 2
    counted = {word: number for word, number in coverage["MON-01"]["totals"].items() if number}
    assert counted == {"without_unit": 28}


def test_the_units_of_a_gated_check_are_withheld_and_its_days_are_not() -> None:
    public = {row["check"]: row for row in document("coverage.json", Audience.PUBLIC)["checks"]}
    assert public["RLS-08"]["gated"] == "auditor"
    assert public["RLS-08"]["units"] == []
    assert public["RLS-08"]["days"] == "rrrrrrrrrrsmrrlrrrrrrrrrrrrr"
    assert public["RLS-01"]["units"]


# --- matrix ---------------------------------------------------------------------------------------


def test_the_matrix_has_a_row_for_each_claim_and_every_field() -> None:
    assert list(rows()) == [claim.id for claim in CATALOGUE.claims]
    row = rows()["RLS-01"]
    assert row["result"]["word"] == "verified"
    assert row["deviations"] == {"verdicts": 25, "deviating": 3, "undecided": 1, "latest": 0}
    assert row["coverage"]["days"] == 28
    assert (row["coverage"]["received"], row["coverage"]["expected"]) == (25, 28)
    assert row["kills"] == {
        "killed": 7,
        "total": 7,
        "score": "7 of 7",
        "hollow": False,
        "said": "7 of 7 sabotages caught",
    }
    assert row["systems"] == ["databases/core"]
    assert row["customer_duties"] == []
    assert rows()["SEC-07"]["customer_duties"] == ["CUEC-06"]
    assert row["frequency"] == "daily"
    assert row["control"]["text"].startswith("who: ")
    assert row["test"]["source"] == CHECKS["RLS-01"].source
    assert row["since"]["first_judged"] < row["since"]["source_since"]


def test_evidence_is_named_by_entries_of_the_log() -> None:
    by_index = {entry.index: entry for entry in MONTH}
    row = rows()["RLS-01"]
    assert row["evidence"]
    for index in row["evidence"]:
        assert by_index[index].record.header.kind != "posture.verdict/v1"


def test_what_is_not_known_is_said_and_not_guessed() -> None:
    for row in rows().values():
        assert row["owner"] == "not stated"
        assert row["risk"] == "not recorded"
    undecided = rows()["AVL-01"]
    assert undecided["control"]["how"] == "not stated"
    assert undecided["test"]["performed"] == "none: no check decides it in this version"
    assert (undecided["coverage"], undecided["kills"], undecided["since"]) == (None, None, None)


def test_a_check_without_a_kill_is_hollow() -> None:
    assert rows()["RLS-15"]["kills"]["hollow"] is True
    assert rows()["RLS-15"]["result"]["word"] == "verified"
    assert b"hollow" in AUDITOR["02-control-matrix/matrix.csv"]


def test_a_waived_control_names_what_makes_up_for_it() -> None:
    assert rows()["AVL-03"]["compensating"] == ["CRY-02"]
    assert rows()["RLS-01"]["compensating"] == []


def test_the_public_row_of_a_gated_claim_withholds_reason_and_systems() -> None:
    row = rows(Audience.PUBLIC)["RLS-08"]
    assert row["result"]["word"] == "failed"
    assert row["result"]["gated"] == "auditor"
    assert row["systems"] == []
    assert row["deviations"]["latest"] == 1, "that there is bad news is public"


# --- criteria -------------------------------------------------------------------------------------


def test_a_criterion_that_nothing_speaks_for_says_so() -> None:
    untouched = document("03-criteria/CC1.2/criterion.json")
    assert untouched["standing"] == "untouched"
    assert "says nothing on this criterion" in untouched["said"]
    drafted = document("03-criteria/P6.4/criterion.json")
    assert drafted["standing"] == "no evidence"
    assert "No evidence in the log" in drafted["said"]
    assert drafted["drafted"] == ["PRV-03"]
    standings = [document(f"03-criteria/{name}/criterion.json")["standing"] for name in CATALOGUE.criteria]
    assert standings.count("untouched") == 14


def test_a_criterion_lists_its_claims_and_their_evidence() -> None:
    found = document("03-criteria/CC6.1/criterion.json")
    assert found["standing"] == "evidence"
    served = [claim.id for claim in CATALOGUE.claims if "CC6.1" in claim.criteria]
    assert [claim["id"] for claim in found["claims"]] == served
    assert sum(found["counts"].values()) == len(served)
    assert set(rows()["RLS-01"]["evidence"]) <= set(found["evidence"])
    assert "auditor's judgement" in found["said"]
    assert "CUEC-01" in found["customer_duties"]


# --- description ----------------------------------------------------------------------------------


def test_the_description_has_nine_parts_and_names_what_people_must_write() -> None:
    sections = document("01-system-description/description.json")["sections"]
    assert [section["id"] for section in sections] == [f"DC{n}" for n in range(1, 10)]
    by_id = {section["id"]: section for section in sections}
    assert "no evidence that there was none" in by_id["DC4"]["said"]
    assert by_id["DC4"]["missing"][0]["who"] == "security lead"
    assert by_id["DC7"]["rows"][0][1] == "Amazon Web Services"
    assert len(by_id["DC5"]["rows"]) == 61
    assert len(by_id["DC8"]["rows"]) == 14
    assert [row[2] for row in by_id["DC3"]["rows"]][:1] == ["databases/core"]
    for number in (1, 2, 3, 4, 5, 7, 8, 9):
        assert by_id[f"DC{number}"]["missing"], "a person has something to add"


def test_a_log_without_a_scope_describes_no_component() -> None:
    empty = engagement(entries=[])
    described = parse_strict(document_files(empty)["01-system-description/description.json"])
    assert described["sections"][2]["rows"] == []
    assert "No scope was logged" in described["sections"][2]["said"]


# --- exceptions -----------------------------------------------------------------------------------


def test_each_exception_has_its_dates_and_its_retest() -> None:
    found = exceptions()
    assert set(found) == {"CRY-01", "RLS-01", "AVL-03", "RLS-08"}
    tls = found["CRY-01"]
    assert (tls["status"], tls["open_at_start"], tls["open_at_end"]) == ("retested", True, False)
    assert tls["first_seen"]["at"] == "2026-10-31T02:00:00.000Z"
    assert tls["last_seen"]["at"] == "2026-11-04T02:00:00.000Z"
    assert tls["retest"]["at"] == "2026-11-05T02:00:00.000Z"
    assert tls["retest"]["same_source"] is False, "a retest by other source says so"
    by_index = {entry.index: entry.record.payload for entry in MONTH}
    assert by_index[tls["retest"]["entry"]].state is State.SATISFIED
    assert by_index[tls["first_seen"]["entry"]].state is State.FAILED


def test_silence_is_no_retest() -> None:
    found = exceptions()["RLS-01"]
    assert (found["verdicts"], found["undecided_between"]) == (3, 1)
    assert found["retest"]["at"] == "2026-11-11T02:00:00.000Z"
    [deviation] = found["deviations"]
    assert (deviation["what"], deviation["where"]) == (f"{DETAIL}: row security is off", TABLE)
    assert deviation["first_seen"]["at"] == "2026-11-07T02:00:00.000Z"
    assert deviation["last_seen"]["at"] == "2026-11-10T02:00:00.000Z"


def test_an_open_exception_is_open() -> None:
    found = exceptions()["RLS-08"]
    assert (found["status"], found["retest"], found["open_at_end"]) == ("open", None, True)
    assert found["deviations"][0]["status"] == "open"


def test_a_waived_deviation_is_an_exception_with_its_waiver() -> None:
    [waiver] = exceptions()["AVL-03"]["waivers"]
    assert (waiver["id"], waiver["owner"], waiver["compensating"]) == ("W-1", "Platform", "CRY-02")
    [public] = exceptions(Audience.PUBLIC)["AVL-03"]["waivers"]
    assert public["reason"] is None


def test_the_public_learns_that_and_when_but_not_what_and_where() -> None:
    public = exceptions(Audience.PUBLIC)
    assert {name: one["id"] for name, one in public.items()} == {
        name: one["id"] for name, one in exceptions().items()
    }
    for one in public.values():
        assert one["deviations"] == []
        assert one["gated"] in {"nda", "auditor"}
        assert one["most_deviations"] == 1
        assert one["first_seen"]["at"] <= one["last_seen"]["at"]
    nda = exceptions(Audience.NDA)
    assert nda["RLS-01"]["deviations"]
    assert nda["RLS-08"]["deviations"] == [], "evidence of this claim is for auditors"
    assert nda["RLS-08"]["gated"] == "auditor"


def told(*judged: tuple[str, State, int]) -> Any:
    """The exceptions of a history: check, state and day of the window."""
    log = LogOf()
    start = Window(FIRST, LAST).start
    for check, state, day in judged:
        moment = start + timedelta(days=day, hours=1)
        log.add(record(verdict(check, state, moment, scope(), ()), check, f"check:{check}", moment))
    return exceptions_document(Reading(engagement(entries=log.entries)))


def test_what_was_retested_before_the_window_is_not_told_again() -> None:
    before = told(*(("RLS-01", state, -9 + n) for n, state in enumerate((State.FAILED, State.SATISFIED))))
    assert before["exceptions"] == []
    assert "No verdict of the window failed" in before["said"]


def test_a_check_that_is_judged_no_more_leaves_its_exception_open() -> None:
    [one] = told(("RLS-01", State.FAILED, -9), ("RLS-02", State.SATISFIED, 3))["exceptions"]
    assert (one["status"], one["open_at_start"]) == ("open", True)


def test_silence_before_a_failure_is_no_exception_and_one_after_it_ends_nothing() -> None:
    states = (State.UNKNOWN, State.FAILED, State.UNKNOWN)
    [one] = told(*(("RLS-01", state, 1 + n) for n, state in enumerate(states)))["exceptions"]
    assert one["first_seen"]["at"].startswith("2026-11-04")
    assert one["status"] == "open"


def test_an_empty_log_shows_nothing_and_says_so() -> None:
    assert "an empty list shows nothing" in told()["said"]


# --- corrections ----------------------------------------------------------------------------------


def corrected(of: int, new: State, *, changed: tuple[str, ...] = ("state",)) -> Any:
    """The month with an erratum about one of its verdicts, logged on the last day."""
    old = MONTH[of].record.payload
    assert isinstance(old, Verdict)
    erratum = ERRATUM(  # type: ignore[call-arg]
        check=old.check,
        entry=of,
        verdict=MONTH[of].digest,
        as_of=old.as_of,
        changed=changed,
        packs=("ab" * 32,),
        **{f"old_{name}": getattr(old, name) for name in ("state", "reason", "source")},
        new_state=new.value,
        new_reason="Today's check says so.",
        new_source=old.source,
    )
    made = record(erratum, "erratum", f"check:{old.check}", Window(FIRST, LAST).end - timedelta(hours=1))
    return [*MONTH, dataclasses.replace(MONTH[0], index=len(MONTH), digest="ab" * 32, record=made)]


def last_of(check: str) -> int:
    return max(entry.index for entry in MONTH if getattr(entry.record.payload, "check", "") == check)


def test_a_verdict_that_was_corrected_to_failed_is_an_exception_and_no_longer_verified() -> None:
    files = document_files(engagement(entries=corrected(last_of("ING-01"), State.FAILED)))
    row = next(r for r in parse_strict(files["02-control-matrix/matrix.json"])["rows"] if r["id"] == "ING-01")
    assert row["result"]["word"] == "failed"
    assert row["deviations"]["deviating"] == 1
    told_ = parse_strict(files["07-exceptions/exceptions.json"])["exceptions"]
    [one] = [one for one in told_ if one["check"] == "ING-01"]
    assert (one["status"], one["corrections"]) == ("open", [len(MONTH)])
    [change] = parse_strict(files["09-changes/changes.json"])["errata"]
    assert (change["from"], change["to"], change["taken_back"]) == ("satisfied", "failed", False)
    for name in ("07-exceptions/exceptions.json", "09-changes/changes.json"):
        assert SCHEMA.is_valid(parse_strict(files[name]))


def test_a_retest_that_was_corrected_is_none() -> None:
    retest = exceptions()["RLS-01"]["retest"]["entry"]
    files = document_files(engagement(entries=corrected(retest, State.UNKNOWN)))
    found = {one["check"]: one for one in parse_strict(files["07-exceptions/exceptions.json"])["exceptions"]}
    assert found["RLS-01"]["retest"]["entry"] > retest


def test_a_milder_correction_takes_no_exception_away_and_one_taken_back_changes_nothing() -> None:
    failed = exceptions()["RLS-01"]["first_seen"]["entry"]
    milder = document_files(engagement(entries=corrected(failed, State.SATISFIED)))
    found = {one["check"]: one for one in parse_strict(milder["07-exceptions/exceptions.json"])["exceptions"]}
    assert found["RLS-01"]["first_seen"] == exceptions()["RLS-01"]["first_seen"]
    assert found["RLS-01"]["corrections"] == [len(MONTH)]
    back = document_files(engagement(entries=corrected(last_of("ING-01"), State.FAILED, changed=())))
    assert back["02-control-matrix/matrix.json"] == AUDITOR["02-control-matrix/matrix.json"]


# --- verdicts of other versions -------------------------------------------------------------------


def test_a_failure_of_an_earlier_version_without_todays_facts_is_still_told() -> None:
    moment = AS_OF - timedelta(days=1, hours=1)
    old = verdict("RLS-01", State.FAILED, moment, scope(), (), source="0d" * 32, claims=("OLD-01",))
    old = dataclasses.replace(old, facts={"deviations": 1})
    log = LogOf()
    log.add(record(old, "RLS-01", "check:RLS-01", moment))
    files = document_files(engagement(entries=log.entries))
    row = next(r for r in parse_strict(files["02-control-matrix/matrix.json"])["rows"] if r["id"] == "RLS-01")
    assert (row["result"]["word"], row["result"]["measured"]) == ("failed", "")


def test_an_earlier_version_verifies_nothing_today() -> None:
    moment = AS_OF - timedelta(days=1, hours=1)
    old = verdict("RLS-01", State.SATISFIED, moment, scope(), (), source="0d" * 32)
    log = LogOf()
    log.add(record(old, "RLS-01", "check:RLS-01", moment))
    files = document_files(engagement(entries=log.entries))
    row = next(r for r in parse_strict(files["02-control-matrix/matrix.json"])["rows"] if r["id"] == "RLS-01")
    assert row["result"]["word"] == "not shown"
    assert "another version" in row["result"]["reason"]


# --- responsibilities and changes -----------------------------------------------------------------


def test_responsibilities_tell_how_their_claims_stand() -> None:
    found = document("08-responsibilities/responsibilities.json")
    first = found["customer"][0]
    assert first["id"] == "CUEC-01"
    assert {claim["id"]: claim["word"] for claim in first["claims"]}["ING-01"] == "verified"
    aws = {claim["id"]: claim["word"] for claim in found["customer"][1]["claims"]}
    assert aws["AWS-01"] is None, "not in the catalogue yet"


def test_changes_tell_verdicts_scope_and_source() -> None:
    found = document("09-changes/changes.json")
    mine = [(one["from"], one["to"], one["at"][:10]) for one in found["verdicts"] if one["check"] == "RLS-01"]
    assert mine == [
        ("satisfied", "failed", "2026-11-07"),
        ("failed", "unknown", "2026-11-09"),
        ("unknown", "failed", "2026-11-10"),
        ("failed", "satisfied", "2026-11-11"),
    ]
    [unit] = found["scope"]
    assert (unit["unit"], unit["change"]) == (f"aws.rds/{ACCOUNTS[1]}/us-east-1", "came")
    [source] = found["sources"]
    assert source["to"] == CHECKS["RLS-01"].source
    assert "RLS-01" in source["checks"]
    assert found["claims"]["known"] is False


def test_changes_of_claims_are_told_when_the_earlier_catalogue_is_known() -> None:
    first, second, *rest = CATALOGUE.areas[0].claims
    reworded = dataclasses.replace(second, asserted="It was said otherwise.")
    withdrawn = dataclasses.replace(first, id="OLD-01")
    area = dataclasses.replace(CATALOGUE.areas[0], claims=(withdrawn, reworded, *rest))
    earlier = Catalogue((area, *CATALOGUE.areas[1:]), CATALOGUE.criteria)
    files = document_files(engagement(entries=MONTH, earlier=earlier))
    claims = parse_strict(files["09-changes/changes.json"])["claims"]
    assert (claims["added"], claims["withdrawn"], claims["changed"]) == ([first.id], ["OLD-01"], [second.id])
    assert claims["from"] == catalogue_digest(earlier) != claims["to"]


def test_a_unit_that_went_or_is_described_otherwise_is_told() -> None:
    log = LogOf()
    start = Window(FIRST, LAST).start
    units = scope().units
    changed = dataclasses.replace(units[0], attributes={"application_role": "another"})
    for day, over in ((-1, units), (2, (changed, *units[1:])), (4, (changed,))):
        made = dataclasses.replace(scope(), units=tuple(over))
        log.add(record(made, "scope", "project:demo", start + timedelta(days=day)))
    files = document_files(engagement(entries=log.entries))
    told_ = parse_strict(files["09-changes/changes.json"])["scope"]
    assert [(one["unit"], one["change"]) for one in told_ if one["at"] < "2026-11-05"] == [
        ("databases/core", "described otherwise")
    ]
    assert {one["change"] for one in told_ if one["at"] > "2026-11-05"} == {"went"}
    assert re.fullmatch(r"[0-9a-f]{64}", catalogue_digest(CATALOGUE))
