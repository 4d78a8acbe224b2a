"""The rule over suppressions: silence has a reason and an end, or it is a finding itself."""

from __future__ import annotations

from lint.rules.rule import Rule

SUP001 = Rule(
    "SUP001",
    "warning",
    "a suppression has expired, is malformed, or suppresses nothing",
    "A suppression without an end outlives its reason: the code around it changes, the person who\n"
    "wrote it leaves, and the finding it hid is a leak that nobody sees. So each one gives the rules,\n"
    "the last day on which it holds, and why; on the day after, what it silenced is reported again\n"
    "together with this warning. One that lacks a part, or names a rule that does not exist, is not\n"
    "heard at all. One that silences nothing is told as information, since it may hide the next fault.",
    "-- posture: ignore RLS010 shared price list\nCREATE POLICY everyone ON price USING (true);",
    "-- posture: ignore RLS010 until 2027-03-01 (pricing-team): shared price list\n"
    "CREATE POLICY everyone ON price USING (true);",
    "never: correct the comment, give it a new end after looking again, or remove\nit.",
    fix=(
        "Write the form in full: codes, until, the last day, who answers for it, and\n"
        "why. When the day has come, look again before renewing it."
    ),
    source=(
        "A rule about the comments that this lint reads. Observed in a public project: an audit\n"
        "of 235 places that skipped its tenant check found 32 that were probably faults."
    ),
)

SUPPRESSION_RULES = (SUP001,)
