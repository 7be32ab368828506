"""Settings as web frameworks keep them, a dict with names in capitals, made into a configuration.

The names are those of the parameters of `clues.configure`, and besides:

======================  =============================================================================================
``PUBLISHERS``          a list of publishers, each an object, a dotted path to one, or a URL as in the environment's
                        ``CLUES_PUBLISHERS``; one string of URLs with commas is as good
``ITEM_PREPROCESSORS``  a list of callables ``(queue, item)``, or dotted paths to such
``ADAPTERS``            which job systems to hook into: ``{"celery": "shop.celery:app", "rq": True}``; the adapter's
                        ``install`` is called with the value, or with each of a list; without, if it is True
======================  =============================================================================================

Wherever an object is wanted, a dotted path does: ``"shop.clues.publisher"``, or ``"shop.clues:publisher"``.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from clues import config
from clues.config import Config
from clues.errors import ConfigError, MissingExtraError
from clues.event import Publisher
from clues.plugs import ItemPreprocessor, as_publisher, listed, publisher_from_url, publisher_from_urls

Label = Callable[[str], str]
"""What a setting is called where the user wrote it: ``PUBLISHERS`` is ``CLUES["PUBLISHERS"]``."""

PARAMETERS = {name.upper(): name for name in inspect.signature(config.configure).parameters if name != "environ"}
"""The settings that are parameters of `clues.configure`."""

SETTINGS = (*PARAMETERS, "PUBLISHERS", "ITEM_PREPROCESSORS", "ADAPTERS")
"""All settings that are known here; frameworks have more."""

_OBJECTS = ("PUBLISHER", "MARSHALLER", "PROPAGATOR")
_NAMED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*([.:][^\W\d]\w*)+")


def initialize(
    given: Mapping[str, Any], label: Label = str, *, first: Iterable[ItemPreprocessor] = (), own: Iterable[str] = ()
) -> Config | None:
    """Configure clues as the settings say, and install the adapters that they name.

    Settings that don't say how to configure leave that to the environment, and to whoever has configured before.

    Args:
        given: the settings.
        label: what a setting is called, for errors.
        first: item preprocessors to run before those of the settings.
        own: further settings, which the framework looks at itself.

    Returns:
        The configuration; None if there is none.

    Raises:
        ConfigError: a setting is mistaken; the message names it.
        MissingExtraError: an adapter's job system is not installed.
    """
    check_names(given, label, own)
    first = tuple(first)
    if given.keys() & {*PARAMETERS, "PUBLISHERS", "ITEM_PREPROCESSORS"}:
        _configure(given, label, first)
    elif config.configure_from_environment():
        _prepend(first)
    _install_adapters(given.get("ADAPTERS"), label("ADAPTERS"))
    return config.default.config


def check_names(given: Mapping[str, Any], label: Label = str, own: Iterable[str] = ()) -> None:
    """Refuse settings that there are not: a misspelt one would do nothing, silently.

    Raises:
        ConfigError: there is one, and its name.
    """
    known = {*SETTINGS, *own}
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name).upper(), known, n=1)
            msg = f"{label(name)} is no setting of clues" + (f"; {label(near[0])} is" if near else "")
            raise ConfigError(msg)
    for one, several in (("PUBLISHER", "PUBLISHERS"), ("ITEM_PREPROCESSOR", "ITEM_PREPROCESSORS")):
        if one in given and several in given:
            msg = f"{label(one)} and {label(several)} say the same; leave one of them out"
            raise ConfigError(msg)


def named(given: Any, label: str) -> Any:
    """What a dotted path names; anything that is no string is as it is.

    Raises:
        ConfigError: there is no such thing, or its module can't be imported.
    """
    if not isinstance(given, str):
        return given
    if not _NAMED.fullmatch(given):
        msg = f'{label} must be an object, or a dotted path to one such as "shop.clues.publisher", not {given!r}'
        raise ConfigError(msg)
    module, _, attribute = given.partition(":") if ":" in given else given.rpartition(".")
    try:
        found = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError) as error:
        msg = f"{label}: {given!r} can't be imported: {error}"
        raise ConfigError(msg) from error
    return found


def _configure(given: Mapping[str, Any], label: Label, first: tuple[ItemPreprocessor, ...]) -> None:
    arguments = {PARAMETERS[name]: value for name, value in given.items() if name in PARAMETERS}
    for name in _OBJECTS:
        if name in given:
            arguments[PARAMETERS[name]] = named(given[name], label(name))
    if given.get("SAMPLERS") is not None:
        arguments["samplers"] = _all_named(given["SAMPLERS"], label("SAMPLERS"))
    arguments["item_preprocessor"] = [*first, *_preprocessors(given, label)]
    if given.get("PUBLISHERS") is not None:
        arguments["publisher"] = _publisher(given["PUBLISHERS"], label("PUBLISHERS"))
    try:
        config.configure(**arguments)
    except ConfigError as error:
        raise ConfigError(_in_their_words(str(error), given, label)) from error


def _in_their_words(text: str, given: Mapping[str, Any], label: Label) -> str:
    """What `clues.configure` says of a parameter, said of the setting."""
    for name in SETTINGS:
        parameter = PARAMETERS.get(name) or PARAMETERS.get(name.removesuffix("S"), "")
        if not parameter or name not in given:
            continue
        if text.startswith(f"{parameter} "):
            return f"{label(name)}{text[len(parameter) :]}"
        if text.partition(" ")[2].startswith(parameter.removesuffix("s")):  # a sampler, a marshaller
            return f"{label(name)}: {text}"
    return text


def _prepend(first: tuple[ItemPreprocessor, ...]) -> None:
    """Have item preprocessors run before those that are configured already."""
    found = config.default.config
    missing = tuple(one for one in first if found is not None and one not in found.item_preprocessors)
    if found is not None and missing:
        config.replace(
            config.default, dataclasses.replace(found, item_preprocessors=missing + found.item_preprocessors)
        )


def _preprocessors(given: Mapping[str, Any], label: Label) -> list[Any]:
    if given.get("ITEM_PREPROCESSORS") is not None:
        return _all_named(given["ITEM_PREPROCESSORS"], label("ITEM_PREPROCESSORS"))
    one = given.get("ITEM_PREPROCESSOR")
    if one is None or callable(one) or isinstance(one, str):
        return [] if one is None else [named(one, label("ITEM_PREPROCESSOR"))]
    return _all_named(one, label("ITEM_PREPROCESSOR"))


def _all_named(given: Any, label: str) -> list[Any]:
    several = [given] if isinstance(given, str) or callable(given) else listed(label, given)
    return [named(one, f"{label}[{number}]") for number, one in enumerate(several)]


def _publisher(given: Any, label: str) -> Publisher:
    """One publisher for all that a setting names."""
    several = [part.strip() for part in given.split(",") if part.strip()] if isinstance(given, str) else given
    if isinstance(several, Mapping) or hasattr(several, "publish") or callable(several):
        several = [several]
    found = [_one_publisher(one, f"{label}[{number}]") for number, one in enumerate(listed(label, several))]
    return found[0] if len(found) == 1 else publisher_from_urls((), *found)


def _one_publisher(given: Any, label: str) -> Publisher:
    try:
        if isinstance(given, str) and "://" in given:
            return publisher_from_url(given)
        found = named(given, label)
        return as_publisher(_made(found, label) if isinstance(found, type) and found is not given else found)
    except MissingExtraError:
        raise
    except ConfigError as error:
        text = str(error).removeprefix("CLUES_PUBLISHERS: ").removeprefix(f"{label}: ")
        raise ConfigError(text if text.startswith(label) else f"{label}: {text}") from error


def _made(kind: type, label: str) -> Any:
    try:
        return kind()
    except TypeError as error:
        msg = f"{label}: {kind.__name__} needs to be told more ({error}); name a publisher that is made, or a URL"
        raise ConfigError(msg) from error


def _install_adapters(given: Any, label: str) -> None:
    """Hook into job systems."""
    if given is None:
        return
    if not isinstance(given, Mapping):
        msg = f'{label} maps names of job systems to what their adapters hook into: {{"celery": "shop.celery:app"}}'
        raise ConfigError(msg)
    for name, wanted in given.items():
        if wanted is None or wanted is False:
            continue
        place = f"{label}[{name!r}]".replace("'", '"')
        install = _adapter(name, place)
        several = wanted if isinstance(wanted, list | tuple) else [wanted]
        for one in several:
            _install(install, () if one is True else (named(one, place),), place)


def _install(install: Callable[..., object], found: tuple[Any, ...], label: str) -> None:
    takes = inspect.signature(install)
    try:
        takes.bind(*found)
    except TypeError as error:
        msg = f"{label} must be what install{takes} takes, or a dotted path to that, or a list of such"
        raise ConfigError(msg) from error
    install(*found)


def _adapter(name: object, label: str) -> Callable[..., object]:
    package = importlib.import_module("clues.adapters")
    known = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    if name not in known:
        msg = f"{label}: there is no adapter of that name; there are {', '.join(known)}"
        raise ConfigError(msg)
    try:
        install: Callable[..., object] = importlib.import_module(f"clues.adapters.{name}").install
    except MissingExtraError as error:
        raise MissingExtraError(label, error.extra, error.library) from error
    return install
