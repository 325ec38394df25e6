"""Small JSON files in the user's cache directory, for shell completion."""

import hashlib
import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqsw.core.errors import SettingsError
from sqsw.core.files import open_input
from sqsw.core.json_depth import read_json


def cache_directory() -> Path:
    place = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    # A user ID without an account, as in containers, can have no home. Then nothing is saved.
    return Path(os.devnull if place.startswith("~") else place) / "sqsw"


class Remembered:
    def __init__(self, kind: str, place: object) -> None:
        text = json.dumps(place, sort_keys=True, default=str)
        digest = hashlib.sha256(text.encode()).hexdigest()[:24]
        self.path = cache_directory() / f"{kind}-{digest}.json"

    @property
    def age(self) -> float:
        try:
            return max(0.0, time.time() - self.path.stat().st_mtime)
        except OSError:
            return float("inf")

    def read(self) -> Any:
        try:
            with open_input(self.path, pipes=False) as file:
                if os.fstat(file.fileno()).st_uid != os.geteuid():
                    return None
                return read_json(file.read().decode())
        except (OSError, SettingsError, ValueError):
            return None

    def write(self, value: Any) -> None:
        """Save a value; if that fails, completion only has less to suggest."""
        own = self.path.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            directory = self.path.parent
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if directory.stat().st_uid != os.geteuid():
                return
            directory.chmod(0o700)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            with open(os.open(own, flags, 0o600), "w", encoding="utf-8") as file:
                json.dump(value, file)
            own.replace(self.path)
