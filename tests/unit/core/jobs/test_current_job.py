"""What a job can read about itself."""

import pickle

from sqsw.core.job_metadata import JobMetadata
from sqsw.core.jobs.current_job import CurrentJob
from sqsw.core.message import Message


def message(number: int, job_id: str | None) -> Message:
    attributes = {} if job_id is None else {"Sqsw": JobMetadata(job_id).to_attribute()}
    return Message(f"m-{number}", "handle", "text", {}, {**attributes, "Other": {}})


def test_a_list_has_the_id_of_its_first_job() -> None:
    job = CurrentJob([message(1, "order-1"), message(2, "order-2")], "ship", {})
    assert (job.id, job.job_id) == ("m-1", "order-1")


def test_a_job_without_an_id_has_the_id_of_its_message() -> None:
    assert CurrentJob([message(1, None)], "ship", {}).job_id == "m-1"


def test_the_id_reaches_a_pool_process() -> None:
    bare = message(1, "order-1").without_content()
    assert bare.message_attributes.keys() == {"Sqsw"}
    assert (bare.body, bare.receipt_handle) == ("", "")
    job = pickle.loads(pickle.dumps(CurrentJob([bare], "ship", {})))
    assert job.job_id == "order-1"
    assert message(1, None).without_content().message_attributes == {}
