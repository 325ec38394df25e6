"""Workers while a service that their jobs need is down."""

import logging

import pytest

from sqsw.memory_sqs import MemorySession
from sqsw.shutdown_policies import IdleShutdown
from sqsw.sqs_env import SQSEnv
from sqsw.sqs_manage.create import create_queue

#: seconds between two checks of the queue, and for which the service is down
STEP, OUTAGE = 3, 60


@pytest.mark.parametrize(("max_receives", "dead"), [(None, 0), (5, 1_000)])
def test_a_minute_without_a_service_dead_letters_no_job_with_the_defaults(
    max_receives: int | None, dead: int
) -> None:
    """Five receives, the default of earlier releases, show that the outage is long enough."""
    session = MemorySession()
    env = SQSEnv(session)
    create_queue(env, "orders", dead_letter_queue="orders_dead", max_receives=max_receives)
    queue, down, done = env.job_queue("orders"), True, set[int]()

    @queue.processor("ship")
    def ship(number: int) -> None:
        if down:
            raise ConnectionError("the carrier does not answer")
        done.add(number)

    with queue.add_batch():
        for number in range(1_000):
            ship.delay(number=number)
    logging.disable()  # thousands of tracebacks
    try:
        for second in range(0, 3 * OUTAGE, STEP):
            down = second <= OUTAGE
            queue.process_queue(IdleShutdown(0), wait_second=0)
            session.clock.advance(seconds=STEP)
    finally:
        logging.disable(logging.NOTSET)
    left = env.queue("orders_dead").client.attributes("ApproximateNumberOfMessages")
    assert left == {"ApproximateNumberOfMessages": str(dead)}
    assert len(done) == 1_000 - dead
