"""What Django loads for ``sqsw.contrib.django`` in ``INSTALLED_APPS``."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class SqswConfig(AppConfig):  # type: ignore[misc]  # Django has no types
    """Imports the ``tasks`` module of every installed app, so that its jobs are registered."""

    name = "sqsw.contrib.django"
    label = "sqsw"

    def ready(self) -> None:
        """Called by Django when all models are loaded."""
        autodiscover_modules("tasks")
