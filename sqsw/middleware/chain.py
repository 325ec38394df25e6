"""Code around every job: database sessions, tracing, time limits."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from sqsw.core.jobs.current_job import CurrentJob


class Middleware(Protocol):
    """Enters before a job and leaves after it, whether the function is plain or ``async def``.

    An exception of the job comes out of the ``yield``; one that is raised here is a failure of the
    job, exactly as if the function had raised it::

        class DatabaseSession:
            @contextmanager
            def around(self, job: CurrentJob) -> Iterator[None]:
                with Session() as session:
                    yield
                    session.commit()
    """

    def around(self, job: CurrentJob) -> AbstractContextManager[object]: ...


_NOTHING = nullcontext()


def run_chain(
    middlewares: Sequence[Middleware], job: CurrentJob
) -> AbstractContextManager[None, bool | None]:
    """Enter all middlewares, the first one outermost."""
    return _chain(middlewares, job) if middlewares else _NOTHING


@contextmanager
def _chain(middlewares: Sequence[Middleware], job: CurrentJob) -> Iterator[None]:
    # Not an ExitStack: it keeps an error of a middleware in a reference cycle with its own frame.
    first, *others = middlewares
    with first.around(job), run_chain(others, job):
        yield
