"""Operations (MON, AVL): is the account watched, and could it be restored?

Judged in every account and region of the scope, so that one region left out is a deviation and not a
smaller population.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from checks.check import Expect, check, sabotage, undecided
from checks.judgement import deviation, seen, weigh
from checks.populations import CLOUDTRAIL, CONFIG, DAILY, GUARDDUTY, RDS
from checks.twin import Twin
from controls.verdict import Deviation, Verdict
from evidence.kinds.aws import CloudTrails, ConfigRecorders, GuardDutyDetectors, RdsInstances, Trail
from evidence.scope import Scope
from evidence.view import Evidence, Observation

#: The retention that the security page promises; it is also the longest that RDS offers.
BACKUP_RETENTION_DAYS = 35

Trails = tuple[Observation[CloudTrails], ...]
Detectors = tuple[Observation[GuardDutyDetectors], ...]
Recorders = tuple[Observation[ConfigRecorders], ...]


# --- MON-01 ---------------------------------------------------------------------------------------


@check(
    "MON-01",
    expects=[
        Expect(CloudTrails, over=CLOUDTRAIL, every=DAILY),
        Expect(GuardDutyDetectors, over=GUARDDUTY, every=DAILY),
        Expect(ConfigRecorders, over=CONFIG, every=DAILY),
    ],
)
def accounts_are_watched(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """CloudTrail, GuardDuty and Config watch every account and region in scope."""
    trails = seen(evidence, scope, CloudTrails, over=CLOUDTRAIL)
    detectors = seen(evidence, scope, GuardDutyDetectors, over=GUARDDUTY)
    recorders = seen(evidence, scope, ConfigRecorders, over=CONFIG)
    if not (trails or detectors or recorders):
        return undecided("No account was asked what watches it: nothing was shown.")
    subjects = {
        *(one.subject for one in trails),
        *(one.subject for one in detectors),
        *(one.subject for one in recorders),
    }
    return weigh(
        [*_untrailed(trails), *_undetected(detectors), *_unrecorded(recorders)],
        (),
        facts={"accounts_and_regions": len(subjects)},
        holds="CloudTrail, GuardDuty and Config watch all {accounts_and_regions} accounts and regions.",
        fails="{deviations} gaps in what watches {accounts_and_regions} accounts and regions.",
    )


def _untrailed(regions: Trails) -> Iterator[Deviation]:
    """One good trail is enough; where none is, each trail says what it lacks."""
    for region in regions:
        lacking = {trail.name: _lacks(trail) for trail in region.payload.trails}
        if not lacking:
            yield deviation(region, "there is no CloudTrail trail", f"CloudTrail in {region.subject}")
        if all(lacking.values()):
            for name, lacks in lacking.items():
                yield deviation(region, f"the trail {', '.join(lacks)}", name)


def _lacks(trail: Trail) -> list[str]:
    wanted = {
        "is not logging": trail.logging,
        "covers one region only": trail.multi_region,
        "does not validate its log files": trail.log_file_validation,
    }
    return [lack for lack, present in wanted.items() if not present]


def _undetected(regions: Detectors) -> Iterator[Deviation]:
    for region in regions:
        if region.payload.enabled < 1:
            what = f"none of {region.payload.count} detectors is enabled"
            yield deviation(region, what, f"GuardDuty in {region.subject}")


def _unrecorded(regions: Recorders) -> Iterator[Deviation]:
    for region in regions:
        if region.payload.recording < 1:
            what = f"none of {region.payload.count} recorders is recording"
            yield deviation(region, what, f"Config in {region.subject}")


@sabotage("MON-01", "trail stops logging", names="platform-trail")
def stop_the_trail(twin: Twin) -> None:
    """The trail is still listed."""
    twin.aws.call("cloudtrail", "stop_logging", Name="platform-trail")


@sabotage("MON-01", "trail narrowed to one region", names="platform-trail")
def narrow_the_trail(twin: Twin) -> None:
    """It logs, and not everywhere."""
    twin.aws.call("cloudtrail", "update_trail", Name="platform-trail", IsMultiRegionTrail=False)


@sabotage("MON-01", "GuardDuty detector deleted", names="GuardDuty")
def delete_the_detector(twin: Twin) -> None:
    """Nobody looks for threats any more."""
    listed = twin.aws.call("guardduty", "list_detectors")["DetectorIds"]
    for detector in listed if isinstance(listed, list) else ():
        twin.aws.call("guardduty", "delete_detector", DetectorId=detector)


@sabotage("MON-01", "Config recorder stopped", names="Config")
def stop_the_recorder(twin: Twin) -> None:
    """The recorder exists and records nothing."""
    twin.aws.call("config", "stop_configuration_recorder", ConfigurationRecorderName="default")


# --- AVL-03 ---------------------------------------------------------------------------------------


@check("AVL-03", expects=[Expect(RdsInstances, over=RDS, every=DAILY)])
def databases_survive_a_zone(evidence: Evidence, scope: Scope, _as_of: datetime) -> Verdict:
    """Every database instance runs in several zones and keeps its backups for 35 days."""
    regions = seen(evidence, scope, RdsInstances, over=RDS)
    instances = [instance for region in regions for instance in region.payload.instances]
    if not instances:
        return undecided("No database instance exists in scope: nothing was shown.")
    unlisted = [
        f"{region.payload.count} instances were counted and {len(region.payload.instances)} described."
        for region in regions
        if region.payload.count != len(region.payload.instances)
    ]
    return weigh(
        _fragile(regions),
        unlisted,
        facts={
            "instances": len(instances),
            "multi_az": sum(1 for instance in instances if instance.multi_az),
            "retention_days": min(instance.backup_retention_days for instance in instances),
        },
        holds="All {instances} instances are Multi-AZ and keep backups for {retention_days} days.",
        fails="{multi_az} of {instances} instances are Multi-AZ; backups last {retention_days} days.",
    )


def _fragile(regions: tuple[Observation[RdsInstances], ...]) -> Iterator[Deviation]:
    for region in regions:
        for instance in region.payload.instances:
            if not instance.multi_az:
                yield deviation(region, "the instance runs in one zone", instance.identifier)
            if instance.backup_retention_days < BACKUP_RETENTION_DAYS:
                what = f"backups are kept for {instance.backup_retention_days} days"
                yield deviation(region, what, instance.identifier)


@sabotage("AVL-03", "backup retention cut to 7 days", names="core-primary")
def shorten_retention(twin: Twin) -> None:
    """A week instead of five."""
    twin.aws.call(
        "rds",
        "modify_db_instance",
        DBInstanceIdentifier="core-primary",
        BackupRetentionPeriod=7,
        ApplyImmediately=True,
    )


@sabotage("AVL-03", "instance moved to a single zone", names="core-replica")
def leave_one_zone(twin: Twin) -> None:
    """Multi-AZ switched off."""
    twin.aws.call(
        "rds",
        "modify_db_instance",
        DBInstanceIdentifier="core-replica",
        MultiAZ=False,
        ApplyImmediately=True,
    )
