"""What was seen, and can it be proved: records, scope, payload kinds, and the transparency log.

Imports nothing of ours. `evidence.proofs` holds the only canonical JSON, signatures and Merkle code.
"""
