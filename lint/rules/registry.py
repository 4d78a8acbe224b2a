"""The table of rules: code, severity, title and the explanation that `--explain` prints.

A rule is a generator from what it reads to findings; documentation is generated from this table,
so an explanation always holds an example that fails and its fix.
"""

from __future__ import annotations

from lint.rules.bypass_rules import BYPASS_RULES
from lint.rules.database_rules import DATABASE_RULES
from lint.rules.path_rules import PATH_RULES
from lint.rules.rule import Rule
from lint.rules.suppression_rules import SUPPRESSION_RULES
from lint.rules.table_rules import TABLE_RULES
from lint.rules.wrap_rules import WRAP_RULES

#: Rule by code, in the order of the codes.
RULES: dict[str, Rule] = {
    rule.code: rule
    for rule in sorted(
        (*TABLE_RULES, *DATABASE_RULES, *PATH_RULES, *BYPASS_RULES, *WRAP_RULES, *SUPPRESSION_RULES),
        key=lambda rule: rule.code,
    )
}
