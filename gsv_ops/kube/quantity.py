"""Kubernetes quantities as numbers."""

from __future__ import annotations

from decimal import Decimal
from math import ceil


def number_of(quantity: str | int) -> Decimal:
    """What a quantity such as `500m`, `2` or `10Gi` stands for, exactly. Raises ValueError for anything else."""
    # Imported here: the library takes half a second, and loading the definitions must not pay for it.
    from kubernetes.utils.quantity import parse_quantity

    try:
        number: Decimal = parse_quantity(quantity)
    except (ValueError, ArithmeticError):
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"{quantity!r} is no quantity: expected a number with an optional suffix, such as 500m or 10Gi")
    return number


def bytes_of(quantity: str | int) -> int:
    """The bytes of a size such as `10Gi`, rounded up. Raises ValueError for what is no quantity, or negative."""
    size = number_of(quantity)
    if size < 0:
        raise ValueError(f"{quantity!r} is negative: expected a size of zero or more bytes, such as 10Gi")
    return ceil(size)
