"""What a back end left out of a request that it took."""

from __future__ import annotations

from typing import Any

from clues.publishers.otlp_answers import Answer, Verdict

_REJECTED = ("rejected_log_records", "rejected_spans", "rejected_data_points")


def taken(response: Any, place: str) -> Answer:
    """The answer that a response of success is; it may tell that some records were left out, but not which."""
    partial = response.partial_success
    count = next((getattr(partial, name) for name in _REJECTED if hasattr(partial, name)), 0)
    if count:
        return Answer(Verdict.TAKEN, f"{place}: left out {count}: {partial.error_message[:200]}")
    if partial.error_message:
        return Answer(Verdict.TAKEN, f"{place}: {partial.error_message[:200]}")
    return Answer(Verdict.TAKEN)
