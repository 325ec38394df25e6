"""A clock that tests move."""

import pytest

from sqsw.local.store.clock import MovableClock


def test_it_goes_with_its_base_and_what_was_added() -> None:
    clock = MovableClock(lambda: 100.0)
    clock.advance(days=1, hours=1, minutes=1, seconds=1)
    assert clock() == 100 + 86400 + 3600 + 60 + 1


def test_followers_hear_of_each_move_until_they_leave() -> None:
    clock, moves = MovableClock(lambda: 0.0), []
    unfollow = clock.follow(lambda: moves.append(clock()))
    clock.advance(seconds=1)
    unfollow()
    clock.advance(seconds=1)
    assert moves == [1.0]


def test_it_goes_one_way() -> None:
    with pytest.raises(ValueError, match="moves forward only"):
        MovableClock().advance(seconds=-1)
