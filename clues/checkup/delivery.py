"""What the environment configures, and how far each destination is in a spool."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import SplitResult, unquote, urlencode, urlunsplit

from clues.environment import unknown
from clues.errors import ConfigError
from clues.plugs import logs_named, publisher_class, publisher_from_url, publisher_schemes, split_url
from clues.publishers import LogPublisher
from clues.publishers.health import Health, published
from clues.publishers.shipper import holder
from clues.publishers.spool import Spool

_MISSPELT = 0.8  # likeness; others may have variables of their own that begin with CLUES_


def looked_at(spool: Spool) -> tuple[dict[str, Any], list[str]]:
    """What a spool tells of delivery, and what is wrong with it.

    Raises:
        ConfigError: the spool is no folder.
    """
    if spool.folder.exists() and not spool.folder.is_dir():
        msg = f"the spool {spool.folder} is no folder; name another by --spool or CLUES_SPOOL"
        raise ConfigError(msg)
    problems = []
    dropped, dropped_bytes = spool.dropped() if spool.folder.is_dir() else (0, 0)
    progress = Health(spool).progress() if spool.folder.is_dir() else []
    destinations = [{**asdict(one), "shipper": holder(spool.lock(one.name))} for one in progress]
    for one, told in zip(progress, destinations, strict=True):
        if one.lag_events and not told["shipper"]:
            last = f"; it had not taken the last ones: {one.problem}" if one.problem else ""
            problems.append(f"nobody ships to {one.name}, and {one.lag_events} events wait for it{last}")
        elif one.late:
            problems.append(one.late)
        if one.dead_lettered:
            problems.append(f"{one.name} refused {one.dead_lettered} events: {spool.dead_letter(one.name)}")
    if dropped:
        problems.append(f"{dropped} events ({dropped_bytes} bytes) were dropped for want of room")
    return {
        "spool": str(spool.folder),
        "spool_bytes": spool.size() if spool.folder.is_dir() else 0,
        "published": published(progress),
        "dropped": dropped,
        "destinations": destinations,
    }, problems


def configured(environ: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The publishers that CLUES_PUBLISHERS names, without secrets; what is wrong with them, or with variables."""
    named = []
    problems = [f"{name} is no variable of clues; {near} is" for name, near in unknown(environ, _MISSPELT) if near]
    known = publisher_schemes()
    for url in filter(None, map(str.strip, environ.get("CLUES_PUBLISHERS", "").split(","))):
        try:
            parts = split_url(url)
            named.append(f"{parts.scheme}://{parts.hostname or ''}{parts.path}")
            if parts.scheme in known:
                _try(parts)
            else:
                problems.append(f"CLUES_PUBLISHERS: there is no publisher {parts.scheme}://")
        except ConfigError as error:
            problems.append(str(error))
    return named, problems


def logs(environ: Mapping[str, str]) -> list[Path]:
    """The logs that CLUES_PUBLISHERS names, and that are there: where nothing has happened yet, there is none."""
    try:
        return [path for path in logs_named(environ) if path.is_file()]
    except ConfigError:  # it is among the problems already
        return []


def _try(url: SplitResult) -> None:
    """Make a publisher that ships, with a spool that is gone again; of others a log's folder is looked for.

    Raises:
        ConfigError: it can't be made: an option is mistaken, a library is missing or too old, or a log has no folder.
    """
    kind = publisher_class(url.scheme)
    if kind is LogPublisher:
        _check_log(Path(unquote(url.netloc + url.path)).absolute())
    elif hasattr(kind, "destination"):
        with TemporaryDirectory(prefix="clues-doctor-") as folder:
            query = "&".join(filter(None, (url.query, urlencode({"spool": folder}))))
            publisher_from_url(urlunsplit(url._replace(query=query)))


def _check_log(path: Path) -> None:
    """What nobody could append to. Whether it is ours to write is not asked: the application may run as another user.

    Raises:
        ConfigError: it has no folder, or is one.
    """
    if path.is_dir():
        msg = f"CLUES_PUBLISHERS: {path} is a folder; name a file in it"
        raise ConfigError(msg)
    if not path.parent.is_dir():
        msg = f"CLUES_PUBLISHERS: there is no folder {path.parent} for {path.name}; make it, or choose another path"
        raise ConfigError(msg)
