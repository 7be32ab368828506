"""Failures to a chat's webhook, by the journal: no job waits for the chat, and none is forgotten while it is away."""

import json
import urllib.error
import urllib.request
from http import HTTPStatus
from urllib.parse import urlsplit

from clues.publishers.delivery import Refusal, Sent
from clues.publishers.shipped import SHIPPING, ShippedPublisher, shipping_options


class ChatPublisher(ShippedPublisher):
    def __init__(self, webhook, **shipping):
        shipping.setdefault("events", ["failed"])
        super().__init__(f"chat:{urlsplit(webhook).hostname}", **shipping)  # a name without secrets: the path is one
        self._webhook = webhook

    @classmethod
    def from_url(cls, url):
        """``chat://hooks.example.com/T01/secret?sample=0.1``."""
        return cls(f"https://{url.netloc}{url.path}", **shipping_options(url, SHIPPING))

    def destination(self):
        return ChatDestination(self.name, self._webhook)


class ChatDestination:
    """What the shipper calls: one thread, in a process that never forks."""

    max_events = 20
    max_bytes = 64 * 1024

    def __init__(self, name, webhook):
        self.name = name
        self._webhook = webhook

    def send(self, batch):
        """One message for the batch; says what is to be sent again, and what never will be taken."""
        read = {line: _text(line) for line in batch}
        refused = [Refusal(line, "not an event") for line, text in read.items() if text is None]
        lines = [line for line, text in read.items() if text is not None]
        if not lines:
            return Sent(refused=refused)
        try:
            self._post("\n".join(read[line] for line in lines))
        except urllib.error.HTTPError as error:
            if error.code == HTTPStatus.TOO_MANY_REQUESTS or error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                after = error.headers.get("Retry-After", "")
                wait = float(after) if after.isdecimal() else None
                return Sent(retry=lines, refused=refused, problem=str(error), retry_after=wait)
            return Sent(refused=refused + [Refusal(line, str(error)) for line in lines])
        return Sent(refused=refused)  # what it raises besides, a refused connection for instance, is sent again

    def close(self):
        """Nothing is held."""

    def _post(self, text):
        body = json.dumps({"text": text}).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self._webhook, body, headers)  # noqa: S310 - the operator's own URL
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


def _text(line):
    try:
        event = json.loads(line)
        metadata = event["metadata"]
        return f"{event['worker_class']} failed: {metadata['_message']} (clues trace {metadata['_event_hash'][:8]})"
    except (ValueError, KeyError, TypeError):
        return None
