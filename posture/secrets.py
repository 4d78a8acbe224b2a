"""Secrets by reference: where a value lies, never the value, so that a file can be shown to anyone.

For whoever configures Posture. `env:NAME` is an environment variable, `file:path` a file's content
without the final line break, `aws-secretsmanager:name` the current version of a secret. Values are
read when they are used, so a command needs only the secrets of what it touches.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from posture.errors import UsageError

SCHEMES = ("env", "file", "aws-secretsmanager")
HOW_TO_REFER = "refer to it as env:NAME, file:path or aws-secretsmanager:name"
KEY_SCHEMES = ("env", "file", "awskms")
HOW_TO_REFER_TO_A_KEY = "refer to it as env:NAME, file:path or awskms:KEY"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in which file something is said: the key as a dotted path, the line from 1 (0: none)."""

    file: str
    line: int = 0
    key: str = ""

    def __str__(self) -> str:
        return ": ".join(filter(None, [f"{self.file}:{self.line}" if self.line else self.file, self.key]))


class ConfigError(UsageError):
    """The configuration cannot be used; one line: file, line, key, the problem, the remedy."""

    def __init__(self, place: Place, problem: str, remedy: str) -> None:
        self.place = place
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{place}: {problem}; {remedy}")


def is_reference(text: str, schemes: Collection[str] = SCHEMES) -> bool:
    """Whether `text` names a place of a secret rather than being one."""
    scheme, colon, name = text.partition(":")
    return bool(colon and name) and scheme in schemes


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference to a secret, and who asks for it. `file:` paths start from `base`."""

    text: str
    base: Path = field(default=Path(), compare=False)
    place: Place = field(default=Place("posture"), compare=False)

    def resolve(self) -> str:
        """The value; ConfigError names line, key and remedy when it is not to be had."""
        scheme, _, name = self.text.partition(":")
        read = {"env": self._env, "file": self._file, "aws-secretsmanager": self._aws}.get(scheme)
        if read is None:
            raise ConfigError(self.place, "is no reference to a secret", HOW_TO_REFER)
        value = read(name)
        if not value:
            raise ConfigError(self.place, f"{self.text} is empty", "put the secret there")
        return value

    def _env(self, name: str) -> str:
        value = os.environ.get(name)
        if value is None:
            raise ConfigError(
                self.place,
                f"the environment variable {name} is not set",
                f"set it (export {name}=…) or refer to another place",
            )
        return value

    def _file(self, name: str) -> str:
        path = self.base / Path(name).expanduser()
        try:
            return path.read_text().rstrip("\r\n")
        except (OSError, ValueError, RuntimeError) as failure:
            raise ConfigError(
                self.place,
                f"the secret's file {path} cannot be read ({_why(failure)})",
                "create it, readable by this user, or refer to another place",
            ) from failure

    def _aws(self, name: str) -> str:
        try:
            import boto3
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as missing:
            raise ConfigError(
                self.place, f"{self.text} needs boto3", "pip install 'tensorcost-posture[aws]'"
            ) from missing
        try:
            secret = boto3.client("secretsmanager").get_secret_value(SecretId=name, VersionStage="AWSCURRENT")
        except (BotoCoreError, ClientError) as refusal:
            raise ConfigError(
                self.place,
                f"AWS Secrets Manager did not give {name} ({refusal})",
                "check its name, the region (AWS_REGION) and secretsmanager:GetSecretValue",
            ) from refusal
        return str(secret.get("SecretString") or "")


@dataclass(frozen=True, slots=True)
class Url(Secret):
    """The address of a server: written out when it holds no password, else by reference."""

    def resolve(self) -> str:
        """The URL; ConfigError as for a secret."""
        return Secret.resolve(self) if is_reference(self.text) else self.text


class Key(Secret):
    """A reference to a signing key; the key itself is never read as text (`posture.workspace` loads it)."""


def resolve(reference: str | Secret) -> str:
    """The value of a reference such as `env:DATABASE_URL`; ConfigError when it is not to be had."""
    return reference.resolve() if isinstance(reference, Secret) else Secret(reference).resolve()


def _why(failure: Exception) -> str:
    return failure.strerror or str(failure) if isinstance(failure, OSError) else str(failure)
