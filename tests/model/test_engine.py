"""The engine gives the same answers as the plain model, for random calls."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.model.kinds import (
    FifoMachine,
    FifoRedriveMachine,
    GroupScopeMachine,
    StandardMachine,
    StandardRedriveMachine,
)
from tests.model.machine import QueueMachine, Storage

KINDS = {
    "standard": StandardMachine,
    "fifo": FifoMachine,
    "fifo-scope-group": GroupScopeMachine,
    "standard-redrive": StandardRedriveMachine,
    "fifo-redrive": FifoRedriveMachine,
}


def how_long() -> settings:
    """Return settings with the number of examples of the profile, each with forty calls.

    By default, the examples are always the same; with ``--hypothesis-profile=long``, they change.
    """
    profile = settings()
    return settings(
        stateful_step_count=40,
        derandomize=profile == settings.get_profile("sqsw"),
        phases=[phase for phase in Phase if phase is not Phase.explain],  # it traces every line
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is slow, too
    )


@pytest.mark.parametrize("storage", ["memory", "file"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_engine_answers_like_the_model(kind: str, storage: Storage) -> None:
    machine: type[QueueMachine] = KINDS[kind]
    make: Any = lambda: machine(storage)  # noqa: E731 - hypothesis says that it must be a class
    run_state_machine_as_test(make, settings=how_long())
