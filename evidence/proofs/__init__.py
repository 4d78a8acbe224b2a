"""Canonical JSON, DSSE envelopes, signers, signed notes and Merkle proofs: the leaf everything rests on."""
