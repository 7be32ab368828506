"""What payloads of real applications hold that nobody should see, and what only looks like it."""

# ruff: noqa: E501 - samples read best as wide as they are; tokens are put together, or scanners would find them
from __future__ import annotations

import functools
import json
from typing import Any

import pytest

from clues.metadata import failure_of
from clues.redaction import NO_SECRETS, REDACTED
from clues.sanitize import Sanitizer

KEPT = "hunter2"  # is in each secret


@functools.cache
def sanitizer() -> Sanitizer:
    """One for all; made by a test, so that mutants of how it is made are seen."""
    return Sanitizer()


def shown(text: str) -> str:
    return sanitizer().message(text)[0]


SECRETS = {
    "JSON in a string": '{"password": "hunter2hunter2", "a": 1}',
    "JSON in JSON": json.dumps({"body": json.dumps({"user": {"api_key": "hunter2hunter2"}})}),
    "JSON that is cut": '{"a": 1, "password": "hunter2hunt',
    "a URL's password": "https://bob:hunter2hunter2@example.com/x",
    "a URL's token": "https://x/y?access_token=hunter2hunter2&z=1",
    "an S3 signature": "https://s3/x?X-Amz-Credential=hunter2&X-Amz-Signature=hunter2hunter2",
    "an Azure signature": "https://a.blob.core.windows.net/c?sv=2022&sig=hunter2hunter2%3D",
    "a DSN": "postgresql://bob:hunter2hunter2@db/x",
    "a DSN whose password has an @": "postgresql://bob:hunter2@hunter2@db/x",
    "Redis": "Error connecting to redis://:hunter2hunter2@cache:6379/0",
    "libpq": "host=db user=bob password='hunter2 hunter2' dbname=x",
    "ADO.NET": "Server=db;User Id=sa;Password=hunter2hunter2;Trusted=1",
    "ODBC": "Driver={x};UID=sa;PWD={hunter2;hunter2};x=1",
    "Azure storage": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=hunter2hunter2==;EndpointSuffix=x",
    "Service Bus": "Endpoint=sb://x/;SharedAccessKeyName=Root;SharedAccessKey=hunter2hunter2=",
    "keyword arguments": "{'user': 'bob', 'password': 'hunter2hunter2'}",
    "a Ruby hash": '{:password=>"hunter2hunter2"}',
    "an old Ruby hash": '{password: "hunter2hunter2"}',
    "a form": "user=bob&password=hunter2hunter2&x=1",
    "the environment": "export DB_PASSWORD=hunter2hunter2",
    "YAML": "password: hunter2hunter2\nuser: bob",
    "XML": "<user>bob</user><password>hunter2hunter2</password>",
    "an option": "mysql -u bob --password=hunter2hunter2",
    "an option and its value": "curl --oauth2-token hunter2hunter2",
    "an option of two words": "curl --api-key hunter2hunter2",
    "a command that failed": "Command '['mysql', '--password', 'hunter2hunter2']' returned 1",
    "Bearer": "Authorization: Bearer hunter2hunter2.abc",
    "Basic": "Authorization: Basic hunter2aHVudGVyMjo=",
    "Digest": 'Authorization: Digest username="bob", response="hunter2hunter2"',
    "AWS4": "Authorization: AWS4-HMAC-SHA256 Credential=hunter2/x, Signature=hunter2hunter2",
    "a header as a pair": "('Authorization', 'Bearer hunter2hunter2')",
    "a cookie": "Cookie: sid=hunter2hunter2; theme=dark",
    "a cookie that is set": "Set-Cookie: sid=hunter2hunter2; Path=/; HttpOnly",
    "an API key": "X-Api-Key: hunter2hunter2",
    "AWS' secret": "aws_secret_access_key = hunter2XUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "AWS' key id": "using AKIA" + "HUNTER2HUNTER2AB now",
    "AWS' key id alone": "AKIA" + "HUNTER2HUNTER2AB",
    "AWS' key id for a while": "using ASIA" + "HUNTER2HUNTER2AB now",
    "Hugging Face": "hf_" + "hunter2hunter2hunter2hunter2hunter2",
    "GitHub": "cloning with ghp_" + "hunter2hunter2hunter2hunter2hunter2ab",
    "GitHub in a URL": "https://ghp_" + "hunter2hunter2hunter2hunter2hunter2ab@github.com/x.git",
    "GitHub's newer": "github_pat_" + "11AAAAAAA0hunter2hunter2_hunter2hunter2hunter2",
    "GitLab": "glpat-" + "hunter2hunter2hunter",
    "Slack": "xoxb-" + "123456789012-123456789012-hunter2hunter2",
    "a Slack hook": "https://hooks.slack.com/services/T00000000/B00000000/hunter2XXXXXXX",
    "Stripe": "No such key: sk_live_" + "hunter2hunter2hunter2abcd",
    "Stripe's hooks": "whsec_" + "hunter2hunter2hunter2abcd",
    "Google": "AIza" + "SyA-hunter2hunter2hunter2hunter2hunt12",
    "OpenAI": "sk-proj-" + "hunter2hunter2hunter2hunter2hunter2",
    "npm": "npm_" + "hunter2hunter2hunter2hunter2hunter2hu",
    "PyPI": "pypi-AgE" + "IcHlwaS5vcmchunter2hunter2hunter2hunter2",
    "SendGrid": "SG." + "hunter2hunter2hunter22.hunter2hunter2hunter2hunter2hunter2hunter2hun",
    "a JWT": "token is eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2bmF0dXJlc2lnbmF0dXJl ok",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAhunter2\nabcdef\n-----END RSA PRIVATE KEY-----",
    "a private key in JSON": "-----BEGIN PRIVATE KEY-----\\nMIIEhunter2\\n-----END PRIVATE KEY-----\\n",
    "a private key that is cut": "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzhunter2",
}


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_secrets_in_texts(text: str) -> None:
    found = shown(text)
    assert KEPT not in found.lower()
    assert REDACTED in found


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_secrets_wherever_they_stand(text: str) -> None:
    """Nested in arguments and keyword arguments, in metadata, in an error and what caused it, in a backtrace."""
    nested: list[Any] = [1, {"order": [{"note": text}]}]
    assert KEPT not in json.dumps(sanitizer().args("Job", nested)).lower()
    assert KEPT not in json.dumps(sanitizer().metadata({"headers": {"x": [text]}})).lower()
    try:
        try:
            raise OSError(text)
        except OSError as error:
            raise RuntimeError("while paying") from error
    except RuntimeError as error:
        failure = failure_of(error)
    assert KEPT not in json.dumps(sanitizer().backtrace(failure.backtrace)).lower()


@pytest.mark.parametrize("text", SECRETS.values(), ids=SECRETS)
def test_without_words_nothing_is_redacted(text: str) -> None:
    assert NO_SECRETS.redact(text) == text
    assert Sanitizer(words=()).message(text) == (text, False)


def test_the_shortest_secrets() -> None:
    assert shown("Basic a1b2c3") == "Basic [REDACTED]"
    assert shown("Basic a1b2c") == "Basic a1b2c"


@pytest.mark.parametrize(
    "payload",
    [
        {"password": "hunter2"}, {"user": {"apiKey": "hunter2"}}, {"kwargs": {"client_secret": ["hunter2"]}},
        {"headers": {"Authorization": "hunter2", "Cookie": "hunter2", "X-Api-Key": "hunter2", "X-CSRFToken": "hunter2"}},
        {"headers": [["Authorization", "Bearer hunter2hunter2"]]}, {"otp": "hunter2"}, {"jwt": "hunter2"},
        {"AccountKey": "hunter2"}, {"sig": "hunter2"}, {"refreshToken": {"value": "hunter2"}}, {"tokens": ["hunter2"]},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_secrets_by_their_keys(payload: Any) -> None:
    assert KEPT not in json.dumps(sanitizer().args("Job", [payload]))
    assert KEPT not in shown(json.dumps(payload))
    assert KEPT not in shown(json.dumps({"body": json.dumps(payload)}))


@pytest.mark.parametrize("number", [4711, 1.5])
def test_a_secret_that_is_a_number(number: float) -> None:
    assert sanitizer().args("Job", [{"cvv": number, "otp": number}])[0] == [{"cvv": REDACTED, "otp": REDACTED}]


CALM = [
    "author=bob", "authority: high", "tokenize=true", "tokens: 512 used", "max_tokens=100", "the secretary: Bob", "Basic setup: done",
    "bearer of news", "https://example.com/a@b", "mail bob@example.com: hi", "time 10:20:30", "C:\\Users\\bob", "foo::Bar",
    "eyJub3Q", "task-1234567890abcdef1234567890abcdef", "disk-1234567890abcdef1234567890abcdef", "risk_live_x_and_more_of_it",
    "0695f49c-5e70-fc18-da91-961113e1769a", "task_id=0695f49c", "primary_key=42", "key: value", "https://x/y?key=value&page=2",
    "password_changed_at", "KeyError: 'password'", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
    "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "sk-learn is a package of Python", "AKIA is a prefix of keys",
    "npm_config_cache=/tmp/cache-of-npm", "cookies are good", "signed=true", "design=3", "ssh://git@github.com:x/y",
    "https://bob@example.com/", "AttributeError: 'NoneType' object has no attribute 'token'", "session=morning", "--verbose --tokenize x",
    "<author>bob</author>", "</password>", "half_finished_thing_with_underscores", "SG.1 and more text that follows", "1 < 2: password",
]  # fmt: skip


@pytest.mark.parametrize("text", CALM)
def test_what_only_looks_like_a_secret_stays(text: str) -> None:
    assert shown(text) == text


def test_counts_of_tokens_stay() -> None:
    usage = {"max_tokens": 100, "prompt_tokens": 12, "temperature": 0.5, "token": "x" * 8}
    assert sanitizer().args("Job", [usage])[0] == [{**usage, "token": REDACTED}]
