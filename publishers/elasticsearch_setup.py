"""What a cluster needs before events come: templates, and a policy that deletes what is old."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from clues.errors import CluesError, ConfigError
from clues.faults import describe
from clues.publishers.elasticsearch_client import Answer, Client
from clues.publishers.elasticsearch_documents import Target
from clues.publishers.elasticsearch_ready import is_set_up
from clues.publishers.elasticsearch_server import ELASTICSEARCH, OPENSEARCH

DELETE_AFTER = "30d"

_COMPONENTS = ("clues.events@mappings", "clues.events@settings")
_STREAMS = "logs-clues.events"
_AGE = re.compile(r"([1-9]\d{0,4})([dhm])", re.ASCII)
_ROLLOVER = "7d"
_MINUTES = {"d": 1440, "h": 60, "m": 1}
_MISSING = 404
_FORBIDDEN = {401, 403}
_PRODUCTS = {ELASTICSEARCH: "Elasticsearch", OPENSEARCH: "OpenSearch"}


class SetupError(CluesError):
    """The cluster refused a template or a policy, or it is no cluster."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done about one item.

    Attributes:
        what: the kind of item.
        name: its name.
        outcome: ``installed``, ``updated``, ``unchanged`` or ``left out``.
        why: why it was left out, or what else there is to know.
    """

    what: str
    name: str
    outcome: str
    why: str = ""


def set_up(client: Client, target: Target, *, delete_after: str | None = None) -> Iterator[Step]:
    """Install what is missing, update what is an older clues', leave what was edited by hand since.

    Args:
        client: the cluster.
        target: the data stream or index that will get events.
        delete_after: the age at which events are deleted, such as ``30d``; None keeps a policy that is there, and
            means 30 days for a new one.

    Raises:
        ConfigError: delete_after is no age.
        SetupError: the cluster refused something, or it is none.
    """
    if delete_after is not None and not _AGE.fullmatch(delete_after):
        msg = f"an age is a number with d, h or m, such as 30d, not {delete_after!r}"
        raise ConfigError(msg)
    try:
        yield from _set_up(client, target, delete_after)
    except (
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        RuntimeError,
    ) as error:  # its answers are read as they come
        msg = f"{client.place} answers as no Elasticsearch, and no OpenSearch, does ({describe(error)}); is it a proxy?"
        raise SetupError(msg) from error


def _set_up(client: Client, target: Target, delete_after: str | None) -> Iterator[Step]:
    kind = kind_of(client)
    policy, step = _lifecycle(client, kind, target, delete_after)
    yield step
    mappings = "mappings-opensearch.json" if kind == OPENSEARCH else "mappings.json"
    for name, file in zip(_COMPONENTS, (mappings, "settings.json"), strict=True):
        yield _put_template(client, "component template", f"/_component_template/{name}", read(file))
    path = f"/_index_template/{quote(_template_name(target))}"
    yield _put_template(client, "index template", path, _index_template(target, policy if kind != OPENSEARCH else None))
    yield from _in_the_way(client, target)


def kind_of(client: Client) -> str:
    """Whose cluster it is.

    Raises:
        SetupError: nobody's whom we know.
    """
    answer = client.ask("GET", "/")
    version = answer.body.get("version") if isinstance(answer.body, dict) else None
    if isinstance(version, dict) and version.get("distribution") == OPENSEARCH:
        return OPENSEARCH
    if answer.headers.get("x-elastic-product") == "Elasticsearch" or (
        isinstance(version, dict) and "number" in version
    ):
        if answer.status in _FORBIDDEN:
            raise SetupError(f"HTTP {answer.status} {answer.reason}")
        return ELASTICSEARCH
    msg = f"{client.place} is neither Elasticsearch nor OpenSearch: HTTP {answer.status} {answer.reason}"
    raise SetupError(msg)


def read(file: str) -> dict[str, Any]:
    """One of the JSON files of ``dashboards/elasticsearch``, from the package or the checkout."""
    packed = resources.files("clues").joinpath("dashboards", "elasticsearch", file)
    if packed.is_file():
        text = packed.read_text("utf-8")
    else:
        text = (Path(str(resources.files("clues"))).parent / "dashboards" / "elasticsearch" / file).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def _template_name(target: Target) -> str:
    return f"clues.events-{target.name}" if target.namespace is None else _STREAMS


def _patterns(target: Target) -> list[str]:
    if target.namespace is not None:
        return [f"{_STREAMS}-*"]
    return [f"{target.name}-*.*.*"] if target.dated else [target.name]


def _index_template(target: Target, policy: str | None) -> dict[str, Any]:
    if target.namespace is not None:
        template = read("index-template.json")
    else:
        template = {**read("index-template-plain.json"), "index_patterns": _patterns(target)}
    if policy is not None:
        template["template"] = {"settings": {"index": {"lifecycle": {"name": policy}}}}
    return template


def _lifecycle(client: Client, kind: str, target: Target, delete_after: str | None) -> tuple[str | None, Step]:
    what = "ISM policy" if kind == OPENSEARCH else "ILM policy"
    name = f"{_template_name(target)}@lifecycle"
    if target.namespace is None and not target.dated:
        return None, Step(
            what, name, "left out", "a single index can't lose its old events: use the data stream or --dated"
        )
    answer = client.ask("GET", "/_plugins/_ism/policies?size=1" if kind == OPENSEARCH else "/_ilm/status")
    if answer.status in _FORBIDDEN:
        raise _refused(f"is there {what[:3]}", answer)
    if answer.status != 200:  # noqa: PLR2004
        why = f"this {_PRODUCTS[kind]} has no {what[:3]}, so nothing deletes old events (HTTP {answer.status})"
        return None, Step(what, name, "left out", why)
    file = f"{what[:3].lower()}-policy{'-dated' if target.dated else ''}.json"
    put = _put_ism if kind == OPENSEARCH else _put_ilm
    return name, put(client, name, read(file)["policy"], target, delete_after)


def _put_ilm(client: Client, name: str, policy: dict[str, Any], _: Target, delete_after: str | None) -> Step:
    path = f"/_ilm/policy/{quote(name)}"
    there = _found(client, path)
    before = None if there is None else there.get(name, {}).get("policy", {}).get("_meta", {}).get("clues", "")
    if before is not None and delete_after is None:
        return _kept("ILM policy", name)
    age = delete_after or DELETE_AFTER
    policy["phases"]["delete"]["min_age"] = age
    rollover = policy["phases"]["hot"]["actions"].get("rollover")
    if rollover:
        rollover["max_age"] = _rollover_of(age)
    digest = _digest(policy)
    policy["_meta"]["clues"] = digest
    return _put(
        client, Step("ILM policy", name, _outcome(before, digest), f"deletes after {age}"), path, {"policy": policy}
    )


def _put_ism(client: Client, name: str, policy: dict[str, Any], target: Target, delete_after: str | None) -> Step:
    path = f"/_plugins/_ism/policies/{quote(name)}"
    there = _found(client, path)
    if there is not None and delete_after is None:
        return _kept("ISM policy", name)
    age = delete_after or DELETE_AFTER
    hot = policy["states"][0]
    hot["transitions"][0]["conditions"]["min_index_age"] = age
    for action in hot["actions"]:
        action["rollover"]["min_index_age"] = _rollover_of(age)
    policy["ism_template"][0]["index_patterns"] = _patterns(target)
    digest = _digest(policy)
    policy["description"] += f" [{digest}]"  # a policy has no other place for it
    before = None if there is None else there["policy"].get("description", "").rpartition("[")[2].rstrip("]")
    at = "" if there is None else f"?if_seq_no={there['_seq_no']}&if_primary_term={there['_primary_term']}"
    step = Step(
        "ISM policy", name, _outcome(before, digest), f"deletes after {age}; of indices that exist, none changes"
    )
    return _put(client, step, path + at, {"policy": policy})


def _kept(what: str, name: str) -> Step:
    return Step(what, name, "unchanged", "as it is there; say --delete-after to change it")


def _rollover_of(age: str) -> str:
    """A week, or the age where that is less: an index can only be deleted once it is no longer written to."""
    return min(age, _ROLLOVER, key=_minutes)


def _minutes(age: str) -> int:
    return int(age[:-1]) * _MINUTES[age[-1]]


def _put_template(client: Client, what: str, path: str, template: dict[str, Any]) -> Step:
    name = path.rpartition("/")[2]
    there = _found(client, path)
    before = None
    if there is not None:
        found = next(iter(there[f"{what.replace(' ', '_')}s"]))[what.replace(" ", "_")]
        before = (found.get("_meta") or {}).get("clues", "")
    digest = _digest(template)
    template["_meta"]["clues"] = digest
    outcome = _outcome(before, digest)
    why = "indices that are there keep theirs; new ones get it" if outcome == "updated" else ""
    return _put(client, Step(what, name, outcome, why), path, template)


def _put(client: Client, step: Step, path: str, body: Mapping[str, Any]) -> Step:
    if step.outcome != "unchanged":
        answer = client.ask("PUT", path, json.dumps(body).encode())
        if answer.status >= 300:  # noqa: PLR2004
            raise _refused(f"{step.what} {step.name}", answer)
    return step


def _found(client: Client, path: str) -> dict[str, Any] | None:
    answer = client.ask("GET", path)
    if answer.status == _MISSING:
        return None
    if answer.status != 200 or not isinstance(answer.body, dict):  # noqa: PLR2004
        raise _refused(path, answer)
    return answer.body


def _refused(what: str, answer: Answer) -> SetupError:
    hint = "; the user needs the cluster privileges manage_index_templates and manage_ilm"
    return SetupError(f"{what}: HTTP {answer.status} {answer.reason}{hint if answer.status in _FORBIDDEN else ''}")


def _outcome(before: str | None, now: str) -> str:
    if before is None:
        return "installed"
    return "unchanged" if before == now else "updated"


def _digest(body: Mapping[str, Any]) -> str:
    """What tells one version of an item from another; servers give them back in a shape of their own."""
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:12]


def _in_the_way(client: Client, target: Target) -> Iterator[Step]:
    """Indices that were there before their templates, and so have other mappings."""
    if is_set_up(client, target):
        return
    name = target.index(datetime.now(UTC))
    why = "is there already, without mappings for events: delete it or choose another name; events wait until then"
    yield Step("data stream" if target.namespace is not None else "index", name, "left out", why)
