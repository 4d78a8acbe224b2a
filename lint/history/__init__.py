"""Migrations replayed as history into the catalogue model."""
