"""Rules over the catalogue model and over source code."""
