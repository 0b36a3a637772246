"""What the cleanups may find, and what images take, as assets: others leave it behind, so they are observed and never materialised."""

import dagster as dg

from gsv_ops.cleanup.images.report import IMAGE_REPORT
from gsv_ops.operations.report_jobs import report_job

GROUP = "cleanup"
PRUNABLE_KEY = dg.AssetKey(["cleanup", "prunable"])

PRUNABLE = dg.AssetSpec(
    PRUNABLE_KEY,
    group_name=GROUP,
    kinds={"kubernetes"},
    owners=["team:platform"],
    description="How many ReplicaSets, Jobs and pods the cleanups may find, at most, counted from their metadata. The sensors "
    "`prune_…_past_threshold` show it whenever it has changed; the plan of a cleanup says exactly what would go, and why.",
)
IMAGES = report_job(
    IMAGE_REPORT,
    dg.AssetKey(["cleanup", "images"]),
    group=GROUP,
    kinds={"kubernetes"},
    description="What the images on each node take, as the job `image_report` saw it last, and which of them nothing needs.",
)
