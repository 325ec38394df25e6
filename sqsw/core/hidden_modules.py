"""Finds modules of the app that hide standard modules of Python, such as a file ``queue.py``."""

import os
import sys
import sysconfig
from collections.abc import Iterator


def hiding_files(error: BaseException | None = None) -> list[str]:
    """Return the files and packages on ``sys.path`` that hide a standard module, as relative paths.

    Parameters
    ----------
    error :
        Return only those that this process has imported in place of the standard module, or that
        are in the traceback of the error. None: all of them, to explain why another process ended.
    """
    found = dict(_hiding())
    if error is not None:
        raised_in = set(_files_of(error))
        found = {
            name: file
            for name, file in found.items()
            if file in raised_in or getattr(sys.modules.get(name), "__file__", None) == file
        }
    return sorted(map(os.path.relpath, found.values()))


def hiding_advice(error: BaseException | None = None) -> tuple[str, str] | None:
    """Return why a hidden module is the likely cause, and what to do; None if none is hidden."""
    files = hiding_files(error)
    if not files:
        return None
    named = ", ".join(files)
    what = "a standard module of Python" if len(files) == 1 else "standard modules of Python"
    return f"{named} {'hides' if len(files) == 1 else 'hide'} {what}", f"rename {named}"


def _hiding() -> Iterator[tuple[str, str]]:
    standard = os.path.realpath(sysconfig.get_path("stdlib"))
    # The first file of a name wins, so go from the last directory that can hide something.
    for directory in reversed(list(_before(standard))):
        try:
            entries = sorted(os.listdir(directory))
        except OSError:
            continue
        for entry in entries:
            name, extension = os.path.splitext(entry)
            path = os.path.join(directory, entry)
            if extension == "" and os.path.isfile(os.path.join(path, "__init__.py")):
                path = os.path.join(path, "__init__.py")
            elif extension != ".py":
                continue
            if name in sys.stdlib_module_names and name not in sys.builtin_module_names:
                yield name, path


def _before(standard: str) -> Iterator[str]:
    for entry in sys.path:
        directory = os.path.realpath(entry or os.curdir)
        if directory == standard:
            return
        yield directory


def _files_of(error: BaseException) -> Iterator[str]:
    seen: set[int] = set()
    raised: BaseException | None = error
    while raised is not None and id(raised) not in seen:
        seen.add(id(raised))
        trace = raised.__traceback__
        while trace is not None:
            yield os.path.realpath(trace.tb_frame.f_code.co_filename)
            trace = trace.tb_next
        if isinstance(raised, SyntaxError) and raised.filename:
            yield os.path.realpath(raised.filename)
        raised = raised.__cause__ or raised.__context__
