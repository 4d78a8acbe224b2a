"""The live twin as a sabotage sees it: typed surfaces of a running copy of the platform.

Implemented in `posture.twin`. A twin has its own Postgres cluster, Redis, AWS account and copy of the
platform's source; what a sabotage breaks there is looked at by the same collectors and judged by the
same checks as production. Product code has no sabotage switch: behaviour is changed by patching the
copy from which the twin's processes start. Surfaces for the API, GitHub, registers and the clock join
with the issues that build those systems.
"""

from __future__ import annotations

from typing import Protocol


class DatabaseSurface(Protocol):
    """The twin's platform database."""

    def execute(self, sql: str) -> None:
        """Run statements as the cluster's superuser, each committed."""


class RedisSurface(Protocol):
    """The twin's nonce and rate-limit store."""

    def execute(self, *command: str | int) -> None:
        """Send one command (``execute("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")``)."""


class SourceSurface(Protocol):
    """The copy of the source tree that the twin's processes start from and the lint reads."""

    def patch(self, path: str, old: str, new: str) -> None:
        """Replace `old`, which must occur exactly once in `path` (relative to the repository's root).

        Raises:
            SabotageError: `old` is not there exactly once: the sabotage no longer fits the code.
        """

    def write(self, path: str, text: str) -> None:
        """Create or replace a file of the copy."""


class IngressSurface(Protocol):
    """The twin's ingress process, started from the patched copy."""

    def environment(self, name: str, value: str) -> None:
        """Set an environment variable of the process before it starts."""


class AwsSurface(Protocol):
    """The twin's AWS account."""

    def call(self, service: str, operation: str, **parameters: object) -> dict[str, object]:
        """Call an operation by its boto3 name (``call("rds", "modify_db_instance", …)``)."""


class Twin(Protocol):
    """A running copy of the platform that may be broken."""

    @property
    def database(self) -> DatabaseSurface:
        """The twin's platform database."""

    @property
    def redis(self) -> RedisSurface:
        """The twin's Redis."""

    @property
    def source(self) -> SourceSurface:
        """The twin's copy of the source."""

    @property
    def ingress(self) -> IngressSurface:
        """The twin's ingress process."""

    @property
    def aws(self) -> AwsSurface:
        """The twin's AWS account."""


class SabotageError(Exception):
    """A sabotage could not be applied: what it wanted to break is not there any more."""
