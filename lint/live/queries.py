"""The queries over PostgreSQL's system catalogs (manual, chapter 53), each of one set of objects.

They run with search_path = pg_catalog, so that every deparsed name is qualified. Columns that came
with a later version are asked for only where the server has them (`Queries(server_version)`).
"""

from __future__ import annotations

from psycopg.sql import SQL, Composed

_OWN_SCHEMA = SQL("""
  n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'
""")
_OWN = SQL("""
  {schema} AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                              AND d.objid = c.oid AND d.deptype = 'e')
""").format(schema=_OWN_SCHEMA)

TABLES = SQL("""
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relrowsecurity AS enabled,
       c.relforcerowsecurity AS forced, pg_get_userbyid(c.relowner) AS owner,
       c.relkind::text AS kind, c.relpersistence::text AS persistence, c.relispartition AS is_partition,
       CASE WHEN c.relispartition THEN pg_get_expr(c.relpartbound, c.oid) END AS partition_bound,
       CASE WHEN c.relkind = 'p' THEN pg_get_partkeydef(c.oid) END AS partition_key,
       CASE WHEN c.relispartition OR i.parents IS NOT NULL THEN i.parents END AS parents,
       obj_description(c.oid, 'pg_class') AS comment
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
       SELECT array_agg(format('%s.%s', pn.nspname, p.relname) ORDER BY h.inhseqno) AS parents
         FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhparent
         JOIN pg_namespace pn ON pn.oid = p.relnamespace
        WHERE h.inhrelid = c.oid) i ON true
 WHERE c.relkind IN ('r', 'p', 'f') AND {own} ORDER BY 2, 3
""").format(own=_OWN)
COLUMNS = SQL("""
SELECT a.attrelid AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
       NOT a.attnotnull AS nullable, pg_get_expr(d.adbin, d.adrelid) AS default_text,
       a.attgenerated::text AS generated, a.attidentity::text AS identity
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'f') AND {own}
 ORDER BY a.attrelid, a.attnum
""").format(own=_OWN)
POLICIES = SQL("""
SELECT p.polrelid AS oid, p.polname AS name, p.polpermissive AS permissive, p.polcmd::text AS command,
       ARRAY(SELECT CASE WHEN r = 0 THEN 'public' ELSE pg_get_userbyid(r)::text END
               FROM unnest(p.polroles) r) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS using_text,
       pg_get_expr(p.polwithcheck, p.polrelid) AS check_text
  FROM pg_policy p ORDER BY p.polrelid, p.polname
""")
_KEYS = SQL("""
SELECT i.indrelid AS oid, ic.relname AS name, i.indisprimary AS is_primary, i.indisunique AS is_unique,
       i.indisvalid AS valid, am.amname AS method, {nulls} AS nulls_not_distinct,
       pg_get_expr(i.indpred, i.indrelid) AS predicate,
       ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY k(num, at)
               JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.num
              ORDER BY k.at) AS columns,
       CASE WHEN i.indexprs IS NULL THEN '{{}}'::text[]
            ELSE ARRAY(SELECT pg_get_indexdef(i.indexrelid, at, true)
                         FROM generate_series(1, i.indnkeyatts) at) END AS parts,
       ARRAY(SELECT o.opcname::text FROM unnest(i.indclass) WITH ORDINALITY k(oid, at)
               JOIN pg_opclass o ON o.oid = k.oid ORDER BY k.at) AS operator_classes
  FROM pg_index i JOIN pg_class ic ON ic.oid = i.indexrelid JOIN pg_am am ON am.oid = ic.relam
  JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'f') AND {own}
 ORDER BY i.indrelid, ic.relname
""")
_FOREIGN_KEYS = SQL("""
SELECT k.conrelid AS oid, k.conname AS name, format('%s.%s', n.nspname, t.relname) AS target,
       k.confdeltype::text AS on_delete, k.confupdtype::text AS on_update,
       k.confmatchtype = 'f' AS match_full, k.condeferrable AS deferrable, k.convalidated AS validated,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(num, at)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num
              ORDER BY u.at) AS columns,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(num, at)
               JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num
              ORDER BY u.at) AS target_columns,
       ARRAY(SELECT a.attname::text FROM unnest({set_columns}) u(num)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num) AS set_columns
  FROM pg_constraint k JOIN pg_class t ON t.oid = k.confrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE k.contype = 'f' ORDER BY k.conrelid, k.conname
""")
CONSTRAINTS = SQL("""
SELECT k.conrelid AS oid, k.conname AS name, k.contype = 'x' AS exclusion,
       CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid)
            ELSE pg_get_constraintdef(k.oid) END AS definition,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) u(num)
               JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num) AS columns
  FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE k.contype IN ('c', 'x') AND {own} ORDER BY k.conrelid, k.conname
""").format(own=_OWN)
TRIGGERS = SQL("""
SELECT t.tgrelid AS oid, t.tgname AS name, format('%s.%s', fn.nspname, p.proname) AS function,
       t.tgtype::int AS bits, t.tgenabled <> 'D' AS enabled, t.tgconstraint <> 0 AS is_constraint
  FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace fn ON fn.oid = p.pronamespace
  JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT t.tgisinternal AND {own} ORDER BY t.tgrelid, t.tgname
""").format(own=_OWN)
RULES = SQL("""
SELECT w.ev_class AS oid, w.rulename AS name, w.ev_type::text AS event, pg_get_ruledef(w.oid) AS definition,
       ARRAY(SELECT DISTINCT format('%s.%s', rn.nspname, r.relname) FROM pg_depend d
               JOIN pg_class r ON r.oid = d.refobjid JOIN pg_namespace rn ON rn.oid = r.relnamespace
              WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
                AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> w.ev_class) AS reads
  FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p') AND {own} ORDER BY w.ev_class, w.rulename
""").format(own=_OWN)
VIEWS = SQL("""
SELECT n.nspname AS schema, c.relname AS name, pg_get_viewdef(c.oid) AS definition,
       c.relkind = 'm' AS materialized, pg_get_userbyid(c.relowner) AS owner,
       coalesce(o.invoker, false) AS security_invoker, coalesce(o.barrier, false) AS security_barrier,
       o.check_option,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS columns,
       ARRAY(SELECT DISTINCT format('%s.%s', rn.nspname, r.relname) FROM pg_rewrite w
               JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
               JOIN pg_class r ON r.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass
               JOIN pg_namespace rn ON rn.oid = r.relnamespace
              WHERE w.ev_class = c.oid AND r.oid <> c.oid ORDER BY 1) AS reads
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (
       SELECT bool_or(option_value::boolean) FILTER (WHERE option_name = 'security_invoker') AS invoker,
              bool_or(option_value::boolean) FILTER (WHERE option_name = 'security_barrier') AS barrier,
              max(option_value) FILTER (WHERE option_name = 'check_option') AS check_option
         FROM pg_options_to_table(c.reloptions)) o ON true
 WHERE c.relkind IN ('v', 'm') AND {own} ORDER BY 1, 2
""").format(own=_OWN)
_FUNCTIONS = SQL("""
SELECT n.nspname AS schema, p.proname AS name, p.prosecdef AS security_definer, p.prokind = 'p' AS procedure,
       pg_get_userbyid(p.proowner) AS owner, pg_get_function_identity_arguments(p.oid) AS arguments,
       ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) t) AS argument_types,
       ARRAY(SELECT a.name FROM unnest(p.proargnames) WITH ORDINALITY a(name, at)
              WHERE p.proargmodes IS NULL OR p.proargmodes[a.at] IN ('i', 'b', 'v')
              ORDER BY a.at) AS argument_names,
       p.pronargs - p.pronargdefaults AS required_arguments, format_type(p.prorettype, NULL) AS returns,
       p.proretset AS returns_set, p.provolatile::text AS volatility, p.proleakproof AS leakproof,
       l.lanname AS language, {body} AS body, coalesce(p.proconfig, '{{}}') AS settings,
       ARRAY(SELECT CASE WHEN x.grantee = 0 THEN 'public' ELSE pg_get_userbyid(x.grantee)::text END
               FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x
              WHERE x.privilege_type = 'EXECUTE' AND x.grantee <> p.proowner ORDER BY 1) AS executors
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
 WHERE p.prokind IN ('f', 'p', 'w') AND {schema}
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass
                   AND d.objid = p.oid AND d.deptype = 'e')
 ORDER BY 1, 2, 7
""")
GRANTS = SQL("""
SELECT 'relation' AS kind, format('%s.%s', n.nspname, c.relname) AS object, NULL::text AS column,
       x.privilege_type AS privilege, x.grantee, x.is_grantable AS grantable
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL aclexplode(c.relacl) x
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND x.grantee <> c.relowner AND {own}
UNION ALL
SELECT 'sequence', format('%s.%s', n.nspname, c.relname), NULL, x.privilege_type, x.grantee, x.is_grantable
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL aclexplode(c.relacl) x
 WHERE c.relkind = 'S' AND x.grantee <> c.relowner AND {own}
UNION ALL
SELECT 'column', format('%s.%s', n.nspname, c.relname), a.attname, x.privilege_type, x.grantee, x.is_grantable
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace, LATERAL aclexplode(a.attacl) x
 WHERE a.attacl IS NOT NULL AND NOT a.attisdropped AND x.grantee <> c.relowner AND {own}
UNION ALL
SELECT 'schema', n.nspname, NULL, x.privilege_type, x.grantee, x.is_grantable
  FROM pg_namespace n, LATERAL aclexplode(n.nspacl) x WHERE x.grantee <> n.nspowner AND {schema}
 ORDER BY 1, 2, 3, 4, 5
""").format(own=_OWN, schema=_OWN_SCHEMA)
ROLES = SQL("""
SELECT oid, rolname AS name, rolsuper AS superuser, rolbypassrls AS bypass, rolcanlogin AS login,
       rolinherit AS inherit, rolcreaterole AS create_role, rolcreatedb AS create_database,
       rolreplication AS replication
  FROM pg_roles ORDER BY 2
""")
_MEMBERSHIPS = SQL("""
SELECT g.rolname AS role, u.rolname AS member, m.admin_option AS admin,
       {inherit} AS inherit, {set_role} AS set_role
  FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid JOIN pg_roles u ON u.oid = m.member
 ORDER BY 1, 2
""")
SETTINGS = SQL("""
SELECT r.rolname AS role, d.datname AS database, unnest(s.setconfig) AS setting
  FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
  LEFT JOIN pg_database d ON d.oid = s.setdatabase
 WHERE s.setdatabase = 0 OR d.datname = current_database()
 ORDER BY 1, 2, 3
""")
DEFAULT_PRIVILEGES = SQL("""
SELECT pg_get_userbyid(a.defaclrole) AS owner, n.nspname AS schema, a.defaclobjtype::text AS objects,
       x.privilege_type AS privilege, x.grantee
  FROM pg_default_acl a LEFT JOIN pg_namespace n ON n.oid = a.defaclnamespace,
       LATERAL aclexplode(a.defaclacl) x
 WHERE x.grantee <> a.defaclrole ORDER BY 1, 2, 3, 5, 4
""")
SEQUENCES = SQL("""
SELECT n.nspname AS schema, c.relname AS name, pg_get_userbyid(c.relowner) AS owner,
       (SELECT format('%s.%s.%s', tn.nspname, t.relname, a.attname) FROM pg_depend d
          JOIN pg_class t ON t.oid = d.refobjid JOIN pg_namespace tn ON tn.oid = t.relnamespace
          JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
         WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
           AND d.refclassid = 'pg_class'::regclass LIMIT 1) AS owned_by
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'S' AND {own} ORDER BY 1, 2
""").format(own=_OWN)
_PUBLICATIONS = SQL("""
SELECT t.pubname AS publication, format('%s.%s', t.schemaname, t.tablename) AS table,
       {row_filter} AS row_filter, p.puballtables AS all_tables
  FROM pg_publication_tables t JOIN pg_publication p ON p.pubname = t.pubname ORDER BY 1, 2
""")
TYPES = SQL("""
SELECT n.nspname AS schema, t.typname AS name, t.typtype::text AS kind, NOT t.typnotnull AS nullable,
       ARRAY(SELECT e.enumlabel::text FROM pg_enum e WHERE e.enumtypid = t.oid
              ORDER BY e.enumsortorder) AS labels,
       CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE '' END AS base,
       ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
              WHERE k.contypid = t.oid AND k.contype = 'c' ORDER BY k.conname) AS checks
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typtype IN ('e', 'd') AND {schema}
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass
                   AND d.objid = t.oid AND d.deptype = 'e')
 ORDER BY 1, 2
""").format(schema=_OWN_SCHEMA)
SCHEMAS = SQL("""
SELECT n.nspname AS name, pg_get_userbyid(n.nspowner) AS owner FROM pg_namespace n
 WHERE {schema} ORDER BY 1
""").format(schema=_OWN_SCHEMA)

_FOURTEEN, _FIFTEEN, _SIXTEEN = 140000, 150000, 160000


class Queries:
    """The queries whose columns depend on the server; `version` is `server_version_num`."""

    def __init__(self, version: int) -> None:
        self.version = version

    def _since(self, version: int, expression: SQL, otherwise: SQL) -> SQL:
        return expression if self.version >= version else otherwise

    @property
    def keys(self) -> Composed:
        """Indexes and the constraints they carry; NULLS NOT DISTINCT came with 15."""
        nulls = self._since(_FIFTEEN, SQL("i.indnullsnotdistinct"), SQL("false"))
        return _KEYS.format(nulls=nulls, own=_OWN)

    @property
    def foreign_keys(self) -> Composed:
        """Foreign keys; SET NULL (columns) came with 15."""
        columns = self._since(_FIFTEEN, SQL("k.confdelsetcols"), SQL("NULL::int2[]"))
        return _FOREIGN_KEYS.format(set_columns=columns)

    @property
    def functions(self) -> Composed:
        """Functions and procedures; bodies in the SQL standard's form came with 14."""
        body = SQL("coalesce(pg_get_function_sqlbody(p.oid), p.prosrc)")
        return _FUNCTIONS.format(body=self._since(_FOURTEEN, body, SQL("p.prosrc")), schema=_OWN_SCHEMA)

    @property
    def memberships(self) -> Composed:
        """Who is in which role; the options of one grant came with 16."""
        return _MEMBERSHIPS.format(
            inherit=self._since(_SIXTEEN, SQL("m.inherit_option"), SQL("u.rolinherit")),
            set_role=self._since(_SIXTEEN, SQL("m.set_option"), SQL("true")),
        )

    @property
    def publications(self) -> Composed:
        """Tables of each publication; row filters came with 15."""
        return _PUBLICATIONS.format(row_filter=self._since(_FIFTEEN, SQL("t.rowfilter"), SQL("NULL::text")))
