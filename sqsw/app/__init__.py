"""Load an app and its plugins, and run its jobs.

The names are loaded on access.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqsw.app.loading import load_app as load_app
    from sqsw.app.opening import open_env as open_env
    from sqsw.app.plugins import load_plugins as load_plugins
    from sqsw.app.supervised import run_app as run_app
else:
    from sqsw.core.lazy_face import lazy_face

    _HOMES = {
        "load_app": "sqsw.app.loading",
        "load_plugins": "sqsw.app.plugins",
        "open_env": "sqsw.app.opening",
        "run_app": "sqsw.app.supervised",
    }

    __getattr__ = lazy_face(__name__, _HOMES)
