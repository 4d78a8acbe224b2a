"""Bedrock invocation logs, ingested by projection so that no prompt enters the platform."""
