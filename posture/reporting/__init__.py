"""What a command found, in the formats that other tools read: SARIF, JUnit and GitHub's commands.

The one place that writes them, for every command of Posture. A caller turns its findings into
`ReportItem` and knows nothing of the formats.
"""

from posture.reporting.github import to_github
from posture.reporting.items import Level, ReportItem, ReportRule, RunInfo, Silenced
from posture.reporting.junit import to_junit
from posture.reporting.sarif import to_sarif

__all__ = ["Level", "ReportItem", "ReportRule", "RunInfo", "Silenced", "to_github", "to_junit", "to_sarif"]
