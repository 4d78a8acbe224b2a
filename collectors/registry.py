"""Every collector, by the population of the scope whose units it looks at.

The modules are named by text and imported when asked for: a population of which a project has no
units never costs an import, nor an extra that is not installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Final

from collectors.collector import Collector
from collectors.errors import CollectorError

COLLECTORS: Final[Mapping[str, tuple[str, ...]]] = {
    "databases": (
        "collectors.row_security:RowSecurityCollector",
        "collectors.isolation:IsolationCollector",
        "collectors.rls_waves:RlsWavesCollector",
        "collectors.populations:PopulationsCollector",
    ),
    "ingress": (
        "collectors.ingress_attack:IngressAttackCollector",
        "collectors.ingress_attack:StreamTenancyCollector",
        "collectors.tls:TlsCollector",
    ),
    "ingestion": (
        "collectors.canaries:CanaryCollector",
        "collectors.body_hashes:BodyHashCollector",
    ),
    "platform": ("collectors.tenant_context:TenantContextCollector",),
    "sources": ("collectors.source_lint:SourceLintCollector",),
    "aws.rds": ("collectors.aws.rds:RdsCollector",),
    "aws.s3": ("collectors.aws.s3:S3Collector",),
    "aws.ec2": ("collectors.aws.ec2:Ec2Collector",),
    "aws.cloudtrail": ("collectors.aws.cloudtrail:CloudTrailCollector",),
    "aws.guardduty": ("collectors.aws.guardduty:GuardDutyCollector",),
    "aws.config": ("collectors.aws.config:ConfigCollector",),
}


class UnknownPopulation(CollectorError):
    """The scope names a population that no collector looks at."""


def collectors_for(population: str) -> tuple[Collector[Any], ...]:
    """The collectors of a population, in the order in which they look.

    Raises:
        UnknownPopulation: nobody looks there; naming the populations that are looked at.
    """
    if population not in COLLECTORS:
        raise UnknownPopulation(
            f"no collector looks at {population!r}; known populations: {', '.join(COLLECTORS)}"
        )
    return tuple(_made(path) for path in COLLECTORS[population])


def _made(path: str) -> Collector[Any]:
    module, _, name = path.partition(":")
    collector: Collector[Any] = getattr(importlib.import_module(module), name)()
    return collector
