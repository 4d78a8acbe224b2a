"""The transparency log: a directory in the C2SP tlog-tiles layout with one sequencer.

`Ledger` appends and proves, `verify_ledger` checks a whole log without trusting it.
"""

from evidence.ledger.entries import EntryFacts, PendingEntry, SignedEntry, statement_facts
from evidence.ledger.log import Ledger, Receipt
from evidence.ledger.report import Problem, VerifyReport
from evidence.ledger.verify import verify_ledger

__all__ = [
    "EntryFacts",
    "Ledger",
    "PendingEntry",
    "Problem",
    "Receipt",
    "SignedEntry",
    "VerifyReport",
    "statement_facts",
    "verify_ledger",
]
