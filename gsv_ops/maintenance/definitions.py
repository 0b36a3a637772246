"""What the maintenance room brings to Dagster."""

import dagster as dg


def definitions() -> dg.Definitions:
    """The room's jobs; resources come from gsv_ops/definitions.py."""
    return dg.Definitions()
