"""Results of jobs."""

import pickle

from sqsw.backoff_policies import IMMEDIATE_RETURN, ConstantBackoff
from sqsw.core.message import Message
from sqsw.core.results import SUCCEEDED, ProcessingResult, RetryJob


class OwnBackoff:
    """A custom policy, which does not inherit from a class of sqsw."""

    def get_visibility_timeout(self, message: Message) -> float:
        return 5


def test_a_retry_takes_its_policy_by_position_or_name_or_has_none() -> None:
    own = OwnBackoff()
    assert RetryJob().backoff_policy is None
    assert RetryJob(IMMEDIATE_RETURN).backoff_policy is IMMEDIATE_RETURN
    assert RetryJob(own).backoff_policy is own
    assert RetryJob(backoff_policy=own).backoff_policy is own
    assert str(RetryJob("not yet")) == "not yet"
    both = RetryJob(own, "not yet")
    assert (both.backoff_policy, str(both)) == (own, "not yet")


def test_a_result_has_the_defaults_of_a_success() -> None:
    assert ProcessingResult(True) == SUCCEEDED
    policy = ConstantBackoff(5)
    old_way = ProcessingResult(success=False, backoff_policy=policy)
    assert (old_way.success, old_way.backoff_policy, old_way.error) == (False, policy, None)
    assert ProcessingResult(False, policy) == old_way


def test_a_retry_can_be_pickled() -> None:
    copy = pickle.loads(pickle.dumps(RetryJob(ConstantBackoff(5), "not yet")))
    assert (copy.backoff_policy, str(copy)) == (ConstantBackoff(5), "not yet")
