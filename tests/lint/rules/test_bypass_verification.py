"""BYP003: nothing bypasses, and no tenant is bound, before the request is verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

from lint import LintConfig, Report
from lint.api import bypass_inventory

Lint = Callable[..., Report]


def service(body: str, more: str = "", decorator: str = "") -> str:
    text = f"class Ingest(pb2_grpc.IngestServicer):\n    {decorator or 'kind = 1'}\n"
    return (
        text
        + "    def Report(self, request, context):\n"
        + indent(dedent(body), "        ")
        + "\n"
        + dedent(more)
    )


def found(lint: Lint, text: str, config: LintConfig | None = None, **more: str) -> list[str]:
    report = lint({"ingest.py": text, **{f"{name}.py": other for name, other in more.items()}}, config)
    return [finding.message for finding in report.findings if finding.rule == "BYP003"]


BYPASS = "run_as_bypass(tenant, Reason.X, store)"


@pytest.mark.parametrize(
    "body",
    [
        f"{BYPASS}",
        f"{BYPASS}\nverify_hmac(request)",
        f"if request.mac:\n    verify_hmac(request)\n{BYPASS}",
        f"try:\n    verify_hmac(request)\nexcept Bad:\n    log()\n{BYPASS}",
        f"for key in keys:\n    verify_hmac(request, key)\n{BYPASS}",
        f"strict and verify_hmac(request)\n{BYPASS}",
        f"with suppress(Bad):\n    verify_hmac(request)\n{BYPASS}",
        f"if trusted:\n    {BYPASS}\nelse:\n    verify_hmac(request)\n    {BYPASS}",
        f"match request.kind:\n    case 1: verify_hmac(request)\n    case 2: pass\n{BYPASS}",
    ],
)
def test_a_bypass_on_a_path_without_verification_is_found(lint: Lint, body: str) -> None:
    (message,) = found(lint, service(body))
    assert "reached from Ingest.Report on a path that verifies nothing" in message


@pytest.mark.parametrize(
    "body",
    [
        f"verify_hmac(request)\n{BYPASS}",
        f"agent = auth.verify_hmac(request)\n{BYPASS}",
        f"if not verify_hmac(request):\n    return\n{BYPASS}",
        f"if verify_hmac(request):\n    {BYPASS}",
        f"try:\n    verify_hmac(request)\nexcept Bad:\n    context.abort(16, 'no')\n{BYPASS}",
        f"try:\n    verify_hmac(request)\nexcept Bad:\n    return\n{BYPASS}",
        f"if request.old:\n    verify_mac(request)\nelse:\n    verify_hmac(request)\n{BYPASS}",
        f"while True:\n    verify_hmac(request)\n    break\n{BYPASS}",
        f"with verify_hmac(request) as agent:\n    {BYPASS}",
        f"if not request.mac:\n    raise Refused\nverify_hmac(request)\n{BYPASS}",
    ],
)
def test_a_bypass_behind_a_verification_on_every_path_is_right(lint: Lint, body: str) -> None:
    assert found(lint, service(body)) == []


HELPERS = """
def check(request):
    verify_hmac(request)

def maybe(request):
    if request.mac:
        verify_hmac(request)

def keep(tenant):
    run_as_bypass(tenant, Reason.X, store)

def refuse() -> NoReturn:
    raise Refused
"""


@pytest.mark.parametrize("before", ["", "if not request.mac:\n    refuse()\n"])
def test_a_verification_in_another_file_counts(lint: Lint, before: str) -> None:
    text = "from helpers import check, keep, refuse\n" + service(f"{before}check(request)\nkeep(tenant)")
    assert found(lint, text, helpers=HELPERS) == []


@pytest.mark.parametrize(
    "body", ["keep(tenant)", "maybe(request)\nkeep(tenant)", "pool.submit(keep, tenant)"]
)
def test_a_bypass_in_another_file_is_found_with_the_handler_that_reaches_it(lint: Lint, body: str) -> None:
    text = "from helpers import maybe, keep\n" + service(body)
    (message,) = found(lint, text, helpers=HELPERS)
    assert "in keep is reached from Ingest.Report" in message


@pytest.mark.parametrize(
    ("verifier", "told"),
    [
        ("async def verify_hmac(request): ...", "verify_hmac(request)"),
        ("def verify_hmac(request) -> bool: ...", "verify_hmac(request)"),
        ("async def check(request):\n    verify_mac(request)", "check(request)"),
    ],
)
def test_a_verification_that_is_not_awaited_or_not_read_is_none(lint: Lint, verifier: str, told: str) -> None:
    assert len(found(lint, service(f"{told}\n{BYPASS}", verifier))) == 1
    read = f"if not await {told}:\n    return\n{BYPASS}"
    assert found(lint, service(read, verifier)) == []


def test_a_decorator_that_verifies_counts(lint: Lint) -> None:
    text = service(BYPASS).replace("    def Report", "    @verify_hmac\n    def Report")
    assert found(lint, text) == []
    wrapped = "def signed(fn):\n    def inner(self, request, context):\n        verify_hmac(request)\n"
    wrapped += "        return fn(self, request, context)\n    return inner\n"
    own = text.replace("@verify_hmac", "@signed")
    assert found(lint, wrapped + own) == []


def test_a_verifier_of_ones_own_is_configured_by_class_and_method(lint: Lint) -> None:
    text = service(f"self.gate.check(request)\n{BYPASS}")
    gate = "class Gate:\n    def check(self, r): ...\n"
    wired = gate + text.replace("kind = 1", "gate: Gate")
    assert len(found(lint, wired)) == 1
    assert found(lint, wired, LintConfig(verifiers=("Gate.check",))) == []


def test_what_a_verifier_looks_up_to_verify_is_its_own_affair(lint: Lint) -> None:
    more = "def verify_hmac(request):\n    run_as_tenant(request.tenant_id, look_up)\n"
    assert found(lint, service("verify_hmac(request)", more)) == []


def test_a_tenant_bound_before_the_verification_is_found_where_the_program_verifies(lint: Lint) -> None:
    early = service("run_as_tenant(request.tenant_id, write)\nverify_hmac(request)")
    (message,) = found(lint, early + "run_as_bypass(t, r, w)\n")
    assert "binds a tenant on a path from Ingest.Report that verifies nothing" in message


def test_a_tenant_that_the_request_states_is_found_behind_a_verification_too(lint: Lint) -> None:
    claimed = "agent = verify_hmac(request)\nrun_as_tenant(request.tenant_id, write)"
    (message,) = found(lint, service(claimed) + "run_as_bypass(t, r, w)\n")
    assert "not the one that verify_hmac verified" in message
    right = "agent = verify_hmac(request)\nrun_as_tenant(agent.tenant_id, write)"
    assert found(lint, service(right) + "run_as_bypass(t, r, w)\n") == []


def test_a_site_registered_as_verified_is_held_to_it_without_a_known_handler(lint: Lint) -> None:
    sites = "- {id: a, path: a.py, function: store, kind: grpc-after-hmac, reason: r, owner: o}"
    text = "def entry(request):\n    store(1)\ndef store(tenant):\n    run_as_bypass(tenant, Reason.X, w)\n"
    config = LintConfig(registry="sites.yaml")
    report = lint({"a.py": text, "sites.yaml": sites}, config)
    (finding,) = (one for one in report.findings if one.rule == "BYP003")
    assert "reached from entry" in finding.message
    verified = text.replace("store(1)", "store(verify_hmac(request))")
    assert {one.rule for one in lint({"a.py": verified}, config).findings} == {"BYP004"}


def test_a_handler_of_ones_own_is_configured(lint: Lint) -> None:
    text = f"def on_message(request):\n    {BYPASS}\n"
    assert found(lint, text) == []
    assert len(found(lint, text, LintConfig(handlers=("*.py:on_*",)))) == 1


def test_the_inventory_tells_what_evidence_needs(lint: Lint, tmp_path: Path) -> None:
    text = "from helpers import keep\n" + service("agent = verify_hmac(request)\nkeep(agent.tenant)")
    lint(
        {"ingest.py": text, "helpers.py": "def keep(tenant: TenantId):\n    run_as_bypass(tenant, R.X, w)\n"}
    )
    (use,) = bypass_inventory([tmp_path], root=tmp_path)
    assert use.to_json() == {
        "path": "helpers.py",
        "line": 2,
        "function": "keep",
        "name": "run_as_bypass",
        "form": "callback",
        "site": "",
        "kind": "",
        "tenant": "tenant",
        "tenant_origin": "verified",
        "tenant_evidence": "tenant: TenantId",
        "handlers": ("ingest.py:Ingest.Report",),
        "dominated_by": "verify_hmac",
    }
