"""Clients by URL and by object, against real servers."""

from __future__ import annotations

import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest
import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from clues.errors import ClusterError, ConfigError, RedisVersionError
from clues.resque.connect import check_server, connect, default_url, describe, push_connection
from clues.resque.waker import Waker
from tests.redis_server import binary
from tests.requirements import lacking
from tests.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_environment_names_the_url() -> None:
    """REDIS_URL, else the usual place."""
    assert default_url({"REDIS_URL": "redis://h/1"}) == "redis://h/1"
    assert default_url({"REDIS_URL": ""}) == default_url({}) == "redis://localhost:6379/0"
    assert describe(connect()) == "redis://localhost:6379/0"


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://:s3cret@h:7/3", "redis://h:7/3"),
        ("rediss://u:s3cret@h/1?ssl_cert_reqs=none", "rediss://h:6379/1"),
        ("redis://[::1]:5", "redis://[::1]:5/0"),
        ("unix:///tmp/a%20b.sock?db=2&password=s3cret", "unix:///tmp/a%20b.sock?db=2"),
        ("sentinel://:s3cret@h1:1,[::1],h3/my/4?sentinel_password=s3cret",
         "sentinel://h1:1,[::1]:26379,h3:26379/my/4"),
        ("sentinels://h1/my", "sentinels://h1:26379/my/0"),
    ],
)  # fmt: skip
def test_a_place_is_told_without_secrets(url: str, place: str) -> None:
    """Neither password nor user shows; a client made of the parts is described the same."""
    client = connect(url)
    assert describe(client) == place
    assert "s3cret" not in describe(connect(redis.Redis(connection_pool=client.connection_pool)))


@pytest.mark.parametrize(
    "url",
    [
        "http://:s3cret@h", "s3cret", "redis://:s3cret/b@h", "redis://h:s3cret", "redis://h/s3cret", "redis://h?x=s3cret",
        "redis://h?db=s3cret", "sentinel://h1", "sentinel:///s3cret", "sentinel://h1:s3cret/x", "sentinel://h/x/s3cret",
        "sentinel://a,,b/x", "redis://[s3cret",
    ],
)  # fmt: skip
def test_a_mistaken_url_is_an_error_without_secrets(url: str) -> None:
    """When it is given, not at the first command."""
    with pytest.raises(ConfigError, match="mistaken Redis URL") as caught:
        connect(url)
    assert "s3cret" not in str(caught.value)


def test_what_is_no_client_is_refused() -> None:
    """With what was expected."""
    with pytest.raises(ConfigError, match=r"expected a Redis URL or a redis\.Redis, not builtins\.int"):
        connect(5)  # type: ignore[arg-type]


@pytest.mark.parametrize("url", ["redis://h", "rediss://h", "unix:///s", "sentinel://h/s"])
def test_our_clients_repeat_nothing(url: str) -> None:
    """No command is sent twice, as its reply may be lost after it was done; a client like that is used as it is."""
    client = connect(url)
    connection: Any = client.connection_pool.make_connection()
    assert connection.retry._retries == 0
    assert connection.encoder.decode_responses is False
    assert connect(client) is client


def test_options_in_the_url_win() -> None:
    """A user's timeout is not ours to overrule."""
    settings = connect("redis://h?socket_timeout=7").connection_pool.connection_kwargs
    assert (settings["socket_timeout"], settings["socket_connect_timeout"]) == (7, 5)


@pytest.mark.parametrize(
    "client",
    [
        redis.Redis(decode_responses=True, db=3, password="s3cret"),
        redis.Redis(retry=Retry(ExponentialBackoff(), 3), db=3),
        redis.Redis(ssl=True, decode_responses=True, db=3),
        redis.Redis(unix_socket_path="/s", decode_responses=True, db=3),
        redis.Redis(protocol=3, decode_responses=True, db=3),
        redis.Redis(
            connection_pool=redis.BlockingConnectionPool(  # type: ignore[no-untyped-call]
                timeout=3, decode_responses=True, db=3
            )
        ),
        Sentinel([("a", 1)], decode_responses=True).master_for("my", db=3),  # type: ignore[no-untyped-call]
    ],
    ids=["tcp", "retrying", "tls", "unix", "resp3", "blocking", "sentinel"],
)
def test_a_client_that_decodes_or_retries_gets_a_twin(client: redis.Redis) -> None:
    """It connects to the same place in the same way, and the given client stays as it was."""
    twin = connect(client)
    assert describe(twin) == describe(client)
    assert type(twin.connection_pool) is type(client.connection_pool)
    assert connect(twin) is twin
    connection: Any = twin.connection_pool.make_connection()
    assert type(connection) is client.connection_pool.connection_class
    assert (connection.db, connection.retry._retries, connection.encoder.decode_responses) == (3, 0, False)
    assert connection.password == client.connection_pool.connection_kwargs.get("password")
    assert type(push_connection(twin)) is type(connection)


def _works(client: redis.Redis) -> None:
    """Use a client as the store does, and be woken with its settings."""
    check_server(client)
    client.rpush("list", b"\xff")
    assert client.lpop("list") == b"\xff"
    waker = Waker(client, "resque:queue:")
    assert waker.arm()
    client.rpush("resque:queue:a", "{}")
    begun = time.monotonic()
    waker.wait(60)
    assert time.monotonic() < begun + 60
    waker.close()


def test_a_password(start_redis: Callable[..., Any]) -> None:
    """It is used, and a wrong one shows in no error."""
    server = start_redis("--requirepass", "s3cret%/@")
    _works(connect(f"redis://:s3cret%25%2F%40@127.0.0.1:{server.port}/2"))
    wrong = connect(f"redis://:wr0ng@127.0.0.1:{server.port}/2")
    with pytest.raises(redis.exceptions.RedisError) as caught:
        check_server(wrong)
    assert "wr0ng" not in str(caught.value)


def test_a_unix_socket(start_redis: Callable[..., Any], tmp_path: Path) -> None:
    """A path for the place."""
    path = tmp_path / "redis socket"
    start_redis("--unixsocket", str(path))
    client = connect(f"unix://{str(path).replace(' ', '%20')}?db=1")
    _works(client)
    _works(connect(redis.Redis(unix_socket_path=str(path), decode_responses=True)))


def test_a_decoding_client_serves_bytes(start_redis: Callable[..., Any]) -> None:
    """Items that are not UTF-8 come out as they are."""
    client = redis.Redis(port=start_redis().port, decode_responses=True)
    _works(connect(client))
    client.set("a", "b")
    assert client.get("a") == "b"


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """Make a certificate for 127.0.0.1, signed by itself."""
    if not shutil.which("openssl"):
        lacking("openssl", "it is not on PATH")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout key.pem -out cert.pem"
    alternative = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    subprocess.run([*command.split(), *alternative], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def _tls(certificates: Path, setting: str = "--") -> list[str]:
    names = {"cert-file": "cert.pem", "key-file": "key.pem", "ca-cert-file": "cert.pem"}
    words = [(f"{setting}tls-{name}", str(certificates / file)) for name, file in names.items()]
    return [*(word for pair in words for word in pair), f"{setting}tls-auth-clients", "no"]


@pytest.fixture
def has_tls() -> None:
    """Skip where redis-server was built without TLS."""
    program = binary()
    # It ends at once, as that is no port; without TLS it doesn't even know the directive.
    said = subprocess.run([program, "--tls-port", "none"], capture_output=True, check=False, timeout=30)
    if b"Bad directive" in said.stdout + said.stderr:
        lacking("tls", "redis-server was built without TLS")


@pytest.mark.usefixtures("has_tls")
def test_tls(start_redis: Callable[..., Any], certificates: Path) -> None:
    """With the certificate checked; without its authority the connection is refused."""
    server = start_redis("--tls-port", "{port}", *_tls(certificates), config="port 0\n")
    _works(connect(f"rediss://127.0.0.1:{server.port}/1?ssl_ca_certs={certificates / 'cert.pem'}"))
    with pytest.raises(redis.exceptions.ConnectionError):
        check_server(connect(f"rediss://127.0.0.1:{server.port}/1"))


SENTINEL = """
port {{port}}
sentinel monitor my 127.0.0.1 {master} 1
sentinel down-after-milliseconds my 1000
sentinel failover-timeout my 3000
"""


def test_sentinel(start_redis: Callable[..., Any]) -> None:
    """The master is asked for, with a password for each, past a sentinel that is away."""
    master = start_redis("--requirepass", "m4ster")
    config = SENTINEL.format(master=master.port) + "sentinel auth-pass my m4ster\nrequirepass s3ntinel\n"
    sentinel = start_redis("--sentinel", config=config)
    client = connect(
        f"sentinel://:m4ster@127.0.0.1:1,127.0.0.1:{sentinel.port}/my/2?sentinel_password=s3ntinel",
    )
    _works(client)
    pool: Any = client.connection_pool
    assert pool.make_connection().db == 2
    _works(connect(pool.sentinel_manager.master_for("my", password="m4ster", decode_responses=True)))


def test_sentinel_names_the_new_master(start_redis: Callable[..., Any]) -> None:
    """After a failover the same client goes on with the other server."""
    master = start_redis()
    replica = start_redis(config=f"port {{port}}\nreplicaof 127.0.0.1 {master.port}\nrepl-diskless-sync-delay 0\n")
    sentinel = start_redis("--sentinel", config=SENTINEL.format(master=master.port))
    client = connect(f"sentinel://127.0.0.1:{sentinel.port}/my")
    wait_for(lambda: client.info("replication")["connected_slaves"] == 1, "the replica's connection")
    wait_for(lambda: _sentinel_knows_a_replica(sentinel.port), "the sentinel's knowledge of it", timeout=60)
    master.stop()
    wait_for(lambda: _is_served_by(client, replica.port), "the failover", timeout=120)


def _sentinel_knows_a_replica(port: int) -> bool:
    replicas: Any = redis.Redis(port=port, decode_responses=True).sentinel_slaves("my")
    return any(replica["master-link-status"] == "ok" for replica in replicas)


def _is_served_by(client: redis.Redis, port: int) -> bool:
    try:
        return bool(client.set("a", "b")) and client.info("server")["tcp_port"] == port
    except redis.exceptions.RedisError:
        return False


@pytest.mark.usefixtures("has_tls")
def test_sentinel_by_tls(start_redis: Callable[..., Any], certificates: Path) -> None:
    """Both the sentinel and the master are spoken to by TLS."""
    tls = _tls(certificates)
    master = start_redis("--tls-port", "{port}", *tls, "--tls-replication", "yes", config="port 0\n")
    pairs = dict(zip(*[iter(_tls(certificates, ""))] * 2, strict=True))
    lines = "".join(f"{name} {value}\n" for name, value in pairs.items())
    config = SENTINEL.format(master=master.port).replace("port {port}", "port 0\ntls-port {port}\ntls-replication yes")
    sentinel = start_redis("--sentinel", config=config + lines)
    _works(connect(f"sentinels://127.0.0.1:{sentinel.port}/my?ssl_ca_certs={certificates / 'cert.pem'}"))


def test_a_sentinel_is_no_redis(start_redis: Callable[..., Any]) -> None:
    """Its own address given as a Redis is told from one."""
    sentinel = start_redis("--sentinel", config="port {port}\n")
    with pytest.raises(ConfigError, match=r"is a Sentinel; write sentinel://"):
        check_server(connect(f"redis://127.0.0.1:{sentinel.port}"))


def test_a_cluster_is_refused(start_redis: Callable[..., Any]) -> None:
    """By its client, and by what its server says of itself."""
    server = start_redis("--cluster-enabled", "yes")
    with pytest.raises(ClusterError, match="keys span slots"):
        check_server(connect(f"redis://127.0.0.1:{server.port}"))
    cluster = redis.RedisCluster.__new__(redis.RedisCluster)
    with pytest.raises(ClusterError, match="give a single Redis, or Sentinel"):
        connect(cluster)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "is_old"),
    [("6.0.20", True), ("5.0", True), ("6.2.0", False), ("7.2.4", False), ("255.255.255", False), ("", False)],
)
def test_old_servers_are_refused(monkeypatch: pytest.MonkeyPatch, version: str, is_old: bool) -> None:
    """Those older than 6.2; one that tells no version goes through."""
    client = connect("redis://:s3cret@h")
    monkeypatch.setattr(client, "info", lambda: {"redis_version": version})
    if is_old:
        with pytest.raises(RedisVersionError, match=rf"redis://h:6379/0 is Redis {version}; clues needs 6\.2"):
            check_server(client)
    else:
        check_server(client)


def test_a_server_that_does_not_tell_goes_through(start_redis: Callable[..., Any]) -> None:
    """An ACL may forbid INFO."""
    server = start_redis(config="port {port}\nuser default on nopass ~* &* +@all -info\n")
    check_server(connect(f"redis://127.0.0.1:{server.port}"))
