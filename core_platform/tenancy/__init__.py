"""Roles, sessions, the sealed tenant ticket and the audited bypass."""
