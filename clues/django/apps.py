"""The Django app: configures clues when Django is set up, in each process of the project."""

from __future__ import annotations

from clues.errors import MissingExtraError

try:
    from django.apps import AppConfig
    from django.core.signals import setting_changed
except ModuleNotFoundError as error:
    raise MissingExtraError("clues.django", "django", "Django") from error

from clues.django.conf import configure_from_settings, follow


class CluesConfig(AppConfig):
    """``"clues.django"`` in INSTALLED_APPS."""

    name = "clues.django"
    label = "clues"
    verbose_name = "clues"
    default = True

    def ready(self) -> None:
        """Configure clues by the setting CLUES, or by the environment."""
        from clues.django import checks  # noqa: F401, PLC0415 - registers them

        configure_from_settings()
        setting_changed.connect(follow, dispatch_uid="clues")
