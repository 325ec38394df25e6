"""Middlewares: code around every job, such as database sessions and tracing."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol

from sqsw.core.jobs.current_job import CurrentJob


class Middleware(Protocol):
    """A context manager around each job, for plain functions and for ``async def`` functions.

    If the job raises, the ``yield`` raises the same exception. If the middleware itself raises, the
    job fails, as if its function had raised::

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
    """Return a context manager that enters all middlewares, the first one outermost."""
    return _chain(middlewares, job) if middlewares else _NOTHING


@contextmanager
def _chain(middlewares: Sequence[Middleware], job: CurrentJob) -> Iterator[None]:
    # Not an ExitStack: it would keep an error of a middleware in a reference cycle.
    first, *others = middlewares
    with first.around(job), run_chain(others, job):
        yield
