"""sqsw in a Django project: add ``sqsw.contrib.django`` to ``INSTALLED_APPS``.

``env`` is the :class:`~sqsw.SQSEnv` of the project. The dictionary ``SQSW`` in the settings has its
keyword arguments, for example ``SQSW = {"queue_prefix": "shop-"}``. Jobs are declared in the
``tasks`` module of each installed app, and ``sqsw work sqsw.contrib.django:env`` runs them.

If nothing has set up Django yet, as in a worker, importing this module does so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django
from django.apps import apps
from django.conf import settings
from django.db import close_old_connections

from sqsw.core.jobs.current_job import CurrentJob
from sqsw.sqs_env import SQSEnv


class DatabaseConnections:
    """A middleware that closes broken and expired database connections around each job.

    A web request does this by Django's request signals, which a worker does not send. Without it,
    a connection that broke once makes every later job in its thread fail, and ``CONN_MAX_AGE`` has
    no effect.

    Django keeps connections by thread, so this reaches jobs that are plain functions. A coroutine,
    and a job with ``executor="process"``, has to call ``close_old_connections`` where it queries.
    """

    @contextmanager
    def around(self, job: CurrentJob) -> Iterator[None]:
        """Close them before the job and after it; a connection in a transaction stays open."""
        close_old_connections()
        try:
            yield
        finally:
            close_old_connections()


def _project_env(*, middlewares: Any = (), **options: Any) -> SQSEnv:
    return SQSEnv(middlewares=[DatabaseConnections(), *middlewares], **options)


#: The environment of the project, with :class:`DatabaseConnections` as the outermost middleware.
env = _project_env(**getattr(settings, "SQSW", {}))

# Django itself imports this module while it sets up, and then finds the tasks by apps.py.
if not (apps.ready or apps.loading):
    django.setup()
