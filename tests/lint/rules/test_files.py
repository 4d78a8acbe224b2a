"""Policies on the files of a hosted platform."""

from __future__ import annotations

import pytest

from tests.lint.rules.shop import HOSTED, Lint

CHIEF = (
    "CREATE FUNCTION is_chief() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = ''\n"
    "  AS $$ SELECT EXISTS (SELECT 1 FROM public.member m WHERE m.user_id = auth.uid() AND {}) $$;\n"
)


def told(lint: Lint, tail: str, before: str = "") -> list[tuple[str, str]]:
    text = f"{HOSTED}{before}CREATE POLICY files ON storage.objects {tail};\n"
    return [(one.rule, one.severity) for one in lint({"m/1.sql": text}).findings if one.rule == "RLS011"]


@pytest.mark.parametrize(
    ("tail", "severity"),
    [
        ("FOR INSERT TO authenticated WITH CHECK (bucket_id = 'bills')", "warning"),
        ("FOR DELETE USING (bucket_id = 'bills' AND auth.role() = 'authenticated')", "warning"),
        ("FOR SELECT TO authenticated USING (bucket_id = 'bills')", "info"),
    ],
)
def test_a_bucket_alone_is_everybodys(lint: Lint, tail: str, severity: str) -> None:
    assert told(lint, tail) == [("RLS011", severity)]


@pytest.mark.parametrize(
    "tail",
    [
        "FOR INSERT TO authenticated WITH CHECK (bucket_id = 'bills' AND owner = auth.uid())",
        "FOR DELETE USING (bucket_id = 'bills' AND (storage.foldername(name))[1] = auth.uid()::text)",
        "FOR ALL TO service_role USING (bucket_id = 'bills')",
        "FOR SELECT TO anon USING (bucket_id = 'logos')",
    ],
)
def test_a_file_that_is_tied_to_somebody_or_meant_for_all_is_right(lint: Lint, tail: str) -> None:
    assert told(lint, tail) == []


def test_a_chief_of_any_tenant_is_not_the_files_tenants(lint: Lint) -> None:
    tail = "FOR DELETE TO authenticated USING (bucket_id = 'bills' AND is_chief())"
    assert told(lint, tail, CHIEF.format("m.rank = 'chief'")) == [("RLS011", "warning")]
    named = (
        "FOR DELETE TO authenticated USING (bucket_id = 'bills' AND name LIKE (SELECT my_folder()) || '%')"
    )
    assert told(lint, named, CHIEF.format("m.rank = 'chief'")) == []
