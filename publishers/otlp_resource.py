"""Who tells: the resource's attributes, the same for all processes of a service on a host, and after a restart."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

import clues
from clues.errors import ConfigError

_NAMESPACE = uuid.UUID("1f8a6d8e-4f0d-4c8b-9d4e-6f2b6f0a7c11")

Attributes = dict[str, str | bool | int | float]


def resource_attributes(
    service_name: str | None,
    given: Mapping[str, str | bool | int | float] | None,
    environ: Mapping[str, str] = os.environ,
) -> Attributes:
    """What is known of the service: arguments, then OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES, then defaults.

    Raises:
        ConfigError: the attributes are mistaken.
    """
    found: Attributes = {
        "telemetry.sdk.language": "python",
        "telemetry.sdk.name": "clues",
        "telemetry.sdk.version": clues.__version__,
        **_listed(environ.get("OTEL_RESOURCE_ATTRIBUTES", "")),
    }
    if name := environ.get("OTEL_SERVICE_NAME", "").strip():
        found["service.name"] = name
    for key, value in (given or {}).items():
        if not _is_attribute(key, value):
            msg = f"the resource attribute {key!r} must be a text, a number or a truth value"
            raise ConfigError(msg)
        found[key] = value
    if service_name:
        found["service.name"] = service_name
    found.setdefault("service.name", f"unknown_service:{_program()}")
    return found


def _is_attribute(key: object, value: object) -> bool:
    return isinstance(key, str) and key != "" and isinstance(value, str | bool | int | float)


def of_host(known: Attributes, host: str, place: str) -> Attributes:
    """The resource of a host.

    Args:
        known: what `resource_attributes` gave; what it says of host and instance stands.
        host: the host's name.
        place: tells this shipper's counts from those of others for the same service and host: its spool's folder.
    """
    host = str(known.get("host.name") or host)
    service = f"{known.get('service.namespace', '')}\n{known['service.name']}"
    instance = str(uuid.uuid5(_NAMESPACE, f"{service}\n{host}\n{place}".encode("utf-8", "replace").decode()))
    return {"service.instance.id": instance, **known, "host.name": host}


def _listed(text: str) -> Attributes:
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if any(not (equals and key.strip()) for key, equals, _ in pairs):
        msg = "OTEL_RESOURCE_ATTRIBUTES must be key=value,key=value, percent-encoded"
        raise ConfigError(msg)
    return {unquote(key.strip()): unquote(value.strip()) for key, _, value in pairs}


def _program() -> str:
    return Path(sys.executable or "python").name
