"""What is raised where a part of a combination can't be had."""


class UnavailableError(Exception):
    """Something can't be had on this machine; the message says what, and what was tried."""
