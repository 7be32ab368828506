"""``clues setup``: make a back end ready for events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from clues.publishers.elasticsearch_client import Client
    from clues.publishers.elasticsearch_documents import Target

_EXAMPLE = """\
Examples:

  clues setup elasticsearch --to elasticsearch://localhost:9200

  clues setup elasticsearch --to opensearch+https://admin:secret@search:9200 --namespace production --delete-after 90d

The URL is that of CLUES_PUBLISHERS. What is there already stays as it is; so say it again after each upgrade."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(_setup, name="setup")


_setup = typer.Typer(no_args_is_help=True, help="Make a back end ready for events.")


@_setup.callback()
def _group() -> None:
    """Make a back end ready for events."""


@_setup.command(epilog=_EXAMPLE)
def elasticsearch(
    *,
    to: Annotated[
        str, typer.Option("--to", metavar="URL", help="The cluster: elasticsearch://… or opensearch://…, +https too.")
    ],
    namespace: Annotated[
        str | None, typer.Option(metavar="NAME", help="The last part of the data stream's name; default if left out.")
    ] = None,
    index: Annotated[str | None, typer.Option(metavar="NAME", help="An index instead of the data stream.")] = None,
    dated: Annotated[bool, typer.Option("--dated", help="One index a day instead of the data stream.")] = False,
    delete_after: Annotated[
        str | None, typer.Option(metavar="AGE", help="Delete events of this age; 30d for a new policy if left out.")
    ] = None,
) -> None:
    """Install the templates and the lifecycle policy in Elasticsearch or OpenSearch."""
    import logging

    from clues.cli.output import clean, say_error
    from clues.errors import CluesError
    from clues.publishers.elasticsearch_setup import set_up

    for library in ("elastic_transport", "opensearch"):  # they warn of each 404, which here means: to be installed
        logging.getLogger(library).setLevel(logging.ERROR)
    try:
        client, target = _asked_for(to, namespace, index, dated=dated)
        for step in set_up(client, target, delete_after=delete_after):
            note = f" ({step.why})" if step.why else ""
            print(clean(f"{step.outcome:<10} {step.what} {step.name}{note}"))
    except CluesError as error:
        say_error(error)
        raise typer.Exit(1) from None


def _asked_for(to: str, namespace: str | None, index: str | None, *, dated: bool) -> tuple[Client, Target]:
    from urllib.parse import urlsplit

    from clues.publishers.elasticsearch import target_of
    from clues.publishers.elasticsearch_server import Server
    from clues.publishers.query import query_of

    url = urlsplit(to)
    query = query_of(url.query)
    server = Server.from_url(url, query)
    dated = dated or query.get("dated", "").lower() in {"1", "true", "yes", "on"}
    target = target_of(namespace or query.get("namespace") or "default", index or query.get("index"), dated=dated)
    return server.connect(), target
