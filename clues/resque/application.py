"""Loading the application: its modules register jobs, configure clues, and may say where its Redis is."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from clues import resque
from clues.config import configure_from_environment
from clues.errors import AppError, CluesError
from clues.resque.registry import Registry


def client_of(modules: Iterable[str], *, redis: str | None, namespace: str | None) -> resque.Resque:
    """Load an application, and give the client that it and its jobs enqueue with.

    What a flag says counts first, then what the application configured, then ``REDIS_URL``.

    Args:
        modules: the application's modules.
        redis: a URL, from a flag.
        namespace: what stands before every key, from a flag.

    Raises:
        AppError: a module is not there, or raises when it is imported.
    """
    load(modules, resque.client().registry)  # which is at REDIS_URL, unless the application has said where
    client = resque.client()
    if redis is None and namespace is None:
        return client
    return resque.configure(
        redis=redis or client.store.client,
        namespace=client.store.keys.namespace if namespace is None else namespace,
        failure_backends=client.failure_backends,
    )


def load(modules: Iterable[str], registry: Registry) -> None:
    """Import modules, register their jobs, and configure clues from the environment if none of them has.

    The current folder is on the import path, as with Celery and RQ.

    Raises:
        AppError: a module is not there, or raises when it is imported.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    for name in modules:
        registry.load(_import(name))
    configure_from_environment()


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except CluesError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            hint = f"; write it with dots: --app {name.removesuffix('.py').replace('/', '.')}" * _is_path(name)
            msg = f"--app {name}: there is no module {error.name!r} in {Path.cwd()} or on the import path{hint}"
            raise AppError(msg) from error
        raise _broken(name, error) from error
    except SystemExit as error:  # else a supervisor would take it for a worker that has done its work
        msg = f"--app {name} exited when it was imported (status {error.code})"
        raise AppError(msg) from error
    except Exception as error:
        raise _broken(name, error) from error


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(".py")


def _broken(name: str, error: Exception) -> AppError:
    """The application's own error: its developer needs the traceback, which goes to standard error as it is."""
    traceback.print_exception(error)
    return AppError(f"--app {name} raised {type(error).__name__} when it was imported: {error}")
