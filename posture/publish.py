"""From the ledger to what others read: the portal, the pack and the PDF summary of the latest verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from checks.check import scope_digest
from checks.kills import newest_kills
from controls.claims import load_catalogue
from controls.verdict import State, Verdict
from evidence.kinds.pack import IssuedPack
from evidence.kinds.twin import KillMatrix
from evidence.payload import Audience
from evidence.proofs.notes import verifier_key_text
from evidence.record import CollectorId, Interval
from evidence.view import Evidence, LoggedRecord
from posture.cli import VERSION
from posture.config import Project
from posture.errors import UsageError
from posture.records import RunClock
from posture.sample_files import pack_files
from posture.workspace import Workspace
from trust_portal.claims import CompiledPosture, compile_claims
from trust_portal.documents.summary import write_summary
from trust_portal.errors import PortalError
from trust_portal.packs.build import Order, PackReport, build_pack
from trust_portal.packs.documents.engagement import Window
from trust_portal.site.build import SiteReport, build_site
from trust_portal.site.twins import LogHead

PACKS = CollectorId("posture.packs", VERSION, "")
KEPT = timedelta(days=3653)
"""Who was given what is told for as long as anybody asks."""


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest verdict of each check, the newest kill matrix, and the moment that they speak for."""

    verdicts: tuple[Verdict, ...]
    kills: KillMatrix
    as_of: datetime


def latest(records: Sequence[LoggedRecord]) -> Latest:
    """What the ledger says last.

    Raises:
        UsageError: nothing was judged yet.
    """
    now = RunClock.now()
    evidence = Evidence(records, as_of=now)
    newest = scope_digest(evidence.scope) if evidence.scope else ""
    verdicts = tuple(
        seen.payload
        for seen in evidence.observed(Verdict)
        if seen.payload.scope == newest or seen.payload.state in (State.FAILED, State.WAIVED)
    )
    if not verdicts:
        raise UsageError("the ledger holds no verdict over the newest scope; run `posture check` first")
    return Latest(verdicts, newest_kills(evidence, now), now)


def compiled(workspace: Workspace) -> CompiledPosture:
    """Every claim of the catalogue, compiled from what the ledger says last.

    Raises:
        UsageError: nothing was judged yet, or a claim's wording is not supported by the facts.
    """
    said = latest(workspace.log.read())
    try:
        return compile_claims(load_catalogue(), said.verdicts, said.kills, as_of=said.as_of)
    except PortalError as error:
        raise UsageError(str(error)) from error


def publish_portal(workspace: Workspace, posture: CompiledPosture) -> SiteReport:
    """Build the static portal where the project says, or under its state.

    Raises:
        UsageError: the project's contact or folder cannot be used.
    """
    ledger = workspace.log.ledger
    title, contact = _title_and_contact(workspace)
    try:
        return build_site(
            posture,
            out=portal_folder(workspace.project),
            title=title,
            contact=contact,
            as_of=posture.as_of,
            log_origin=ledger.origin,
            log_key=log_key(workspace),
            checkpoint=ledger.signed_checkpoint().decode(),
        )
    except PortalError as error:
        raise UsageError(str(error)) from error


@dataclass(frozen=True, slots=True)
class PackOrder:
    """What pack a command asks for (see `trust_portal.packs.build.Order`).

    Attributes:
        engagement: None for the project's name.
        recipient: who gets it; logged for auditors alone.
    """

    engagement: str | None = None
    audience: Audience = Audience.AUDITOR
    window: Window | None = None
    as_of: datetime | None = None
    since: bytes | None = None
    recipient: str = ""


def publish_pack(workspace: Workspace, out: Path, order: PackOrder | None = None) -> PackReport:
    """Write a pack, by default the auditor's over everything, and log that it was issued.

    It is logged when the file is durable and before it has its name: nothing is handed out that is not in
    the log. The pack proves the log as it was before.

    Raises:
        UsageError: the ledger holds no scope or verdict, is too large for one pack, or refused.
    """
    if workspace.signer is None:
        raise UsageError("a pack is signed with the ledger's key: name it as ledger.signer")
    asked = order or PackOrder()
    project, ledger = workspace.project.project, workspace.log.ledger
    records = workspace.log.read()
    made = Order(
        engagement=asked.engagement or project,
        project=project,
        audience=asked.audience,
        window=asked.window,
        as_of=asked.as_of,
        since=asked.since,
        beside=lambda entries, checkpoint: pack_files(
            ledger, records, asked.audience, entries=entries, checkpoint=checkpoint
        ),
    )
    try:
        return build_pack(
            ledger,
            records,
            out,
            signer=workspace.signer,
            order=made,
            announce=lambda report: _log_issued(workspace, report, made, asked.recipient),
        )
    except PortalError as error:
        raise UsageError(str(error)) from error


def _log_issued(workspace: Workspace, report: PackReport, order: Order, recipient: str) -> None:
    clock = RunClock.start()
    now = clock.now()
    issued = IssuedPack(
        sha256=report.sha256,
        audience=order.audience.value,
        window=report.window,
        recipient=recipient or order.engagement,
        entries=report.entries,
        verdicts=report.verdicts,
    )
    record = clock.record(
        unit=f"packs/{order.engagement}",
        subject=f"pack:{report.sha256}",
        kind=IssuedPack,
        payload=issued,
        observed=Interval(now, now),
        lifetime=KEPT,
        by=PACKS,
    )
    workspace.log.append([record])


def publish_summary(workspace: Workspace, posture: CompiledPosture, out: Path) -> int:
    """Write the PDF summary and return its size in bytes.

    Raises:
        PdfUnavailable: Pango is not installed; everything else works without it.
    """
    ledger = workspace.log.ledger
    head = LogHead(ledger.origin, log_key(workspace), ledger.signed_checkpoint().decode())
    title, contact = _title_and_contact(workspace)
    return write_summary(posture, out, title=title, contact=contact, log=head)


def _title_and_contact(workspace: Workspace) -> tuple[str, str]:
    portal = workspace.project.portal
    contact = portal.contact if portal and portal.contact else "security@example.com"
    title = portal.title if portal else workspace.project.project
    return title, contact if ":" in contact else f"mailto:{contact}"


def log_key(workspace: Workspace) -> str:
    """The log's verifier key (c2sp.org/signed-note), the line that auditors pin."""
    if workspace.signer is None:
        raise UsageError("the portal names the ledger's key: name it as ledger.signer")
    return verifier_key_text(workspace.log.ledger.origin, workspace.signer.public)


def portal_folder(project: Project) -> Path:
    """Where a project's portal is built."""
    return project.portal.out if project.portal and project.portal.out else project.state / "portal"
