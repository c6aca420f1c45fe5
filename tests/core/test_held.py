"""An attribute that is there for a while, and says so when it is not."""

from __future__ import annotations

import pytest

from lingbot_live.errors import SessionStateError
from lingbot_live.system.held import Held


class Player:
    _clock = Held[int]()


def test_reading_before_and_after_is_an_error_that_says_whose_and_which():
    player = Player()
    with pytest.raises(SessionStateError, match="Player has no clock: it is not open"):
        _ = player._clock
    player._clock = 0
    assert player._clock == 0
    player._clock = None
    with pytest.raises(SessionStateError):
        _ = player._clock


def test_peeking_is_no_error_and_two_owners_do_not_share():
    first, second = Player(), Player()
    first._clock = 1
    assert Player._clock.peek(first) == 1
    assert Player._clock.peek(second) is None
