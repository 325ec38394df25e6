"""Finds modules of the app that hide standard modules of Python, such as a file ``queue.py``."""

import os
import sys


def hiding_advice(error: BaseException | None = None) -> tuple[str, str] | None:
    """Return why a hidden module is the likely cause, and what to do; None if none is hidden.

    Only the current directory is searched: apps are imported from there.

    Parameters
    ----------
    error :
        Count only files that this process has imported in place of the standard module. None: all
        of them, to explain why another process ended.
    """
    files = []
    for name in sorted(sys.stdlib_module_names.difference(sys.builtin_module_names)):
        imported = getattr(sys.modules.get(name), "__file__", None)
        for file in (f"{name}.py", f"{name}/__init__.py"):
            if os.path.isfile(file) and (error is None or os.path.abspath(file) == imported):
                files.append(file)
    if not files:
        return None
    named = ", ".join(files)
    what = "a standard module of Python" if len(files) == 1 else "standard modules of Python"
    return f"{named} {'hides' if len(files) == 1 else 'hide'} {what}", f"rename {named}"
