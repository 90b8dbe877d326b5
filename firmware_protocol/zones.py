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


def places_named(text: str) -> tuple[tuple[str, str], ...]:
    """Places that a person means: ``"left cheek"``, or ``"cheek"`` for both sides.

    Raises
    ------
    ValueError
        When there is no such place; tells the names.
    """
    words = text.casefold().replace("_", " ").replace("-", " ").split()
    side = next((word for word in words if word in SIDES), "")
    zone = "_".join(word for word in words if word not in SIDES)
    found = tuple(place for place in PLACES if place[0] == zone and side in ("", place[1]))
    if not found or len(words) > 3:
        names = ", ".join(zone.replace("_", " ") for zone in ZONES)
        raise ValueError(f"there is no place {text.strip()[:40]!r}: choose of {names}, after left or right if you like")
    return found
