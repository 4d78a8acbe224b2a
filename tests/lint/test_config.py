"""A configuration that cannot be used names its key and what is wrong."""

from __future__ import annotations

from typing import Any

import pytest

import lint
from lint import LintConfig, LintConfigError
from lint.config import path_matches


def test_a_mapping_becomes_settings_and_the_rest_keeps_its_default() -> None:
    config = LintConfig.from_mapping(
        {"tenant_columns": ["site_id"], "registry": "a.yaml", "global_tables": {"public.country": "shared"}}
    )
    assert config.tenant_columns == ("site_id",)
    assert config.registry == "a.yaml"
    assert config.is_global("public.country")
    assert config.bypass_names == LintConfig().bypass_names


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"tenant_column": ["a"]}, r"lint\.tenant_column: unknown setting; known are all_tenants, bypass"),
        ({"tenant_columns": "tenant_id"}, r"lint\.tenant_columns: expected a list of texts, got str"),
        ({"exclude": ["a", 3]}, r"lint\.exclude\[1\]: expected a text, got 3"),
        ({"registry": 3}, r"lint\.registry: expected a path, got 3"),
        ({"global_tables": ["a"]}, r"lint\.global_tables: expected a mapping"),
        ({"rls_operations": {"protect": []}}, r"lint\.rls_operations\.protect: name the policies"),
        ({"global_tables": {"a": ""}}, r"lint\.global_tables\.a: give the reason"),
    ],
)
def test_a_wrong_setting_is_named(mapping: dict[str, Any], message: str) -> None:
    with pytest.raises(LintConfigError, match=message):
        LintConfig.from_mapping(mapping)


@pytest.mark.parametrize(
    ("path", "pattern", "matched"),
    [
        ("db.py", "**/db.py", True),
        ("a/b/db.py", "**/db.py", True),
        ("a/mydb.py", "**/db.py", False),
        ("core/tenancy/x.py", "core/tenancy", True),
        ("core/tenancy/x.py", "core/tenancy/", True),
        ("core/tenancy_other/x.py", "core/tenancy", False),
        ("migrations/1.py", "**/migrations/**", True),
    ],
)
def test_a_pattern_matches_as_in_ignore_files(path: str, pattern: str, *, matched: bool) -> None:
    assert path_matches(path, [pattern]) is matched


def test_an_unknown_rule_is_named_and_a_known_one_explained() -> None:
    with pytest.raises(lint.LintError, match="XYZ999: no such rule; known are BYP001"):
        lint.explain("XYZ999")
    assert "FORCE ROW LEVEL SECURITY" in lint.explain("rls004")
