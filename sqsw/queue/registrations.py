"""The functions that are registered with the queues of an environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqsw.queue.generic import GenericQueue
from sqsw.queue.job_queue import JobQueue
from sqsw.queue.raw_queue import RawQueue


@dataclass(frozen=True, slots=True)
class Registration:
    """One registered function.

    Attributes
    ----------
    queue_name :
        The name of the queue, without prefix.
    job_name :
        The job name; None on a raw queue.
    fn :
        The function.
    pass_context :
        Whether it takes the job context.
    source :
        Who registered it: ``app``, or a plugin by name and version.
    """

    queue_name: str
    job_name: str | None
    fn: Callable[..., Any]
    pass_context: bool
    source: str


def registrations_of(queues: Mapping[str, GenericQueue]) -> list[Registration]:
    """Return all registered functions of these queues, sorted by queue and job name."""
    found: list[Registration] = []
    for name, queue in sorted(queues.items()):
        if isinstance(queue, JobQueue):
            found += [
                Registration(name, job, p.fn, p.pass_context, queue.sources[job])
                for job, p in sorted(queue.processors.items())
            ]
        elif isinstance(queue, RawQueue) and queue.processor is not None:
            found.append(Registration(name, None, queue.processor, False, queue.source))
    return found


def take_away(queues: Mapping[str, GenericQueue], registration: Registration) -> None:
    queue = queues[registration.queue_name]
    if isinstance(queue, JobQueue) and registration.job_name is not None:
        queue.processors.pop(registration.job_name, None)
    elif isinstance(queue, RawQueue):
        queue.processor = None
