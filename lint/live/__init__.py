"""The catalogue model filled from a running database."""
