"""What the reports show: the platform's state, which others produce; so it is observed and never materialised."""

import dagster as dg

from gsv_ops.maintenance.leftovers import FIND_LEFTOVERS
from gsv_ops.maintenance.logs.report import LOG_REPORT
from gsv_ops.maintenance.status.report import PLATFORM_STATUS
from gsv_ops.operations.report_jobs import report_job

GROUP = "platform"

STATUS = report_job(
    PLATFORM_STATUS,
    dg.AssetKey(["platform", "status"]),
    group=GROUP,
    kinds={"kubernetes"},
    description="The platform on one page, as the job `platform_status` saw it last. What could not be read is told as unknown.",
)
LOGS = report_job(
    LOG_REPORT,
    dg.AssetKey(["platform", "logs"]),
    group=GROUP,
    kinds={"kubernetes"},
    description="What containers' logs take on the nodes, as the job `log_report` saw it last, the fastest-growing first.",
)
LEFTOVERS = report_job(
    FIND_LEFTOVERS,
    dg.AssetKey(["platform", "leftovers"]),
    group=GROUP,
    kinds={"kubernetes"},
    description="What nothing uses any more, as the job `find_leftovers` saw it last, each with the reason. Nothing here deletes it.",
)
REPORTS = (STATUS, LOGS, LEFTOVERS)
