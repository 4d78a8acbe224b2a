"""Who tells? Claims compiled into pages and packs."""
