"""``clues ship``: events to a back end, from logs, later; or from a spool, as they come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clues.cli.manual import DELIVER, Manual, command, variables

if TYPE_CHECKING:
    from clues.event import Publisher
    from clues.publishers.courier import Courier
    from clues.publishers.filed import FiledLines
    from clues.publishers.spool import Checkpoint, Spool

_MANUAL = Manual(
    (
        "clues ship events.log events.log.1.gz --to elasticsearch://localhost:9200",
        "clues ship ~/.local/state/clues/spool/dead/elasticsearch*.jsonl --to elasticsearch://localhost:9200",
        "clues ship --follow /var/spool/clues --to otlp://collector:4317 --to 'tcp://logstash:5000?events=failed'",
    ),
    notes="""\
Files may be event logs, rotated and gzipped ones, journals and dead letters. What was delivered is remembered:
the same command again goes on where it was interrupted, and delivers what the logs have got since. A back end that is
down is waited for. With --follow it ships a spool, as a sidecar beside programs that don't, until TERM or Ctrl-C.

A URL may say which events it wants: ?events=failed,perform_finished&sample=0.1""",
    environment=variables("CLUES_SPOOL"),
    files={"shipped/": "in the spool: how far each file was delivered, and what was refused"},
    exit_status={0: "all was delivered", 1: "some events were refused, or are left when --timeout is over"},
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    command(app, ship, _MANUAL, DELIVER)


def ship(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE", help="Event logs, plain or .gz, journals, dead letters.", show_default=False),
    ] = None,
    *,
    to: Annotated[
        list[str],
        typer.Option("--to", metavar="URL", help="Where to: otlp://, elasticsearch://, tcp://, …", show_default=False),
    ],
    follow: Annotated[
        Path | None, typer.Option("--follow", metavar="DIR", help="Ship this spool, as it grows.", show_default=False)
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0.0, help="Give up after so long; without it, never.", show_default=False),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Deliver all again, whatever was delivered before.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The counts as one JSON object.")] = False,
) -> None:
    """Send events to a back end: from logs, dead letters or a spool."""
    from clues.cli.output import say_error

    if bool(files) == bool(follow):
        msg = "name event logs, or a spool by --follow"
        raise typer.BadParameter(msg, param_hint="FILE")
    if follow:
        _follow(follow, to)
        return
    if len(to) > 1:
        msg = "files go to one back end at a time"
        raise typer.BadParameter(msg, param_hint="--to")
    source = _source(files or [])
    courier = _courier(source, to[0], restart=restart)
    left = _deliver(courier, timeout) or bool(source.unreadable)
    for path, error in source.unreadable.items():
        say_error(f"{path} can't be read to its end: {error}")
    _report(courier.checkpoint, left=left, as_json=as_json)
    if left or courier.checkpoint.dead_lettered:
        raise typer.Exit(1)


# files


def _source(files: list[Path]) -> FiledLines:
    import zlib

    from clues.errors import LogFileError
    from clues.publishers.filed import FiledLines

    try:
        return FiledLines(files)
    except OSError as error:
        raise LogFileError(Path(error.filename or files[0]), error) from error
    except (EOFError, zlib.error) as error:
        raise LogFileError(files[0], OSError(0, str(error))) from error


def _courier(source: FiledLines, url: str, *, restart: bool) -> Courier:
    """What brings the files' events to the back end."""
    from clues.publishers.courier import Courier, Steering
    from clues.publishers.filed import Direct
    from clues.publishers.shipped import ShippedPublisher
    from clues.publishers.spool import Spool

    spool = _kept()
    Spool(spool.folder.parent).make()  # nobody else's to read, should it be the first to be made
    spool.make()
    publisher = _publisher(url, spool.folder)
    if isinstance(publisher, ShippedPublisher):
        destination, choice = publisher.destination(), publisher.choice
    else:
        from clues.publishers.choice import Choice

        destination, choice = Direct(publisher, _without_secrets(url)), Choice()
    courier = Courier(spool, destination, choice, Steering(), source=source)
    before = courier.checkpoint
    before.delivered = before.retried = before.dead_lettered = before.left_out = 0
    if restart:
        before.positions = {}
    return courier


def _kept() -> Spool:
    """Where the files' checkpoints and dead letters are: in the spool, whose place is the user's to choose."""
    from clues.publishers.spool import Spool, spool_folder

    return Spool(spool_folder(None) / "shipped")


def _deliver(courier: Courier, timeout: float | None) -> bool:
    """Deliver all, and show how far it is; gives whether anything is left."""
    import signal
    import threading

    from clues.cli.output import say

    def interrupt(_number: int, _frame: Any) -> None:
        say("interrupted; the same command goes on from here")
        courier.steering.stop.set()

    handlers: dict[int, Any] = dict.fromkeys((signal.SIGINT, signal.SIGTERM), interrupt)
    if courier.name.startswith("stdout:"):
        # What reads it may leave, as `head` does: that is the end, and not an outage to be waited for.
        handlers[signal.SIGPIPE] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    timer = threading.Timer(timeout, courier.steering.stop.set) if timeout is not None else None
    if timer is not None:
        timer.daemon = True
        timer.start()
    courier.steering.draining = True
    try:
        with _shown(courier):
            courier.run()
    finally:
        if timer is not None:
            timer.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)
    return courier.steering.stop.is_set()


def _shown(courier: Courier) -> Any:
    """A line on a terminal that says how much was delivered."""
    import contextlib
    import sys

    if not sys.stderr.isatty():
        return contextlib.nullcontext()
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from clues.cli.output import clean

    class Line:
        def __rich__(self) -> Text:
            at = courier.checkpoint
            waiting = f", {clean(at.problem)}" if at.problem else ""  # the back end's own words
            return Text(f"{at.delivered:,} delivered, {at.dead_lettered:,} refused{waiting}", overflow="ellipsis")

    return Live(Line(), console=Console(stderr=True), refresh_per_second=4, transient=True)


def _report(checkpoint: Checkpoint, *, left: bool, as_json: bool) -> None:
    import json

    from clues.cli.output import say

    counts = {
        "delivered": checkpoint.delivered,
        "refused": checkpoint.dead_lettered,
        "left_out": checkpoint.left_out,
        "retried": checkpoint.retried,
    }
    if as_json:
        print(json.dumps({"destination": checkpoint.name, **counts, "complete": not left}))
        return
    parts = [f"{count:,} {what.replace('_', ' ')}" for what, count in counts.items() if count or what == "delivered"]
    say(f"{checkpoint.name}: {', '.join(parts)}{'; not all of it' if left else ''}")
    if checkpoint.dead_lettered:
        say(f"what was refused is in {_kept().dead_letter(checkpoint.name)}, with the reasons")


# a spool


def _follow(folder: Path, urls: list[str]) -> None:
    import logging
    import signal
    import threading

    from clues.cli.output import say
    from clues.errors import ConfigError
    from clues.publishers.outbox import DRAIN_TIMEOUT
    from clues.publishers.shipped import ShippedPublisher
    from clues.publishers.shipper import Shipper
    from clues.publishers.spool import Spool

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    spool = Spool(folder.absolute())
    spool.make()
    publishers = [_publisher(url, spool.folder) for url in urls]
    shipped = [publisher for publisher in publishers if isinstance(publisher, ShippedPublisher)]
    if len(shipped) < len(publishers):
        msg = "--follow ships to back ends with a journal: otlp, elasticsearch, opensearch, tcp"
        raise ConfigError(msg)
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: over.set())
    shipper = Shipper(spool, shipped)
    shipper.start()
    say(f"shipping {spool.folder} to {', '.join(publisher.name for publisher in shipped)}")
    over.wait()
    shipper.end(DRAIN_TIMEOUT)


def _publisher(url: str, spool: Path) -> Publisher:
    """The publisher of a URL, with this folder for its spool where it has one."""
    from urllib.parse import urlencode

    from clues.errors import ConfigError
    from clues.plugs import publisher_class, publisher_from_url, split_url
    from clues.publishers.shipped import ShippedPublisher

    try:
        parts = split_url(url)
        found = publisher_class(parts.scheme)
        if isinstance(found, type) and issubclass(found, ShippedPublisher):
            query = f"{parts.query}&{urlencode({'spool': spool})}".lstrip("&")
            url = parts._replace(query=query).geturl()
        return publisher_from_url(url)
    except ConfigError as error:
        raise ConfigError(str(error).replace("CLUES_PUBLISHERS: ", "--to: ")) from error


def _without_secrets(url: str) -> str:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"
