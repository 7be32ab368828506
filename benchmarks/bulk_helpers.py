"""``python -m benchmarks.bulk_helpers FILE URL``: index the documents of a file by Elastic's own helpers.

They are read before; prints the CPU seconds of each document.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import elasticsearch
from elasticsearch import helpers


def main() -> None:
    """Index them once, so that all is imported and connected, and then to be measured."""
    documents = [json.loads(line) for line in Path(sys.argv[1]).read_bytes().splitlines()]
    client = elasticsearch.Elasticsearch(sys.argv[2])
    index(client, documents[:2000])
    begin = time.process_time()
    index(client, documents)
    print(json.dumps({"cpu": (time.process_time() - begin) / len(documents)}))


def index(client: elasticsearch.Elasticsearch, documents: list[Any]) -> None:
    """By the helpers' defaults."""
    for taken, _ in helpers.streaming_bulk(client, actions(documents)):
        if not taken:
            raise RuntimeError


def actions(documents: list[Any]) -> Iterator[dict[str, Any]]:
    """As an application that streams its events would yield them."""
    for document in documents:
        name = document["event"]["id"]
        yield {"_op_type": "create", "_index": "logs-clues.events-default", "_id": name, "_source": document}


if __name__ == "__main__":
    main()
