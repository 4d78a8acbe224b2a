"""The scope of a project: every unit that its `posture.yaml` says is there to be seen.

Made before anything is collected and from the configuration alone, so that no collector defines its own
population. A section that is absent makes no units, and checks over its population end `unknown`.
"""

from __future__ import annotations

from collections.abc import Iterator

from evidence.scope import Scope, Unit
from posture.config import Project

AWS_POPULATIONS = ("aws.rds", "aws.s3", "aws.ec2", "aws.cloudtrail", "aws.guardduty", "aws.config")


def scope_of(project: Project) -> Scope:
    """Everything that one run over the project is expected to see."""
    return Scope(project.project, tuple(_units(project)))


def _units(project: Project) -> Iterator[Unit]:
    for name, database in project.databases.items():
        yield _unit("databases", name, "postgres", {"application_role": database.app_role})
    for name, ingress in project.ingress.items():
        yield _unit("ingress", name, "ingress", {"audience": ingress.audience})
    for name in project.ingestion:
        yield _unit("ingestion", name, "ingestion", {})
    for name in project.platform:
        yield _unit("platform", name, "platform", {})
    for name in project.sources:
        yield _unit("sources", name, "source", {})
    for account, aws in project.aws.accounts.items() if project.aws else ():
        for region in dict.fromkeys(aws.regions):
            for population in AWS_POPULATIONS:
                yield Unit(
                    id=f"{population}/{account}/{region}",
                    population=population,
                    subject=f"aws:{account}/{region}",
                    attributes={"account": account, "region": region},
                )


def _unit(population: str, name: str, prefix: str, attributes: dict[str, str]) -> Unit:
    return Unit(f"{population}/{name}", population, f"{prefix}:{name}", attributes)
