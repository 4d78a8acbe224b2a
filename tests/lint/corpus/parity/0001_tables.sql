CREATE ROLE parity_app LOGIN NOSUPERUSER;
CREATE SCHEMA core;
CREATE TABLE core.tenant (id uuid PRIMARY KEY, name text NOT NULL);
CREATE TABLE core.invoice (
    id uuid NOT NULL,
    tenant_id uuid NOT NULL REFERENCES core.tenant (id) ON DELETE CASCADE,
    amount numeric(10, 2) DEFAULT 0 CHECK (amount >= 0),
    CONSTRAINT invoice_key PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, amount)
);
CREATE TABLE core.event (tenant_id uuid NOT NULL, at timestamp with time zone NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE core.event_2026 PARTITION OF core.event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE core.event_2027 (tenant_id uuid NOT NULL, at timestamp with time zone NOT NULL);
ALTER TABLE core.event ATTACH PARTITION core.event_2027 FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
CREATE TABLE member (user_id uuid, tenant_id uuid NOT NULL, "Role" text);
CREATE TABLE draft (LIKE member);
CREATE TABLE orphan (id int, org_id int);
