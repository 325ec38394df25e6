"""The job context and the current job, based on contextvars."""

from collections.abc import Iterator, KeysView, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqsw.core.jobs.current_job import CurrentJob


class SQSContext:
    """Values that are sent with every job, such as a request ID.

    Every thread and asyncio task has its own values, so you can set them at the start of a web
    request and clear them at its end::

        env.context["request_id"] = "17"
        with env.context(remote_addr="127.0.0.1"):
            hello_world.delay(username="Foo")   # carries both
        env.context.clear()
    """

    def __init__(self, **kwargs: Any) -> None:
        # Never change this in place, because other contexts can share it.
        self._values: ContextVar[Mapping[str, Any]] = ContextVar("sqsw_context", default=kwargs)

    @classmethod
    def from_dict(cls, kwargs: Mapping[str, Any]) -> "SQSContext":
        """Return a context with these values."""
        return cls(**kwargs)

    def set(self, **kwargs: Any) -> None:
        """Replace all values by these."""
        self._values.set(kwargs)

    def update(self, **kwargs: Any) -> None:
        """Add these values."""
        self._values.set({**self._values.get(), **kwargs})

    def clear(self) -> None:
        """Remove all values."""
        self._values.set({})

    def to_dict(self) -> dict[str, Any]:
        """Return a copy of all values."""
        return dict(self._values.get())

    def get(self, key: str, default: Any = None) -> Any:
        """Return one value, or ``default``."""
        return self._values.get().get(key, default)

    def __getitem__(self, key: str) -> Any:
        return self._values.get()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.update(**{key: value})

    def __delitem__(self, key: str) -> None:
        values = self.to_dict()
        del values[key]
        self._values.set(values)

    def __contains__(self, key: object) -> bool:
        return key in self._values.get()

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def keys(self) -> KeysView[str]:
        """Return the names of all values. ``dict(env.context)`` and ``**env.context`` use this."""
        return self.to_dict().keys()

    @contextmanager
    def __call__(self, **kwargs: Any) -> Iterator["SQSContext"]:
        """Add these values inside the ``with`` block, and restore the former ones after it."""
        before = self._values.get()
        self._values.set({**before, **kwargs})
        try:
            yield self
        finally:
            self._values.set(before)

    def __repr__(self) -> str:
        return f"SQSContext({', '.join(sorted(self._values.get()))})"


#: the value of ``current_job()``, set by the code that runs a job
running_job: ContextVar[CurrentJob | None] = ContextVar("sqsw_current_job", default=None)


def current_job() -> CurrentJob | None:
    """Return the job that is running, also across ``await``; None outside jobs."""
    return running_job.get()


class job_scope:
    """Make this the current job inside the ``with`` block."""

    # A class takes a third of a generator's time, and every job needs one.
    __slots__ = ("_job", "_token")

    def __init__(self, job: CurrentJob) -> None:
        self._job = job

    def __enter__(self) -> CurrentJob:
        self._token = running_job.set(self._job)
        return self._job

    def __exit__(self, *_: object) -> None:
        running_job.reset(self._token)
