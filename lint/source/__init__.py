"""Application source read by tree-sitter: bypass and tenant-scope sites."""
