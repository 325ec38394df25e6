"""The same calls on the embedded SQS and on each backend: all differences are known."""

from typing import Any

from sqsw.memory_sqs import MemorySession
from tests.backends import Backend, Clock, EngineClock
from tests.model.differences import KNOWN
from tests.model.operations import PAUSE_SECONDS, Play, Stage, make_play
from tests.model.shapes import differences

PLAYS = 32


def perform(client: Any, clock: Clock, plays: list[Play]) -> list[Stage]:
    """Run all plays on a server, with one common pause between their halves."""
    stages = []
    for play in plays:
        stages.append(Stage(client, play))
        stages[-1].run(play.before)
    clock.pass_seconds(PAUSE_SECONDS)
    for stage in stages:
        stage.run(stage.play.after)
    return stages


def test_all_differences_are_known(backend: Backend, client: Any, clock: Clock) -> None:
    plays = [make_play(number) for number in range(PLAYS)]
    session = MemorySession()
    ours = perform(session.client("sqs"), EngineClock(session), plays)
    theirs = perform(client, clock, plays)
    pairs = zip(ours, theirs, strict=True)
    seen = {difference for mine, other in pairs for difference in differences(mine, other)}
    known = KNOWN.get(backend.name, ())
    new = sorted(each for each in seen if not any(entry.covers(each) for entry in known))
    gone = [entry for entry in known if not any(entry.covers(each) for each in seen)]
    assert (new, gone) == ([], [])
