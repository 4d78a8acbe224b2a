-- A shop as it ran before: tenants side by side, filtered by the application alone.
CREATE SCHEMA shop AUTHORIZATION core_owner;
GRANT USAGE ON SCHEMA shop TO core_app, core_bypass, core_backup;
SET ROLE core_owner;
CREATE TABLE shop.customer (
    tenant_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    email text NOT NULL UNIQUE, -- one tenant can tell whether another knows an address
    PRIMARY KEY (tenant_id, customer_id)
);
CREATE TABLE shop.invoice (
    tenant_id uuid NOT NULL,
    number text NOT NULL,
    customer_id uuid NOT NULL,
    cents bigint NOT NULL CHECK (cents >= 0),
    PRIMARY KEY (tenant_id, number),
    FOREIGN KEY (tenant_id, customer_id) REFERENCES shop.customer (tenant_id, customer_id)
);
GRANT SELECT, INSERT, UPDATE, DELETE ON shop.customer, shop.invoice TO core_app;
RESET ROLE;
