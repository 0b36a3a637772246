"""The desk's own assets: what they are is decided elsewhere, so they are observed and never materialised."""

import dagster as dg

GROUP = "desk"
FREEZE_KEY = dg.AssetKey(["desk", "freeze"])
ALERTS_KEY = dg.AssetKey(["desk", "alerts"])

FREEZE_ASSET = dg.AssetSpec(
    FREEZE_KEY,
    group_name=GROUP,
    kinds={"kubernetes"},
    owners=["team:platform"],
    description="Whether the desk is frozen: then no schedule, sensor or operation changes anything. "
    "`freeze_desk` and `unfreeze_desk` change it; the sensor `watch_desk` shows within a minute what the cluster says.",
)

ALERTS_ASSET = dg.AssetSpec(
    ALERTS_KEY,
    group_name=GROUP,
    kinds={"alertmanager"},
    owners=["team:platform"],
    description="Whom this desk tells when a run, a check, a schedule or a sensor fails: `desk.alerts` of platform.yaml, and "
    "`GSV_ALERTMANAGER_URL` and `GSV_WEBHOOK_URL` of the code location. The sensor `tell_alerts` shows what becomes of it.",
)
