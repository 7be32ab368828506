"""What ``manage.py check`` says of clues."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register
from django.core.checks import Warning as CheckWarning
from django.utils.module_loading import import_string

from clues import config
from clues.django.conf import OWN, done, given, request_settings
from clues.errors import ConfigError

TAG = "clues"


@register(TAG)
def check_settings(**_options: Any) -> list[CheckMessage]:
    """clues.E001: the setting CLUES is mistaken."""
    try:
        request_settings(given())
    except ConfigError as error:
        return [Error(str(error), id="clues.E001")]
    return []


@register(TAG)
def check_configured(**_options: Any) -> list[CheckMessage]:
    """clues.W001: nobody gets the events; clues.W002: the setting CLUES is not what is in force."""
    if not config.configured():
        hint = 'Set CLUES = {"PUBLISHERS": ["log:///var/log/clues.log"]}, or CLUES_PUBLISHERS in the environment.'
        return [CheckWarning('"clues.django" is installed, and no publisher is.', hint=hint, id="clues.W001")]
    if done.given and config.default.config is not done.config:
        hint = "Leave that call out, or the setting."
        return [
            CheckWarning(
                "clues.configure was called after CLUES was read, and has replaced it.", hint=hint, id="clues.W002"
            )
        ]
    return []


@register(TAG)
def check_middleware(**_options: Any) -> list[CheckMessage]:
    """clues.W003: what CLUES says of requests has no effect."""
    asked = [name for name in OWN if name in (getattr(settings, "CLUES", None) or {})]
    if not asked or any(map(_is_ours, settings.MIDDLEWARE)):
        return []
    hint = 'Add "clues.django.middleware.CluesMiddleware" to MIDDLEWARE.'
    return [CheckWarning(f"CLUES says {', '.join(asked)}, without CluesMiddleware.", hint=hint, id="clues.W003")]


def _is_ours(path: str) -> bool:
    from clues.django.middleware import CluesMiddleware  # noqa: PLC0415 - it imports the users' models' module

    try:
        found = import_string(path)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, CluesMiddleware)
