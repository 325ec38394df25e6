"""The clock that tests move."""

import pytest

from sqsw.local.store.clock import MovableClock


def test_the_clock_adds_its_offset_to_the_base() -> None:
    clock = MovableClock(lambda: 100.0)
    clock.advance(days=1, hours=1, minutes=1, seconds=1)
    assert clock() == 100 + 86400 + 3600 + 60 + 1


def test_followers_are_called_after_each_move_until_they_unfollow() -> None:
    clock, moves = MovableClock(lambda: 0.0), []
    unfollow = clock.follow(lambda: moves.append(clock()))
    clock.advance(seconds=1)
    unfollow()
    clock.advance(seconds=1)
    assert moves == [1.0]


def test_the_clock_only_moves_forward() -> None:
    with pytest.raises(ValueError, match="can only move forward"):
        MovableClock().advance(seconds=-1)
