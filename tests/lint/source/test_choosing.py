"""Which files are read: those whose bytes say that a rule could find something in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from lint.config import LintConfig
from lint.files import SourceFile
from lint.source.interest import Words, breaks_alone, connects, login_words, sets_something
from lint.source.interest_models import defines_models, takes_table, uses_name

NAMES = (b"run_as_bypass", b"runAsBypass")
LOGINS = login_words(LintConfig())


def file(text: str, path: str = "app/a.py") -> SourceFile:
    return SourceFile(path, Path(path), text.encode())


def breaks(text: str, path: str = "app/a.py") -> bool:
    return breaks_alone(file(text, path), NAMES, LOGINS)


@pytest.mark.parametrize(
    "text",
    [
        "run_as_bypass(t, Reason.X, work)",
        "db.execute('SET LOCAL ROLE app_bypass')",
        "db.execute('set role owner')",
        "db.execute(\"SELECT set_config('app.bypass', 'on', true)\")",
        "db.execute('SET row_security = off')",
        "Local = sessionmaker(engine)",
        "session = Session[Row](engine)",
        "url = os.environ['REPORTS_BYPASS_DATABASE_URL']",
        "url = env('SUPABASE_SERVICE_ROLE_KEY')",
        "ALTER ROLE app BYPASSRLS",
    ],
)
def test_a_file_that_may_break_a_rule_is_read(text: str) -> None:
    assert breaks(text)


@pytest.mark.parametrize(
    "text",
    ["tenant_id = 1", "offset = 3", "reset local state", "the set of roles", "BYPASS = True", "dataset role"],
)
def test_a_file_that_only_speaks_like_one_is_not(text: str) -> None:
    assert not breaks(text)


def test_a_script_of_buttons_is_not_read_and_one_that_makes_a_keyed_client_is() -> None:
    assert not breaks("const tenant = useTenant(); list.select(tenant)", "web/a.tsx")
    assert breaks("import { createClient } from '@supabase/supabase-js'", "web/a.ts")
    assert breaks("runAsBypass(id, read)", "api/a.ts")


def test_the_settings_that_hold_a_login_are_the_projects_own() -> None:
    words = login_words(LintConfig(bypass_settings=("*ROOT*_DSN",)))
    assert breaks_alone(file("env('PG_ROOT_RW_DSN')"), (), words)
    assert not breaks_alone(file("env('PG_ROOT_RW_URL')"), (), words)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("engine = create_async_engine(url)", "a.py"),
        ("with db_engine.begin() as c: ...", "a.py"),
        ("async with pool.acquire() as c: ...", "a.py"),
        ("import { Pool } from 'pg'", "a.ts"),
        ("const db = drizzle(url)", "a.ts"),
        ("const c = await readPool.connect()", "a.ts"),
    ],
)
def test_a_file_that_opens_or_takes_a_connection_is_read(text: str, path: str) -> None:
    assert connects(file(text, path))


def test_a_query_builders_conditions_open_no_connection() -> None:
    assert not connects(file("import { eq } from 'drizzle-orm'; eq(a, b)", "a.ts"))
    assert not connects(file("carpool = car.connect_to(engineer)"))


def test_a_change_of_a_setting_is_seen_in_any_case_and_prose_is_not() -> None:
    assert sets_something(file("'Set Local app.tenant_id = 1'"))
    assert sets_something(file("'set {name} = 1'"))
    assert not sets_something(file("# we set localhost, and asset.name"))


@pytest.mark.parametrize(
    "text",
    [
        "from app.models import (\n    Invoice,\n    Order,\n)",
        "from app.models import Invoice as Bill",
        "from app.models import Order, \\\n    Invoice",
        "from app import models\nq = select(models.Invoice)",
        "import app.models.Invoice",
    ],
)
def test_a_name_is_used_where_it_is_imported_or_an_attribute(text: str) -> None:
    assert uses_name(file(text), {b"Invoice"})


@pytest.mark.parametrize(
    "text", ['"""Sends an Invoice."""\nimport os', "class InvoiceForm: ...", "# from the Invoice"]
)
def test_a_name_in_prose_is_not_used(text: str) -> None:
    assert not uses_name(file(text), {b"Invoice"})


def test_a_scripts_function_is_used_by_who_imports_it_or_its_whole_module() -> None:
    named = {b"listOrders"}
    assert uses_name(file("import { listOrders } from './orders'", "a.ts"), named)
    assert uses_name(file("export { listOrders } from './orders'", "a.ts"), named)
    assert uses_name(file("import * as orders from './orders';\norders.listOrders()", "a.ts"), named)
    assert uses_name(file("const { listOrders } = require('./orders')", "a.ts"), named)
    assert not uses_name(file("import { x } from './y';\nclient.listOrders()", "a.ts"), named)


def test_a_member_is_used_wherever_an_object_has_one() -> None:
    assert uses_name(file("import { x } from './y';\nclient.listOrders()", "a.ts"), set(), {b"listOrders"})
    assert not uses_name(file("const listOrders = 1", "a.ts"), set(), {b"listOrders"})


@pytest.mark.parametrize(
    "text",
    [
        "db.select().from(invoices)",
        "db.insert(schema.invoices).values(x)",
        "db.select().from(a).leftJoin(invoices, eq(a.x, invoices.y))",
        "db.query.invoices.findMany()",
        "prisma\n  .invoices\n  .findFirst({})",
        "db.selectFrom('app.invoices as i')",
        "supabase.from('invoices').select()",
    ],
)
def test_a_statement_of_a_script_takes_a_table(text: str) -> None:
    assert takes_table(file(text, "a.ts"), {b"invoices"})


def test_a_list_that_is_called_like_a_table_is_none() -> None:
    text = "const invoices = [];\ninvoices.map(show);\nrender(invoices);"
    assert not takes_table(file(text, "a.ts"), {b"invoices"})


def test_models_of_scripts_are_looked_for_where_a_library_defines_them() -> None:
    assert defines_models(file("export const t = pgTable('t', {})", "a.ts"))
    assert not defines_models(file("import { t } from './schema'", "a.ts"))


def test_a_name_too_short_for_the_index_may_stand_in_any_file() -> None:
    files = [file("tag = 1", "a.py"), file("invoice = 2", "b.py")]
    found = {one.path: names for one, names in Words(files).spelling(["tag", "invoice"])}
    assert found == {"a.py": {b"tag"}, "b.py": {b"tag", b"invoice"}}


def test_words_are_found_again_after_their_memory_was_given_back() -> None:
    words = Words([file("invoice = 2")])
    assert [one.path for one, _ in words.naming(["invoice"])] == ["app/a.py"]
    words.forget()
    assert [one.path for one, _ in words.naming(["invoice"])] == ["app/a.py"]
