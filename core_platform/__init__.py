"""The multi-tenant platform under audit: what runs."""
