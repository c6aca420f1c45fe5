"""The name by which third parties import `lingbot_live.cameras.registry`."""

from lingbot_live.cameras.registry import (
    DRIVERS,
    REFINERS,
    check_refiner_name,
    create_camera,
    create_refiner,
    default_address,
    discover,
    driver,
    driver_names,
    find_camera,
    may_have_members,
    members,
    refiner_names,
    refresh,
    with_members,
)

__all__ = [
    "DRIVERS",
    "REFINERS",
    "check_refiner_name",
    "create_camera",
    "create_refiner",
    "default_address",
    "discover",
    "driver",
    "driver_names",
    "find_camera",
    "may_have_members",
    "members",
    "refiner_names",
    "refresh",
    "with_members",
]
