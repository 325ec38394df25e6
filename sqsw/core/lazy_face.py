"""Faces of packages that load a name from its home when it is asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_face(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__``.

    Parameters
    ----------
    package :
        ``__name__`` of the package.
    homes :
        Name to the module that has it. The same names stand in the package under
        ``if TYPE_CHECKING:``, for type checkers.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return load
