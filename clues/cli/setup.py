"""``clues setup``: make a back end ready for events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from clues.cli.manual import DELIVER, Manual, command, group_of, variables

if TYPE_CHECKING:
    from clues.cli.setup_http import Site
    from clues.publishers.elasticsearch_client import Client
    from clues.publishers.elasticsearch_documents import Target

_ELASTICSEARCH = Manual(
    (
        "clues setup elasticsearch --to elasticsearch://localhost:9200",
        "clues setup elasticsearch --to opensearch+https://admin:secret@search:9200 --delete-after 90d",
    ),
    notes="The URL is that of CLUES_PUBLISHERS. What is there stays as it is; so say it again after each upgrade.",
    exit_status={1: "the cluster can't be reached, or refuses"},
)


_MANUAL = Manual(
    (
        "clues setup elasticsearch --to elasticsearch://localhost:9200",
        "clues setup grafana --url http://localhost:3000 --api-key glsa_…",
        "clues setup kibana --url http://localhost:5601",
    ),
    exit_status={1: "the back end can't be reached, or refuses"},
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    setup = typer.Typer(cls=group_of(_MANUAL), no_args_is_help=True)
    command(setup, elasticsearch, _ELASTICSEARCH)
    command(setup, grafana, _GRAFANA)
    command(setup, kibana, _KIBANA)
    app.add_typer(
        setup,
        name="setup",
        help="Make a back end ready for events: Elasticsearch, Grafana, Kibana.",
        rich_help_panel=DELIVER,
    )


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

    from clues.cli.output import clean
    from clues.publishers.elasticsearch_setup import set_up

    for library in ("elastic_transport", "opensearch"):  # they warn of each 404, which here means: to be installed
        logging.getLogger(library).setLevel(logging.ERROR)
    client, target = _asked_for(to, namespace, index, dated=dated)
    for step in set_up(client, target, delete_after=delete_after):
        note = f" ({step.why})" if step.why else ""
        print(clean(f"{step.outcome:<10} {step.what} {step.name}{note}"))


_URL = typer.Option("--url", metavar="URL", help="Where it is: https://host:port; user:password@ may be in it.")
_KEY = typer.Option("--api-key", metavar="KEY", envvar="CLUES_SETUP_API_KEY", help="An API key or a token.")
_USER = typer.Option("--user", metavar="NAME:PASSWORD", envvar="CLUES_SETUP_USER", help="For basic authentication.")
_HEADER = typer.Option(
    "--header", metavar="'NAME: VALUE'", help="Another header, as a proxy wants it; may be repeated."
)
_INSECURE = typer.Option("--insecure", help="Take any certificate.")

_GRAFANA = Manual(
    (
        "clues setup grafana --url http://localhost:3000 --api-key glsa_…",
        "clues setup grafana --url https://admin:secret@grafana.example.com",
    ),
    notes="""\
Data sources stay yours: each dashboard asks for one of Prometheus, and one of Elasticsearch, by a variable. What
is there already and the same stays as it is; so say it again after each upgrade.""",
    environment=variables("CLUES_SETUP_API_KEY", "CLUES_SETUP_USER"),
    exit_status={1: "Grafana can't be reached, or refuses"},
)

_KIBANA = Manual(
    (
        "clues setup kibana --url https://elastic:secret@kibana:5601 --label plan --label clues.metrics.customer_id",
        "clues setup kibana --url http://localhost:5601 --space jobs --index 'jobs-*'",
    ),
    notes="What an earlier version has installed is replaced; so say it again after each upgrade.",
    environment=variables("CLUES_SETUP_API_KEY", "CLUES_SETUP_USER"),
    exit_status={1: "Kibana can't be reached, or refuses"},
)


def grafana(
    *,
    url: Annotated[str, _URL],
    api_key: Annotated[str | None, _KEY] = None,
    user: Annotated[str | None, _USER] = None,
    header: Annotated[list[str] | None, _HEADER] = None,
    insecure: Annotated[bool, _INSECURE] = False,
    folder: Annotated[str, typer.Option(metavar="TITLE", help="The title of their folder.")] = "clues",
) -> None:
    """Install the dashboards in Grafana."""
    from clues.cli.setup_grafana import install
    from clues.cli.setup_http import Site

    site = Site.of(
        url, api_key=api_key, api_key_scheme="Bearer", user=user, headers=tuple(header or ()), verified=not insecure
    )
    _tell("Grafana", site, install(site, folder=folder))


def kibana(
    *,
    url: Annotated[str, _URL],
    api_key: Annotated[str | None, _KEY] = None,
    user: Annotated[str | None, _USER] = None,
    header: Annotated[list[str] | None, _HEADER] = None,
    insecure: Annotated[bool, _INSECURE] = False,
    space: Annotated[str, typer.Option(metavar="ID", help="Which space; the default one if left out.")] = "",
    index: Annotated[str, typer.Option(metavar="PATTERN", help="The indices with the events.")] = "logs-clues.events-*",
    label: Annotated[
        list[str] | None,
        typer.Option(
            "--label", metavar="NAME", help="A text of the publisher's `chart`, or a field, to break down by."
        ),
    ] = None,
) -> None:
    """Install the data view and the dashboards in Kibana."""
    from clues.cli.setup_http import Site
    from clues.cli.setup_kibana import install

    site = Site.of(url, api_key=api_key, user=user, headers=tuple(header or ()), verified=not insecure)
    _tell("Kibana", site, install(site, space=space, index=index, labels=tuple(label or ())))


def _tell(product: str, site: Site, steps: Iterable[tuple[str, str, str]]) -> None:
    from clues.cli.output import clean
    from clues.cli.setup_http import SetupRefusedError
    from clues.faults import describe

    try:
        for outcome, what, more in steps:
            print(clean(f"{outcome:<10} {what}{f': {more}' if more else ''}"), flush=True)
    except (KeyError, TypeError, AttributeError, RecursionError) as error:  # its answers are read as they come
        msg = f"{site.url} answers as no {product} does ({describe(error)}); is it another server, or a proxy?"
        raise SetupRefusedError(msg) from error


def _asked_for(to: str, namespace: str | None, index: str | None, *, dated: bool) -> tuple[Client, Target]:
    from clues.errors import ConfigError
    from clues.plugs import split_url
    from clues.publishers.elasticsearch import ElasticsearchPublisher, target_of
    from clues.publishers.elasticsearch_server import Server
    from clues.publishers.query import options_of

    try:
        url = split_url(to)
    except ConfigError as error:
        raise ConfigError(str(error).replace("CLUES_PUBLISHERS: ", "--to: ")) from None
    given = options_of(url, ElasticsearchPublisher.url_options)
    server = Server.from_url(url, given)
    target = target_of(
        namespace or given.get("namespace", "default"),
        index or given.get("index"),
        dated=dated or given.get("dated", False),
    )
    return server.connect(), target
