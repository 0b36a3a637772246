"""The desk's own asset: others freeze it, so it is observed and never materialised."""

import dagster as dg

GROUP = "desk"
FREEZE_KEY = dg.AssetKey(["desk", "freeze"])

FREEZE_ASSET = dg.AssetSpec(
    FREEZE_KEY,
    group_name=GROUP,
    kinds={"kubernetes"},
    owners=["team:platform"],
    description="Whether the desk is frozen: then no schedule, sensor or operation changes anything. "
    "`freeze_desk` and `unfreeze_desk` change it; the sensor `watch_desk` shows within a minute what the cluster says.",
)
