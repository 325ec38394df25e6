"""Open batches: jobs are collected and sent ten at a time, and none is lost."""

import asyncio
import contextlib
import json
import threading
from typing import Any

import pytest

from sqsw.core.errors import MessageRefused, SQSBatchError
from sqsw.core.limits import MAX_MESSAGE_BYTES
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue


@pytest.fixture
def sent(jobs: JobQueue) -> list[int]:
    """The number of entries of each call."""
    calls: list[int] = []
    jobs.client.boto3_client.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch",
        lambda params, **_: calls.append(len(params["Entries"])),
    )
    return calls


def numbers(queue: JobQueue) -> list[int]:
    """Take all jobs out of the queue and return their numbers."""
    found: list[int] = []
    while messages := queue.get_raw_messages():
        found += [json.loads(message.body)["number"] for message in messages]
        queue.client.delete_batch(messages)
    return sorted(found)


def test_jobs_are_sent_at_the_end_of_the_block_or_at_the_tenth(
    jobs: JobQueue, sent: list[int]
) -> None:
    with jobs.add_batch():
        for number in range(9):
            assert jobs.add_job("count", number=number) is None
        assert sent == []
        jobs.add_job("count", number=9)
        assert sent == [10]
        jobs.add_job("count", number=10)
        assert sent == [10]
    assert sent == [10, 1]
    assert numbers(jobs) == list(range(11))
    assert jobs.add_job("count", number=0)


def test_batches_are_also_split_by_size(jobs: JobQueue, sent: list[int]) -> None:
    body = "x" * (MAX_MESSAGE_BYTES // 3)
    with jobs.add_batch():
        for number in range(7):
            jobs.add_job("count", number=number, body=body)
        assert sent == [2, 2, 2]  # the next job would not have fitted into the call
    assert sent == [2, 2, 2, 1]
    assert numbers(jobs) == list(range(7))


def test_the_size_is_counted_in_utf_8_bytes(jobs: JobQueue, sent: list[int]) -> None:
    body = "☃" * (MAX_MESSAGE_BYTES // 3 // 2)
    with jobs.add_batch():
        for _ in range(4):
            jobs.add_raw_job("count", body)
    # Two bodies would just fit, but not with their attributes.
    assert sent == [1, 1, 1, 1]


def test_batches_can_be_nested(jobs: JobQueue, sent: list[int]) -> None:
    with jobs.add_batch():
        jobs.add_job("count", number=1)
        with jobs.add_batch():
            jobs.add_job("count", number=2)
        assert sent == []
    assert sent == [2]
    jobs.open_add_batch()
    jobs.open_add_batch()
    jobs.add_job("count", number=3)
    jobs.close_add_batch()
    assert sent == [2]
    jobs.close_add_batch()
    assert sent == [2, 1]


def test_closing_a_batch_that_is_not_open_is_an_error(jobs: JobQueue) -> None:
    with pytest.raises(RuntimeError, match="no open batch"):
        jobs.close_add_batch()


def test_a_block_that_raises_discards_its_unsent_jobs(jobs: JobQueue, sent: list[int]) -> None:
    with pytest.raises(ValueError, match="inside"), jobs.add_batch():
        for number in range(12):
            jobs.add_job("count", number=number)
        raise ValueError("inside")
    assert sent == [10]
    assert numbers(jobs) == list(range(10))
    assert jobs.add_job("count", number=2)


def test_an_inner_block_that_raises_discards_only_its_own_jobs(jobs: JobQueue) -> None:
    with jobs.add_batch():
        jobs.add_job("count", number=1)
        with jobs.add_batch():
            jobs.add_job("count", number=2)
        with contextlib.suppress(ValueError), jobs.add_batch():
            jobs.add_job("count", number=3)
            with jobs.add_batch():
                jobs.add_job("count", number=4)
            raise ValueError
        jobs.add_job("count", number=5)
    assert numbers(jobs) == [1, 2, 5]


def test_an_async_block_sends_in_a_thread_and_discards_its_jobs_too(
    jobs: JobQueue, sent: list[int]
) -> None:
    threads: list[int] = []
    jobs.client.boto3_client.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch",
        lambda **_: threads.append(threading.get_ident()),
    )

    async def main() -> None:
        async with jobs.add_batch():
            jobs.add_job("count", number=1)
            async with jobs.add_batch():
                jobs.add_job("count", number=2)
            assert sent == []
        assert sent == [2]
        with pytest.raises(ValueError, match="inside"):
            async with jobs.add_batch():
                jobs.add_job("count", number=3)
                raise ValueError("inside")
        assert jobs.add_job("count", number=4)  # outside of the batch

    asyncio.run(main())
    assert sent == [2]
    assert threads[0] != threading.get_ident()
    assert numbers(jobs) == [1, 2, 4]


def test_a_refused_job_does_not_affect_the_rest_of_its_batch(jobs: JobQueue) -> None:
    with jobs.add_batch():
        jobs.add_job("count", number=1)
        with pytest.raises(MessageRefused):
            jobs.add_job("count", number={2})
        jobs.add_job("count", number=3)
    assert numbers(jobs) == [1, 3]


def test_jobs_that_sqs_refuses_are_reported_at_the_end_and_the_rest_is_sent(
    jobs: JobQueue, sent: list[int]
) -> None:
    jobs.client.set_attributes({"MaximumMessageSize": "1024"})
    large = {3, 12, 17}
    with pytest.raises(SQSBatchError, match=r"3 job\(s\) .* 'jobs'") as caught, jobs.add_batch():
        for number in range(25):
            jobs.add_job("count", number=number, body="x" * (2000 if number in large else 1))
    assert sent == [10, 10, 5]
    assert numbers(jobs) == sorted(set(range(25)) - large)

    errors = caught.value.errors
    assert [json.loads(e["_message"]["MessageBody"])["number"] for e in errors] == sorted(large)
    for error in errors:
        assert error["SenderFault"] is True
        assert error["Code"]
        assert error["Message"]
        assert error["_message"]["MessageAttributes"]["JobName"]["StringValue"] == "count"
    assert caught.value.why
    # The entries can be sent again unchanged when the reason is gone.
    jobs.client.set_attributes({"MaximumMessageSize": "1048576"})
    jobs.client.send_batch([error["_message"] for error in errors])
    assert numbers(jobs) == sorted(large)


def test_a_failed_call_fails_only_its_own_jobs(jobs: JobQueue) -> None:
    failing: list[Any] = []

    def refuse_the_first(params: dict[str, Any], **_: object) -> None:
        if not failing:
            failing.append(params)
            params["Entries"][0]["Id"] = "not an id!"

    jobs.client.boto3_client.meta.events.register(
        "provide-client-params.sqs.SendMessageBatch", refuse_the_first
    )
    with pytest.raises(SQSBatchError, match=r"10 job\(s\)") as caught, jobs.add_batch():
        for number in range(12):
            jobs.add_job("count", number=number)
    assert numbers(jobs) == [10, 11]
    assert len(caught.value.errors) == 10
    assert {error["Code"] for error in caught.value.errors} == {"InvalidBatchEntryId"}


def test_a_missing_queue_fails_all_jobs_of_the_batch(jobs: JobQueue) -> None:
    nowhere = jobs.env.queue("nowhere")  # type: ignore[attr-defined]  # it is an SQSEnv
    with pytest.raises(SQSBatchError) as caught, nowhere.add_batch():
        for number in range(3):
            nowhere.add_job("count", number=number)
    assert len(caught.value.errors) == 3


def test_a_missing_deduplication_id_is_reported_with_the_way_to_set_it(
    fifo_jobs: JobQueue,
) -> None:
    wanted = "needs a deduplication id"
    with pytest.raises(SQSBatchError, match=wanted) as caught, fifo_jobs.add_batch():
        fifo_jobs.add_job("count", number=1)
    raw = RawQueue(env=fifo_jobs.env, name=fifo_jobs.name)
    with pytest.raises(MessageRefused, match=wanted) as plain:
        raw.add_raw_job("body")
    assert plain.value.next is not None
    assert "_deduplication_id= for delay() and add_job()" in plain.value.next
    assert " deduplication_id= for add_raw_job()" in plain.value.next
    assert (caught.value.next or "").startswith(plain.value.next)


def test_every_thread_has_its_own_batch(jobs: JobQueue, sent: list[int]) -> None:
    with jobs.add_batch():
        jobs.add_job("count", number=1)
        ids: list[str | None] = []
        thread = threading.Thread(target=lambda: ids.append(jobs.add_job("count", number=2)))
        thread.start()
        thread.join()
        assert ids[0]  # sent at once: this thread has no open batch
        assert sent == []
    assert sent == [1]


def test_a_task_that_outlives_the_block_sends_its_jobs_at_once(
    jobs: JobQueue, sent: list[int]
) -> None:
    async def late(gate: asyncio.Event) -> str | None:
        await gate.wait()
        return jobs.add_job("count", number=2)

    async def main() -> str | None:
        gate = asyncio.Event()
        with jobs.add_batch():
            jobs.add_job("count", number=1)
            task = asyncio.create_task(late(gate))
            await asyncio.sleep(0)
        gate.set()
        return await task

    assert asyncio.run(main())
    assert sent == [1]
    assert numbers(jobs) == [1, 2]


def test_a_task_that_ends_inside_the_block_adds_to_its_batch(
    jobs: JobQueue, sent: list[int]
) -> None:
    async def child(number: int) -> None:
        jobs.add_job("count", number=number)

    async def main() -> None:
        with jobs.add_batch():
            await asyncio.gather(*(child(number) for number in range(5)))
            await asyncio.gather(
                *(asyncio.to_thread(jobs.add_job, "count", number=n) for n in range(5, 14))
            )

    asyncio.run(main())
    assert sum(sent) == 14
    assert numbers(jobs) == list(range(14))


def test_two_tasks_have_separate_batches(jobs: JobQueue, sent: list[int]) -> None:
    async def send(number: int, barrier: asyncio.Barrier) -> None:
        with jobs.add_batch():
            jobs.add_job("count", number=number)
            await barrier.wait()

    async def main() -> None:
        barrier = asyncio.Barrier(2)
        await asyncio.gather(send(1, barrier), send(2, barrier))

    asyncio.run(main())
    assert sent == [1, 1]
    assert numbers(jobs) == [1, 2]


def test_fifo_batches_keep_their_order(fifo_jobs: JobQueue) -> None:
    with fifo_jobs.add_batch():
        for number in range(15):
            fifo_jobs.add_job("count", _deduplication_id=str(number), number=number)
    found: list[int] = []
    while messages := fifo_jobs.get_raw_messages():
        found += [json.loads(message.body)["number"] for message in messages]
        fifo_jobs.client.delete_batch(messages)
    assert found == list(range(15))


def test_a_batch_opened_by_a_task_inside_the_block_is_separate(
    jobs: JobQueue, sent: list[int]
) -> None:
    async def main() -> None:
        opened, done = asyncio.Event(), asyncio.Event()

        async def other() -> None:
            with jobs.add_batch():
                jobs.add_job("count", number=2)
                opened.set()
                await done.wait()

        with jobs.add_batch():
            jobs.add_job("count", number=1)
            task = asyncio.create_task(other())
            await opened.wait()
        assert sent == [1]  # the end of this block does not wait for the other batch
        done.set()
        await task

    asyncio.run(main())
    assert sent == [1, 1]
    assert numbers(jobs) == [1, 2]


def test_after_a_failed_job_the_rest_of_its_group_is_not_sent(
    fifo_jobs: JobQueue,
) -> None:
    events = fifo_jobs.client.boto3_client.meta.events

    def refuse_the_first(params: dict[str, Any], **_: Any) -> None:
        for entry in params["Entries"]:
            if '"number": 9,' in entry["MessageBody"]:
                entry["MessageDeduplicationId"] = "no good id"

    events.register("provide-client-params.sqs.SendMessageBatch", refuse_the_first)
    with pytest.raises(SQSBatchError) as caught, fifo_jobs.add_batch():
        for number in range(15):
            group = "b" if number == 12 else "a"
            fifo_jobs.add_job(
                "count", number=number, x=0, _group_id=group, _deduplication_id=str(number)
            )
    codes = {
        json.loads(e["_message"]["MessageBody"])["number"]: e["Code"] for e in caught.value.errors
    }
    assert codes == {9: "InvalidParameterValue"} | dict.fromkeys((10, 11, 13, 14), "GroupStopped")
    assert numbers(fifo_jobs) == [*range(9), 12]
