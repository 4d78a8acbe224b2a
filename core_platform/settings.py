"""What one platform process needs to run, read from a JSON file.

For operators and for whoever starts a process (the demo, a twin, systemd). Secrets stand in the
file by reference only (``file:`` or ``env:``), so the file itself may be shown to anyone.
"""

import os
import re
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import msgspec

from core_platform.errors import PlatformError
from core_platform.tenancy import PlatformDatabase, SealKey

#: A shorter secret can be guessed; every secret here is a MAC key.
MIN_SECRET_BYTES = 32
#: A shorter external id can be guessed, and then another customer's role assumed through us.
MIN_EXTERNAL_ID = 16
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]{1,512}")


class SettingsError(PlatformError, ValueError):
    """The settings cannot be used; the message names the file, the key and the remedy."""


@dataclass(frozen=True, slots=True)
class SealReference:
    """Which key seals tenant tickets: its id in the database and where its secret is."""

    kid: str
    secret: str


@dataclass(frozen=True, slots=True)
class LogSource:
    """The one place that a tenant's Bedrock invocation logs are read from, and the role that reads them.

    Either ``bucket`` (with ``prefix``) or ``log_group`` is given; a log group is read from the day
    ``since`` on. The role is the tenant's own and asks for ``external_id``. ``metadata_keys`` are the
    request metadata to keep, if the tenant has capture switched on.
    """

    tenant: str
    role_arn: str
    external_id: str
    bucket: str | None = None
    prefix: str = ""
    log_group: str | None = None
    since: str | None = None
    metadata_keys: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.bucket is None) == (self.log_group is None):
            raise ValueError(f"source of tenant {self.tenant}: give either 'bucket' or 'log_group'")
        if not _ROLE_ARN.fullmatch(self.role_arn):
            raise ValueError(f"source of tenant {self.tenant}: 'role_arn' is not the ARN of a role")
        if len(self.external_id) < MIN_EXTERNAL_ID:
            raise ValueError(
                f"source of tenant {self.tenant}: 'external_id' has fewer than {MIN_EXTERNAL_ID} characters; "
                "use one that was made for this tenant alone"
            )
        if self.log_group is not None and _day(self.since) is None:
            raise ValueError(f"source of tenant {self.tenant}: a log group needs 'since', a day (2026-11-01)")

    @property
    def account(self) -> str:
        """The account of the role: the customer's."""
        return self.role_arn.split(":")[4]

    @property
    def first_moment(self) -> datetime:
        """The first moment that is read, in UTC: of `since`, or of all where it is not given."""
        return datetime.combine(_day(self.since) or date.min, time(), UTC)


@dataclass(frozen=True, slots=True)
class IngressSettings:
    """The ingress: where it listens, how it proves itself, and which hellos it takes.

    ``audience`` is the name that agents put into their hello; ``hello_burst`` and
    ``hello_per_second`` bound the hellos of one tenant, and ``recheck_seconds`` how long a revoked key
    keeps a stream that it opened.
    """

    audience: str
    certificate: str
    private_key: str
    redis_url: str
    peppers: dict[str, str]
    listen: str = "127.0.0.1:50051"
    client_ca: str | None = None
    hello_burst: int = 100
    hello_per_second: int = 20
    redis_timeout_ms: int = 500
    recheck_seconds: int = 10
    database_threads: int = 4


@dataclass(frozen=True, slots=True)
class RedactionSettings:
    """Where invocation logs are read, and the key that their hashes are derived from."""

    hash_key: str
    sources: tuple[LogSource, ...] = ()
    aws_endpoint_url: str | None = None
    region: str = "us-east-1"


@dataclass(frozen=True, slots=True)
class PlatformSettings:
    """Everything a process of the platform may need; a part it does not use may be left out."""

    app_url: str
    seal: SealReference
    bypass_url: str | None = None
    ingress: IngressSettings | None = None
    redaction: RedactionSettings | None = None
    folder: Path = field(default=Path(), kw_only=True)

    def path(self, name: str) -> Path:
        """A file named in the settings; relative names start at the settings file's folder."""
        return self.folder / name

    def file(self, name: str) -> bytes:
        """The content of a file named in the settings.

        Raises:
            SettingsError: it cannot be read.
        """
        try:
            return self.path(name).read_bytes()
        except OSError as error:
            raise SettingsError(f"{self.path(name)}: {error.strerror}") from None

    def secret(self, reference: str) -> bytes:
        """The bytes behind ``file:NAME`` or ``env:NAME``, written there as hexadecimal digits.

        Raises:
            SettingsError: the reference has no such scheme, leads nowhere, or the secret is short.
        """
        return _secret(self, reference)

    def pepper_bytes(self) -> dict[str, bytes]:
        """The ingress's peppers by version."""
        return {name: self.secret(ref) for name, ref in self.require_ingress().peppers.items()}

    def require_ingress(self) -> IngressSettings:
        """The ingress part.

        Raises:
            SettingsError: the settings have none.
        """
        if self.ingress is None:
            raise SettingsError("settings: key 'ingress' is missing; add it to run the ingress")
        return self.ingress

    def require_redaction(self) -> RedactionSettings:
        """The redaction part.

        Raises:
            SettingsError: the settings have none.
        """
        if self.redaction is None:
            raise SettingsError("settings: key 'redaction' is missing; add it to ingest logs")
        return self.redaction


def read_settings(file: Path) -> PlatformSettings:
    """Read and check a settings file.

    Raises:
        SettingsError: unreadable, not JSON, an unknown or missing key, or a wrong type.
    """
    try:
        document = msgspec.json.decode(file.read_bytes())
    except OSError as error:
        raise SettingsError(f"{file}: cannot be read ({error.strerror}); give a file") from None
    except msgspec.DecodeError as error:
        raise SettingsError(f"{file}: not JSON: {error}") from None
    return parse_settings(document, origin=str(file), folder=file.parent)


def open_database(settings: PlatformSettings) -> PlatformDatabase:
    """The platform's database, after its logins were found fit to serve.

    Raises:
        PlatformError: the seal cannot be read, or a login could reach round row security.
    """
    seal = SealKey(settings.seal.kid, settings.secret(settings.seal.secret))
    database = PlatformDatabase(settings.app_url, seal=seal)
    database.verify_logins()
    return database


def parse_settings(document: object, *, origin: str, folder: Path) -> PlatformSettings:
    """Build settings from decoded JSON; ``origin`` names it in errors.

    Raises:
        SettingsError: as `read_settings`.
    """
    if isinstance(document, dict):
        _refuse_unknown_keys(document, PlatformSettings, origin, "")
        for name, part in _PARTS.items():
            _refuse_unknown_keys(document.get(name), part, origin, f"{name}.")
    try:
        return replace(msgspec.convert(document, PlatformSettings), folder=folder)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{origin}: {error}") from None


_PARTS: dict[str, type] = {
    "seal": SealReference,
    "ingress": IngressSettings,
    "redaction": RedactionSettings,
}


def _day(text: str | None) -> date | None:
    """The day of a text, or None if it is none."""
    try:
        return date.fromisoformat(text or "")
    except ValueError:
        return None


def _refuse_unknown_keys(document: object, shape: type, origin: str, prefix: str) -> None:
    if not isinstance(document, dict):
        return
    known = {one.name for one in fields(shape)} - {"folder"}
    if unknown := sorted(set(document) - known):
        needed = ", ".join(sorted(known))
        raise SettingsError(f"{origin}: unknown key '{prefix}{unknown[0]}'; known here: {needed}")
    required = {one.name for one in fields(shape) if _is_required(one)}
    if absent := sorted(required - set(document)):
        raise SettingsError(f"{origin}: key '{prefix}{absent[0]}' is missing")


def _is_required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _secret(settings: PlatformSettings, reference: str) -> bytes:
    scheme, _, name = reference.partition(":")
    digits = _read_reference(settings, scheme, name, reference)
    try:
        secret = bytes.fromhex(digits.strip())
    except ValueError:
        raise SettingsError(f"secret {reference}: not hexadecimal digits") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsError(
            f"secret {reference}: {len(secret)} bytes, at least {MIN_SECRET_BYTES} are needed"
        )
    return secret


def _read_reference(settings: PlatformSettings, scheme: str, name: str, reference: str) -> str:
    if scheme == "file":
        try:
            return settings.path(name).read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"secret {reference}: {type(error).__name__}") from None
    if scheme == "env":
        if (value := os.environ.get(name)) is None:
            raise SettingsError(f"secret {reference}: the variable is not set")
        return value
    raise SettingsError("a secret must be a reference: file:NAME or env:NAME, in hexadecimal")
