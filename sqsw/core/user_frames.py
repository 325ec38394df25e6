"""Where in the user's code an error happened."""

import os
import sysconfig
import traceback
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from types import FrameType

#: a function with its module, and the line
UserFrame = tuple[str, int]

_CARRIED = "_sqsw_user_frames"


def user_frames(error: BaseException) -> list[UserFrame]:
    """Return the frames of the user's code in the traceback of an error, the last call last.

    Code of the user is neither part of Python, nor of sqsw, nor installed. An app can be installed
    too: if nothing else is left, its package counts, which is that of the first frame.
    """
    carried: list[UserFrame] | None = getattr(error, _CARRIED, None)
    if carried is not None:
        return carried
    frames = [
        (frame, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _origin(frame.f_code.co_filename) != "python"
    ]
    own = [each for each in frames if _origin(each[0].f_code.co_filename) == "user"]
    if not own:
        own = [each for each in frames if _package(each[0]) == _package(frames[0][0])]
    return [(f"{_module(frame)}.{frame.f_code.co_qualname}", line) for frame, line in own]


def carry_user_frames(error: BaseException, frames: Sequence[UserFrame]) -> None:
    """Attach the frames to an error whose traceback stayed in another process."""
    with suppress(Exception):  # an error can refuse attributes
        setattr(error, _CARRIED, list(frames))


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "?"))


def _package(frame: FrameType) -> str:
    return _module(frame).partition(".")[0]


@cache
def _origin(file: str) -> str:
    """``python`` (sqsw included), ``installed`` or ``user``."""
    paths = sysconfig.get_paths()

    def lies_in(*directories: str) -> bool:
        return file.startswith(tuple(f"{directory}{os.sep}" for directory in directories))

    if file.startswith("<") or lies_in(os.path.dirname(os.path.dirname(__file__))):
        return "python"
    if lies_in(paths["purelib"], paths["platlib"]):
        return "installed"
    return "python" if lies_in(paths["stdlib"], paths["platstdlib"]) else "user"
