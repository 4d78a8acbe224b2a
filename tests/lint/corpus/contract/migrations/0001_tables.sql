-- Three tables that hold tenant rows, one that does not.
CREATE TABLE tenant (id uuid PRIMARY KEY);

CREATE TABLE invoice (
    id uuid,
    tenant_id uuid NOT NULL REFERENCES tenant (id),
    PRIMARY KEY (tenant_id, id)
);

CREATE TABLE payment (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);

CREATE TABLE note (id uuid PRIMARY KEY, tenant_id uuid NOT NULL);
