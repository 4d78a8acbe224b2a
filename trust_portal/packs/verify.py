"""Verifies an evidence pack offline; being written in the next commit of this folder."""
