"""Data classes of which a worker makes several for each job."""

from collections.abc import Callable
from dataclasses import Field, dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field, Field))
def record(*, eq: bool = True, repr: bool = True) -> Callable[[type[T]], type[T]]:
    """Make a data class with slots that type checkers treat as frozen.

    At run time it is not frozen: a frozen data class takes four times as long to create.

    Parameters
    ----------
    eq, repr :
        Whether to generate ``__eq__`` and ``__repr__``; see :func:`dataclasses.dataclass`.
    """
    return dataclass(slots=True, eq=eq, repr=repr)
