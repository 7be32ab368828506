"""Logs and events join: every record says which job it was written in."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import logging.handlers
import queue
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from clues.logging import JobFilter, JobFormatter, install, mark
from clues.runtime import JobContext
from tests.stories import Stage, live


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def target(stream: io.StringIO) -> logging.Handler:
    """A handler that writes JSON lines."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JobFormatter())
    return handler


@pytest.fixture
def root(target: logging.Handler) -> Iterator[logging.Logger]:
    """An application's top logger with that handler."""
    logger = logging.getLogger("shop")
    logger.addHandler(target)
    logger.setLevel(logging.DEBUG)
    yield logger
    for one in logger.handlers[:]:
        logger.removeHandler(one)


@pytest.fixture
def job() -> Iterator[JobContext]:
    job = JobContext("h" * 32, "mail", "SendMail", {})
    job.bind()
    yield job
    job.unbind()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was logged; every line a strict JSON object."""
    text = stream.getvalue()
    assert text == "" or text.endswith("\n")
    found = [json.loads(line, parse_constant=pytest.fail) for line in text.split("\n")[:-1]]
    assert all(type(one) is dict for one in found)
    return found


def job_of(found: dict[str, Any]) -> tuple[Any, Any, Any]:
    return found["event_hash"], found["queue"], found["worker_class"]


def test_the_shape_of_a_line(root: logging.Logger, stream: io.StringIO, job: JobContext) -> None:
    """Level, logger, message, time, the job, and the record's extras."""
    root.getChild("cart").info("paid %s", "Jürgen", extra={"order": 5})
    [found] = lines(stream)
    timestamp = found.pop("timestamp")
    assert timestamp.endswith("+00:00")
    assert found == {
        "level": "INFO",
        "logger": "shop.cart",
        "message": "paid Jürgen",
        "event_hash": "h" * 32,
        "queue": "mail",
        "worker_class": "SendMail",
        "order": 5,
    }


def test_outside_a_job_the_fields_are_null(root: logging.Logger, stream: io.StringIO) -> None:
    """They are there, so that a format string that names them works everywhere."""
    root.info("hello")
    assert job_of(lines(stream)[0]) == (None, None, None)


def test_records_join_events() -> None:
    """The hash on the record is the hash of the events, also with clues unconfigured but an item that was stamped."""
    stage = Stage()
    seen: list[Any] = []

    def perform() -> None:
        record = logging.makeLogRecord({})
        mark(record)
        seen.append(vars(record)["event_hash"])

    attempt = live(stage.lifecycle, {"class": "Job", "args": []}, perform)
    assert attempt is not None
    assert seen == [attempt.event_hash]


def test_a_filter_on_a_plain_handler(stream: io.StringIO, job: JobContext) -> None:
    """For formats that are no JSON; every record passes."""
    logger = logging.getLogger("shop")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(event_hash).4s %(queue)s %(worker_class)s %(message)s"))
    handler.addFilter(JobFilter())
    logger.addHandler(handler)
    try:
        logger.getChild("cart").warning("paid")
    finally:
        logger.removeHandler(handler)
    assert stream.getvalue() == "hhhh mail SendMail paid\n"


def test_install_marks_what_all_handlers_handle(root: logging.Logger, target: logging.Handler, job: JobContext) -> None:
    """Records of child loggers too; twice installed is installed once."""
    seen: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = seen.append  # type: ignore[method-assign,assignment]
    root.addHandler(handler)
    install(root)
    install(root)
    assert [len(one.filters) for one in (target, handler)] == [1, 1]
    logging.getLogger("shop.cart.items").error("gone")
    assert vars(seen[0])["event_hash"] == "h" * 32


def test_install_without_a_logger_is_the_roots() -> None:
    """As in an application's set-up."""
    handler = logging.NullHandler()
    logging.getLogger().addHandler(handler)
    before = {one: one.filters[:] for one in logging.getLogger().handlers}
    try:
        install()
        assert any(isinstance(found, JobFilter) for found in handler.filters)
    finally:
        for one, filters in before.items():
            one.filters[:] = filters
        logging.getLogger().removeHandler(handler)


def test_threads_that_a_job_starts(root: logging.Logger, stream: io.StringIO, job: JobContext) -> None:
    """With a copied context they are of the job; without one Python gives them an empty context."""
    context = contextvars.copy_context()
    for target in (lambda: context.run(root.info, "with"), lambda: root.info("without")):
        thread = threading.Thread(target=target)
        thread.start()
        thread.join()
    assert [(found["message"], found["queue"]) for found in lines(stream)] == [("with", "mail"), ("without", None)]


def test_a_queue_handler_formats_elsewhere(root: logging.Logger, target: logging.Handler, stream: io.StringIO) -> None:
    """The record keeps the job in which it was written, though it is formatted in another thread, in another job."""
    records: queue.SimpleQueue[Any] = queue.SimpleQueue()
    root.removeHandler(target)
    root.addHandler(logging.handlers.QueueHandler(records))
    install(root)
    job = JobContext("first", "mail", "SendMail", {})
    job.bind()
    root.info("in a job")
    job.unbind()
    other = JobContext("other", "pdf", "MakePdf", {})
    other.bind()
    listener = logging.handlers.QueueListener(records, target)
    listener.start()
    listener.stop()
    other.unbind()
    assert job_of(lines(stream)[0]) == ("first", "mail", "SendMail")


def test_an_applications_own_extra_is_kept(root: logging.Logger, stream: io.StringIO, job: JobContext) -> None:
    """It may have a `queue` of its own."""
    root.info("x", extra={"queue": "theirs"})
    root.info("x", extra={"event_hash": "theirs"})
    assert list(map(job_of, lines(stream))) == [("h" * 32, "theirs", "SendMail"), ("theirs", "mail", "SendMail")]


class Unserialisable:
    def __repr__(self) -> str:
        raise ValueError

    __str__ = __repr__


def test_any_record_is_one_line_of_json(root: logging.Logger, stream: io.StringIO, job: JobContext) -> None:
    """Newlines, Unicode, exceptions, stacks, dicts as messages, and extras that JSON does not know: none is lost."""
    cycle: dict[str, Any] = {}
    cycle["self"] = cycle
    root.info("a\nb\r\n\u2028 \x00 ü \ud800")
    try:
        raise ValueError("line one\nline two")
    except ValueError:
        root.exception("failed")
    root.warning("where", stack_info=True)
    root.info({"event": "as a dict", "n": float("nan")})
    root.info(
        "extras", extra={"nan": float("inf"), "cycle": cycle, "bytes": b"\xff", "set": {1}, "lock": threading.Lock()}
    )
    root.info("keys", extra={"odd": {(1, 2): 3, None: 4}, "deep": [[[[1]]]]})
    root.info("hostile", extra={"value": Unserialisable()})
    found = lines(stream)
    assert len(found) == 7
    assert found[0]["message"] == "a\nb\r\n\u2028 \x00 ü \\ud800"
    assert "line one\nline two" in found[1]["exc_info"]
    assert "test_logging.py" in found[2]["stack_info"]
    assert (found[3]["event"], found[3]["n"]) == ("as a dict", "NaN")
    assert (found[4]["nan"], found[4]["bytes"], found[4]["set"]) == ("Infinity", "\\xff", [1])
    assert found[4]["cycle"] == {"self": "<cycle>"}
    assert found[5]["odd"] == {"(1, 2)": 3, "": 4}
    assert found[6]["value"] == "<tests.test_logging.Unserialisable>"
    assert {job_of(one) for one in found} == {("h" * 32, "mail", "SendMail")}


def test_the_formatter_takes_python_json_loggers_arguments(job: JobContext) -> None:
    """A format and an encoder of one's own."""
    record = logging.makeLogRecord({"msg": "hello", "levelname": "INFO", "name": "shop", "odd": object()})
    formatter = JobFormatter("%(name)s %(message)s", json_default=lambda value: "mine")
    found = json.loads(formatter.format(record))
    assert (found["name"], found["message"], found["odd"], found["queue"]) == ("shop", "hello", "mine", "mail")
    assert "timestamp" not in found
