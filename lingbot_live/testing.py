"""The name by which third parties import a driver's contract, `lingbot_live.cameras.testing`."""

from lingbot_live.cameras.testing import (
    SLACK_S,
    MakeCamera,
    counts_from_zero,
    delivers_valid_frames,
    discovers_lightly,
    ends_where_it_ends,
    hands_over_owned_arrays,
    keeps_time,
    leaves_no_thread,
    loops,
    names_what_is_absent,
    opens_and_closes_more_than_once,
    reads_only_while_open,
    returns_in_time,
    says_who_it_is,
    survives_a_partial_open,
)

__all__ = [
    "SLACK_S",
    "MakeCamera",
    "counts_from_zero",
    "delivers_valid_frames",
    "discovers_lightly",
    "ends_where_it_ends",
    "hands_over_owned_arrays",
    "keeps_time",
    "leaves_no_thread",
    "loops",
    "names_what_is_absent",
    "opens_and_closes_more_than_once",
    "reads_only_while_open",
    "returns_in_time",
    "says_who_it_is",
    "survives_a_partial_open",
]
