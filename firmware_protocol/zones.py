# SPDX-License-Identifier: MIT
"""Names of the places on face and neck, the same in simulator, signal core, recordings and face map.

The front of the throat is no zone.
"""

ZONES = ("forehead", "temple", "eye", "cheek", "jaw", "under_chin", "neck", "decolletage")
"""``eye`` is the bony rim only, ``neck`` the sides only."""

SIDES = ("left", "right")
"""The person's own left and right."""

MIDLINE = ("decolletage",)
"""Zones that are not split into sides; their side is ``""``."""

PLACES = tuple((zone, side) for zone in ZONES for side in (("",) if zone in MIDLINE else SIDES))
"""All (zone, side) pairs: 15."""


def place_at(index: int) -> tuple[str, str]:
    """Zone and side at an index in `PLACES`; both empty for -1, which stands for no place."""
    return PLACES[index] if index >= 0 else ("", "")


def place_name(zone: str, side: str) -> str:
    """Name of a place as people read it: ``"left cheek"``, ``"decolletage"``."""
    return f"{side} {zone.replace('_', ' ')}".strip()
