"""What Grafana and Kibana ask Elasticsearch for a panel: their ways of making a search of it, written anew."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from clues.publishers.elasticsearch_client import Client

Groups = dict[tuple[str, ...], dict[str, float | None]]
"""By the values of the fields that rows are made of: numbers by their names."""
ALL_TIME = "36500d"
_TOKEN = re.compile(r"\s*(?:(\()|(\))|(AND|OR|NOT)\b|([\w.@]+)\s*(:|<=)\s*|([\w.*$-]+))")


def ask(client: Client, index: str, body: dict[str, Any]) -> Any:
    answer = client.ask("POST", f"/{index}/_search", json.dumps(body).encode())
    assert answer.status == 200, answer
    return answer.body


# Grafana


def of_grafana(target: dict[str, Any], values: dict[str, str]) -> dict[str, Any]:
    """The search of a target, its variables put in."""
    text = json.dumps(target)
    for name, value in values.items():
        text = re.sub(rf"\${name}\b", value, text)
    target = json.loads(text)
    query = {"query_string": {"query": target["query"], "analyze_wildcard": True}}
    body: dict[str, Any] = {"size": 0, "query": {"bool": {"filter": [query]}}}
    first = target["metrics"][0]
    if first["type"] == "raw_data":
        return {**body, "size": int(first["settings"]["size"]), "sort": [{"@timestamp": "desc"}]}
    aggregations: dict[str, Any] = {}
    for metric in target["metrics"]:
        if metric["type"] != "count":
            settings = metric.get("settings", {})
            known = {"field": metric["field"], **{k: json.loads(v) for k, v in settings.items() if k != "percents"}}
            if "percents" in settings:
                known["percents"] = [float(percent) for percent in settings["percents"]]
            aggregations[metric["id"]] = {metric["type"]: known}
    for bucket in reversed(target["bucketAggs"]):
        aggregations = {bucket["id"]: {**_grafana_bucket(bucket), "aggs": aggregations}}
    return {**body, "aggs": aggregations}


def _grafana_bucket(bucket: dict[str, Any]) -> dict[str, Any]:
    settings = bucket["settings"]
    if bucket["type"] == "terms":
        size, order = int(settings["size"]), {settings["orderBy"]: settings["order"]}
        return {"terms": {"field": bucket["field"], "size": size, "order": order}}
    assert bucket["type"] == "date_histogram"
    return {"date_histogram": {"field": bucket["field"], "fixed_interval": ALL_TIME, "min_doc_count": 0}}


def rows(body: Any, target: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, float | None]]]:
    """Each row's keys, and its numbers by the kinds of metrics."""
    yield from _rows(body["aggregations"], target["bucketAggs"], target["metrics"], ())


def _rows(at: Any, buckets: list[Any], metrics: list[Any], keys: tuple[str, ...]) -> Iterator[Any]:
    bucket, *rest = buckets
    for one in at[bucket["id"]]["buckets"]:
        row = (*keys, str(one["key"])) if bucket["type"] == "terms" else keys
        if rest:
            yield from _rows(one, rest, metrics, row)
        else:
            yield row, {metric["type"]: _number(one, metric) for metric in metrics}


def _number(bucket: Any, metric: dict[str, Any]) -> float | None:
    if metric["type"] == "count":
        return float(bucket["doc_count"])
    found = bucket[metric["id"]]
    value: float | None = next(iter(found["values"].values())) if "values" in found else found["value"]
    return value


# Kibana


def of_lens(state: dict[str, Any], now: float) -> dict[str, Any]:
    """The search of a Lens."""
    (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
    columns = layer["columns"]
    aggregations: dict[str, Any] = {}
    for name, column in columns.items():
        if not column["isBucketed"] and "sourceField" in column:
            inner = {"value": _lens_metric(column)}
            only = column.get("filter", {"query": ""})["query"]
            filters = [kql(only)]
            if window := column.get("reducedTimeRange"):
                since = round((now - int(window[:-1]) * {"h": 3600, "m": 60}[window[-1]]) * 1000)
                filters.append({"range": {"@timestamp": {"gte": since, "format": "epoch_millis"}}})
            aggregations[name] = {"filter": {"bool": {"filter": filters}}, "aggs": inner}
    for name in reversed([name for name in layer["columnOrder"] if columns[name]["isBucketed"]]):
        aggregations = {name: {**_lens_bucket(columns[name]), "aggs": aggregations}}
    return {"size": 0, "query": kql(state["query"]["query"]), "aggs": aggregations}


def _lens_metric(column: dict[str, Any]) -> dict[str, Any]:
    field, operation = column["sourceField"], column["operationType"]
    if operation == "count":
        return {"value_count": {"field": "_index"}}
    if operation == "percentile":
        return {"percentiles": {"field": field, "percents": [column["params"]["percentile"]]}}
    return {{"unique_count": "cardinality", "average": "avg"}.get(operation, operation): {"field": field}}


def _lens_bucket(column: dict[str, Any]) -> dict[str, Any]:
    if column["operationType"] == "terms":
        return {"terms": {"field": column["sourceField"], "size": column["params"]["size"]}}
    assert column["operationType"] == "date_histogram"
    return {"date_histogram": {"field": column["sourceField"], "fixed_interval": ALL_TIME, "min_doc_count": 0}}


def lens_groups(body: Any, state: dict[str, Any]) -> Groups:
    """What a Lens shows, by its columns' labels."""
    (layer,) = state["datasourceStates"]["formBased"]["layers"].values()
    columns = layer["columns"]
    buckets = [name for name in layer["columnOrder"] if columns[name]["isBucketed"]]
    found: Groups = {}

    def visit(at: Any, rest: list[str], keys: tuple[str, ...]) -> None:
        if rest:
            terms = columns[rest[0]]["operationType"] == "terms"
            for one in at[rest[0]]["buckets"]:
                visit(one, rest[1:], (*keys, str(one["key"])) if terms else keys)
            return
        numbers: dict[str, float | None] = {}
        for name, column in columns.items():
            if name in at:
                value = at[name]["value"]
                numbers[name] = next(iter(value["values"].values())) if "values" in value else value["value"]
            elif column["operationType"] == "math":
                numbers[name] = _reckoned(column["params"]["tinymathAst"], numbers)
            elif column["operationType"] == "formula":
                numbers[name] = numbers[column["references"][0]]
        found[keys] = {columns[name]["label"]: number for name, number in numbers.items() if "X" not in name}

    visit(body["aggregations"], buckets, ())
    return found


def _reckoned(tree: Any, numbers: dict[str, float | None]) -> float | None:
    """What a formula gives, as tinymath reckons it."""
    if isinstance(tree, str):
        return numbers[tree] or 0.0
    if not isinstance(tree, dict):
        return float(tree)
    left, right = (_reckoned(part, numbers) for part in tree["args"])
    if left is None or right is None or (tree["name"] == "divide" and not right):
        return None
    return left / right if tree["name"] == "divide" else left - right


def kql(text: str) -> dict[str, Any]:
    """A query in Kibana's language, as far as the dashboards use it."""
    if not text:
        return {"match_all": {}}
    tokens = [*_tokens(text)]
    found = _either(tokens, None)
    assert not tokens, (text, tokens)
    return found


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        assert match is not None, text[at:]
        at = match.end()
        opened, closed, word, field, comparison, value = match.groups()
        if field:
            yield "field", field
            yield "comparison", comparison
        else:
            kind = "open" if opened else "close" if closed else "word" if word else "value"
            yield kind, opened or closed or word or value


def _either(tokens: list[tuple[str, str]], field: str | None) -> dict[str, Any]:
    parts = [_both(tokens, field)]
    while tokens and tokens[0] == ("word", "OR"):
        tokens.pop(0)
        parts.append(_both(tokens, field))
    return parts[0] if len(parts) == 1 else {"bool": {"should": parts, "minimum_should_match": 1}}


def _both(tokens: list[tuple[str, str]], field: str | None) -> dict[str, Any]:
    parts = [_one(tokens, field)]
    while tokens and tokens[0] == ("word", "AND"):
        tokens.pop(0)
        parts.append(_one(tokens, field))
    return parts[0] if len(parts) == 1 else {"bool": {"filter": parts}}


def _one(tokens: list[tuple[str, str]], field: str | None) -> dict[str, Any]:
    kind, value = tokens.pop(0)
    if (kind, value) == ("word", "NOT"):
        return {"bool": {"must_not": [_one(tokens, field)]}}
    if kind == "open":
        found = _either(tokens, field)
        assert tokens.pop(0)[0] == "close"
        return found
    if kind == "field":
        comparison = tokens.pop(0)[1]
        if comparison == "<=":
            return {"range": {value: {"lte": float(tokens.pop(0)[1])}}}
        return _one(tokens, value)
    assert kind == "value"
    assert field is not None
    return {"exists": {"field": field}} if value == "*" else {"match": {field: value}}
