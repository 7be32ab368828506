"""Whether the worker that runs us is being stopped: for jobs that find their own stopping point."""

from __future__ import annotations

from clues.resque.control import Control


class _Here:
    control: Control | None = None


def stopping() -> bool:
    """Whether this worker was told to stop: a long job can then end at a point of its choosing.

    The rest of its work it puts back with `resque.reenqueue`. Outside a worker it is always False.
    """
    control = _Here.control
    return control is not None and control.stopping


def steered_by(control: Control) -> None:
    """This process' workers are steered by this."""
    _Here.control = control
