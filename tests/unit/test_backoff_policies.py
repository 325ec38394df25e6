"""How long a failed message stays hidden."""

import pickle
import random
from dataclasses import replace

import pytest

from sqsw.backoff_policies import (
    DEFAULT_BACKOFF,
    IMMEDIATE_RETURN,
    BackoffPolicy,
    ConstantBackoff,
    Delays,
    ExponentialBackoff,
    retry_horizon,
)
from sqsw.core.errors import SettingsError
from sqsw.core.limits import MAX_PARKED_SECONDS
from sqsw.core.message import Message
from sqsw.core.results import RetryJob
from sqsw.core.retry_horizon import RetryHorizon
from sqsw.memory_sqs import MemorySession
from sqsw.queue.job_queue import JobQueue
from sqsw.sqs_env import SQSEnv


class Without(random.Random):
    """A random source without jitter."""

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        return mu


def received(count: int) -> Message:
    return Message("id", "handle", "body", attributes={"ApproximateReceiveCount": str(count)})


def test_a_constant_backoff_is_constant() -> None:
    assert {ConstantBackoff(7).get_visibility_timeout(received(n)) for n in (1, 5, 50)} == {7}
    assert ConstantBackoff().backoff_value == 0
    assert ConstantBackoff(backoff_value=0) == IMMEDIATE_RETURN


def test_an_exponential_backoff_grows_by_its_base_within_its_bounds() -> None:
    policy = ExponentialBackoff(
        base=3,
        min_visibility_timeout=1,
        max_visibility_timeout=100,
        multiplier=2,
        random_source=Without(),
    )
    seconds = [policy.get_visibility_timeout(received(n)) for n in range(1, 7)]
    assert seconds == [1 + 2, 1 + 6, 1 + 18, 1 + 54, 100, 100]


def test_the_default_is_the_same_as_in_sqs_workers() -> None:
    assert (DEFAULT_BACKOFF.base, DEFAULT_BACKOFF.multiplier) == (2, 1)
    assert DEFAULT_BACKOFF.min_visibility_timeout == 0
    assert DEFAULT_BACKOFF.max_visibility_timeout == 1800


def test_the_jitter_is_about_ten_percent_and_stays_within_the_bounds() -> None:
    policy = ExponentialBackoff(max_visibility_timeout=1000, random_source=random.Random(7))
    seconds = [policy.get_visibility_timeout(received(7)) for _ in range(2000)]
    mean = sum(seconds) / len(seconds)
    deviation = (sum((s - mean) ** 2 for s in seconds) / len(seconds)) ** 0.5
    assert mean == pytest.approx(64, rel=0.02)
    assert deviation == pytest.approx(6.4, rel=0.1)
    bounded = ExponentialBackoff(min_visibility_timeout=5, max_visibility_timeout=6)
    assert all(5 <= bounded.get_visibility_timeout(received(n)) <= 6 for n in range(1, 50))


def test_many_receives_do_not_overflow() -> None:
    assert DEFAULT_BACKOFF.get_visibility_timeout(received(100_000)) == 1800


def test_the_misspelled_keyword_of_sqs_workers_still_works() -> None:
    old = ExponentialBackoff(max_visbility_timeout=60)
    assert old == ExponentialBackoff(max_visibility_timeout=60) == ExponentialBackoff(2, 0, 60)
    assert old.max_visibility_timeout == 60


@pytest.mark.parametrize("seconds", [-1, MAX_PARKED_SECONDS + 1, float("nan")])
def test_times_that_are_too_long_are_refused_at_once(seconds: float) -> None:
    with pytest.raises(SettingsError, match="backoff_value"):
        ConstantBackoff(seconds)
    with pytest.raises(SettingsError, match="max_visibility_timeout"):
        ExponentialBackoff(max_visbility_timeout=seconds)
    with pytest.raises(SettingsError, match="min_visibility_timeout"):
        ExponentialBackoff(min_visibility_timeout=seconds)


def test_any_object_with_the_method_is_a_policy() -> None:
    class Mine:
        def get_visibility_timeout(self, message: Message) -> float:
            return 1

    policies: list[BackoffPolicy] = [Mine(), DEFAULT_BACKOFF, IMMEDIATE_RETURN]
    assert all(isinstance(policy, BackoffPolicy) for policy in policies)
    assert not isinstance("text", BackoffPolicy)


def test_a_policy_has_a_readable_repr() -> None:
    assert repr(ConstantBackoff(5)) == "ConstantBackoff(backoff_value=5)"
    assert "_random" not in repr(DEFAULT_BACKOFF)
    assert repr(Delays(1, 60)) == "Delays(delays=(1, 60))"


def test_a_list_of_delays_repeats_its_last_one() -> None:
    policy = Delays(10, 60, 600)
    seconds = [policy.get_visibility_timeout(received(n)) for n in range(1, 6)]
    assert seconds == [10, 60, 600, 600, 600]
    assert policy == Delays(10, 60, 600) == pickle.loads(pickle.dumps(policy))
    assert isinstance(policy, BackoffPolicy)


@pytest.mark.parametrize("seconds", [-1, MAX_PARKED_SECONDS + 1, float("nan")])
def test_a_delay_that_is_too_long_is_refused(seconds: float) -> None:
    assert Delays(0, MAX_PARKED_SECONDS).delays == (0, 31_622_400)
    with pytest.raises(SettingsError, match=f"delay 2 is {seconds}, it must be between 0 and 316"):
        Delays(10, seconds)


def test_an_empty_list_of_delays_is_refused() -> None:
    with pytest.raises(SettingsError, match="no delay"):
        Delays()


@pytest.mark.parametrize(
    "policy",
    [Delays(600, 3600), ExponentialBackoff(min_visibility_timeout=600, max_visibility_timeout=600)],
    ids=["Delays", "ExponentialBackoff"],
)
@pytest.mark.parametrize("way", ["SQSEnv", "queue", "processor of SQSEnv", "processor", "RetryJob"])
def test_a_failed_job_stays_hidden_as_long_as_its_policy_says(
    policy: BackoffPolicy, way: str
) -> None:
    session = MemorySession()
    env = SQSEnv(session, backoff_policy=policy if way == "SQSEnv" else IMMEDIATE_RETURN)
    env.sqs_client.create_queue(QueueName="jobs")
    queue: JobQueue = env.queue("jobs", backoff_policy=policy if way == "queue" else None)

    def fail() -> None:
        raise RetryJob(policy) if way == "RetryJob" else ValueError

    if way == "processor of SQSEnv":
        env.processor("jobs", "fail", backoff_policy=policy)(fail)
    else:
        queue.processor("fail", backoff_policy=policy if way == "processor" else None)(fail)
    queue.add_job("fail")
    for seconds, arrived in ((0, 1), (598, 0), (3, 1)):
        session.clock.advance(seconds=seconds)
        assert queue.process_batch().total_count() == arrived, seconds


class Own:
    """A custom policy."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[tuple[str, int]] = []

    def get_visibility_timeout(self, message: Message) -> float:
        self.asked.append((message.queue_name, message.receive_count))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[return-value]  # some answers are wrong on purpose


def horizon(max_receives: int, **policies: BackoffPolicy) -> RetryHorizon:
    by_job: dict[str | None, BackoffPolicy] = dict(policies.items())
    return retry_horizon("jobs", by_job, max_receives)


def test_the_default_retries_for_half_an_hour() -> None:
    assert horizon(12, job=DEFAULT_BACKOFF).seconds == sum(2**n for n in range(11)) == 2047
    assert horizon(5, job=DEFAULT_BACKOFF).seconds == 15
    assert horizon(1, job=DEFAULT_BACKOFF).seconds == 0


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        (ConstantBackoff(60), 660),
        (ConstantBackoff(0.4), 0),
        (Delays(10, 60, 600, 3600), 670 + 8 * 3600),
        (ExponentialBackoff(max_visibility_timeout=100), 127 + 4 * 100),
        (ExponentialBackoff(base=10_000, max_visibility_timeout=43_200), 1 + 10_000 + 9 * 43_200),
        (Own(7), 77),
        (Own(-7), 0),
        (Own(ValueError("no")), None),
        (Own("soon"), None),
        (Own(None), None),
        (Own(float("nan")), None),
    ],
)
def test_a_horizon_is_the_sum_of_the_backoffs_that_the_worker_sends(
    policy: BackoffPolicy, seconds: int | None
) -> None:
    assert horizon(12, job=policy) == RetryHorizon(12, seconds)


@pytest.mark.parametrize(
    ("policy", "asked", "cut", "whole"),
    [
        (Own(10**9), MAX_PARKED_SECONDS, 2 * 43_200, 2 * MAX_PARKED_SECONDS),
        (ConstantBackoff(43_201), 43_201, 2 * 43_200, 2 * 43_201),
        (Delays(3600, 86_400 * 3), 86_400 * 3, 3600 + 43_200, 3600 + 86_400 * 3),
        (ExponentialBackoff(10**6, 0, 10**6), 10**6, 1 + 43_200, 1 + 10**6),
    ],
)
def test_waits_are_cut_to_twelve_hours_unless_jobs_are_parked(
    policy: BackoffPolicy, asked: int, cut: int, whole: int
) -> None:
    found = horizon(3, job=policy, other=policy)
    assert (found.seconds, found.cut_seconds) == (cut, asked)
    (problem,) = found.problems("dead", False, lambda receives: found)
    assert problem[0] == "long_backoff"
    assert "shortened to 12h" in problem[1]
    parked = retry_horizon("jobs", {None: policy}, 3, most_seconds=MAX_PARKED_SECONDS)
    assert parked.cut_seconds is None
    assert parked.seconds == whole


def test_a_custom_policy_is_asked_once_for_each_receive_except_the_last() -> None:
    policy = Own(1)
    horizon(4, job=policy, other=policy)
    assert policy.asked == [("jobs", 1), ("jobs", 2), ("jobs", 3)]


def test_a_subclass_with_its_own_backoff_is_asked_and_keeps_its_jitter() -> None:
    class Doubled(ExponentialBackoff):
        def get_visibility_timeout(self, message: Message) -> float:
            return 2 * super().get_visibility_timeout(message)

    policy = Doubled(random_source=random.Random(7))
    assert horizon(12, job=policy).seconds == 2 * 2047
    assert policy.get_visibility_timeout(received(11)) != 2048


def test_the_shortest_horizon_of_the_jobs_counts_and_is_named_if_they_differ() -> None:
    long, short, unknown = ConstantBackoff(60), ConstantBackoff(30), Own(ValueError())
    assert horizon(11, a=long, b=short) == RetryHorizon(11, 300, "b")
    assert horizon(11, a=short, b=ConstantBackoff(30)) == RetryHorizon(11, 300)
    assert horizon(11, a=unknown, b=long) == RetryHorizon(11, 600, "b")
    assert horizon(11, a=unknown, b=unknown) == RetryHorizon(11, None)


def test_a_queue_knows_the_policies_of_its_jobs(memory_env: SQSEnv) -> None:
    queue = memory_env.job_queue("jobs")
    assert memory_env.retry_horizon("jobs", 3) == RetryHorizon(3, 0)
    queue.connect_processor("slow", print, backoff_policy=Delays(10, 60))
    assert memory_env.retry_horizon("jobs", 3) == RetryHorizon(3, 70)
    memory_env.queue("jobs_dead", JobQueue, backoff_policy=ConstantBackoff(7))
    queue.copy_processors(memory_env.job_queue("jobs_dead"))
    assert memory_env.retry_horizon("jobs_dead", 3) == RetryHorizon(3, 70)
    queue.connect_processor("quick", print)
    assert memory_env.retry_horizon("jobs", 3) == RetryHorizon(3, 0, "quick")
    assert memory_env.retry_horizon("other", 3) == RetryHorizon(3, 0, is_assumed=True)


def test_max_attempts_of_a_job_shorten_its_horizon(memory_env: SQSEnv) -> None:
    minute = ConstantBackoff(60)
    queue = memory_env.queue("jobs", JobQueue, backoff_policy=minute)
    queue.connect_processor("sync", print, max_attempts=3)
    limited = RetryHorizon(12, 120, max_attempts=3)
    assert memory_env.retry_horizon("jobs", 12) == limited
    assert memory_env.retry_horizon("jobs", 3) == RetryHorizon(3, 120)
    queue.connect_processor("other", print)
    both = replace(limited, job_name="sync", by_receives=RetryHorizon(12, 660))
    assert memory_env.retry_horizon("jobs", 12) == both

    env = SQSEnv(MemorySession(), backoff_policy=minute, max_attempts=2)
    assumed = RetryHorizon(12, 60, is_assumed=True, max_attempts=2)
    assert env.retry_horizon("any", 12) == assumed


def test_a_job_with_few_attempts_causes_no_warning(memory_env: SQSEnv) -> None:
    queue = memory_env.queue("jobs", JobQueue, backoff_policy=ConstantBackoff(60))
    queue.connect_processor("sync", print, max_attempts=1)

    def problems(receives: int) -> list[tuple[str, str, str]]:
        found = queue.retry_horizon(receives)
        return list(found.problems("dead", False, queue.retry_horizon))

    assert problems(3) == []
    queue.connect_processor("other", print)
    assert problems(12) == []
    ((reason, text, _),) = problems(3)
    assert (reason, "for only 2m" in text) == ("few_receives", True)


def test_max_attempts_of_a_queue_end_its_retries_without_a_warning(memory_env: SQSEnv) -> None:
    queue = memory_env.queue("jobs", JobQueue, max_attempts=3)
    queue.connect_processor("slow", print, backoff_policy=Delays(10, 60))
    found = memory_env.retry_horizon("jobs", 12)
    assert found == RetryHorizon(12, 70, max_attempts=3)
    assert list(found.problems("dead", False, queue.retry_horizon)) == []
    assert memory_env.retry_horizon("jobs", 2) == RetryHorizon(2, 10)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (RetryHorizon(12, 2047), "for 34m, then dead"),
        (RetryHorizon(12, 3, max_attempts=3), "for 3s (3 attempts), then dead"),
        (RetryHorizon(12, 0, "ship", max_attempts=1), "for 0s (job ship, 1 attempt), then dead"),
        (RetryHorizon(12, None, max_attempts=3), "up to 3 attempts, then dead"),
        (RetryHorizon(5, 15), "for 15s, then dead"),
        (RetryHorizon(5, 599), "for 9m59s, then dead"),
        (RetryHorizon(5, 70, "ship"), "for 1m10s (job ship), then dead"),
        (RetryHorizon(5, 15, is_assumed=True), "for 15s with the default backoff, then dead"),
        (RetryHorizon(12, None), "up to 12 receives, then dead"),
    ],
)
def test_a_horizon_has_a_short_text(found: RetryHorizon, text: str) -> None:
    assert found.until("dead") == text
