"""What the cleanups may find, as an asset: others leave it behind, so it is observed and never materialised."""

import dagster as dg

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
