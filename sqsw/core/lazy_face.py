"""Lets a package import its public names at first use."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_face(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package that imports its names at first use.

    Parameters
    ----------
    package :
        ``__name__`` of the package.
    homes :
        Each name, and the module that defines it. For type checkers, the package also imports the
        names under ``if TYPE_CHECKING:``.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(homes[name]), name)

    return load
