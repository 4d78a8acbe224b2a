"""Evidence packs: deterministic zips that verify themselves offline."""
