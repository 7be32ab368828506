"""A config file's settings: how they are kept, and how mistakes are told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from clues.errors import ConfigError
from clues.resque.starter_settings import SETTINGS
from tests.resque.configs import Read


def test_all_settings(read: Read) -> None:
    """Are kept as plain values, and no other."""
    config = read("""
from pathlib import Path

app = "shop.jobs"
backoff_interval = 0.1
batch_size = 10
concurrency = 0
dequeue_interval = 1
graceful_term = False
heartbeat_interval = 2
heartbeats_before_dead = 25
hostname = "web-1"
jobs_per_fork = 0
logger = Path("log") / "clues.log"
max_interval = 30
min_interval = 0
namespace = ""
pid_file = Path("clues.pid")
pre_shutdown_timeout = 0
queues = ("critical", " mail_* ", "!mail_slow")
redis = "rediss://user:secret@host:6380/2"
status_file = "clues.stat"
term_child = True
term_timeout = 2.5
thread_count = 4
title_prefix = "shop "

folder = Path(__file__).parent
_hidden = 1
CONSTANT = 2
""")
    expected = {
        "app": ["shop.jobs"],
        "backoff_interval": 0.1,
        "batch_size": 10,
        "concurrency": 0,
        "dequeue_interval": 1.0,
        "graceful_term": False,
        "heartbeat_interval": 2.0,
        "heartbeats_before_dead": 25,
        "hostname": "web-1",
        "jobs_per_fork": 0,
        "logger": "log/clues.log",
        "max_interval": 30.0,
        "min_interval": 0.0,
        "namespace": "",
        "pid_file": "clues.pid",
        "pre_shutdown_timeout": 0.0,
        "queues": ["critical", "mail_*", "!mail_slow"],
        "redis": "rediss://user:secret@host:6380/2",
        "status_file": "clues.stat",
        "term_child": True,
        "term_timeout": 2.5,
        "thread_count": 4,
        "title_prefix": "shop ",
    }
    assert dict(config.settings) == expected
    assert json.loads(json.dumps(dict(config.settings))) == expected
    assert set(SETTINGS) == set(expected)
    assert config.logger == "log/clues.log"


def test_queues_as_one_text(read: Read) -> None:
    """Separated by commas, as in QUEUES."""
    assert read("queues = 'critical, low,'").settings["queues"] == ["critical", "low"]


def test_modules_as_modules(read: Read) -> None:
    """What the file has imported itself may be named by what it is."""
    assert read("import json, email.message\napp = [json, email.message]").settings["app"] == ["json", "email.message"]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("concurrency = '4'", "concurrency must be a whole number of worker processes from 0 to 1000000, not '4'"),
        ("concurrency = -1", "concurrency must be a whole number of worker processes from 0 to 1000000, not -1"),
        ("concurrency = True", "to 1000000, not True"),
        ("thread_count = 0", "thread_count must be a whole number of threads from 1 to 1000000, not 0"),
        ("jobs_per_fork = 2.0", "jobs_per_fork must be a whole number of jobs from 0 to 1000000, not 2.0"),
        ("batch_size = []", "batch_size must be a whole number of jobs from 1 to 1000, not []"),
        ("batch_size = 1001", "from 1 to 1000, not 1001"),
        ("heartbeats_before_dead = 0", "heartbeats from 1 to 1000000, not 0"),
        ("concurrency = 10**5000", "from 0 to 1000000, not "),
        ("term_timeout = 10**5000", "0 or more, not "),
        ("dequeue_interval = float('nan')", "dequeue_interval must be a number of seconds, 0 or more, not nan"),
        ("term_timeout = -0.5", "term_timeout must be a number of seconds, 0 or more, not -0.5"),
        ("max_interval = float('inf')", "0 or more, not inf"),
        ("min_interval = True", "0 or more, not True"),
        ("heartbeat_interval = 0", "heartbeat_interval must be a number of seconds, 0.1 or more, not 0"),
        ("term_child = 1", "term_child must be True or False, not 1"),
        ("queues = []", "queues must be names and patterns of queues, in a list or separated by commas, not []"),
        ("queues = ['a', '']", "commas, not ['a', '']: A queue's name is empty"),
        ("queues = 'heartbeat'", "not 'heartbeat': A queue can't be named heartbeat"),
        ("queues = {'a', 'b'}", "queues must be"),
        ("queues = ['a', 1]", "commas, not ['a', 1]"),
        ("queues = ['!a']", "not ['!a']: Please give each worker at least one queue"),
        (
            "app = 'shop/jobs.py'",
            "app must be a module's name such as shop.jobs, or a list of them, not 'shop/jobs.py'",
        ),
        ("app = []", "app must be"),
        ("app = ['shop', object()]", "app must be"),
        ("pid_file = 3", "pid_file must be a file's path, not 3"),
        ("pid_file = b'clues.pid'", "pid_file must be a file's path, not b'clues.pid'"),
        ("status_file = ''", "status_file must be a file's path, not ''"),
        ("logger = 7", "logger must be a logging.Logger, or a file's path, not 7"),
        ("hostname = 'a:b'", "hostname must be a host's name, without a colon, not 'a:b'"),
        ("hostname = ' '", "hostname must be"),
        ("title_prefix = 'a\\n'", "title_prefix must be a text without control characters, not 'a\\n'"),
        ("namespace = 1", "namespace must be a text without control characters, not 1"),
        ("redis = {}", "redis must be a Redis URL such as redis://localhost:6379/0, not of type dict"),
        ("redis = 'http://u:secret@h'", "not the one given: mistaken Redis URL: it must begin with redis://"),
        ("before_fork = 3", "before_fork must be an ordinary function that takes (starter, worker, nr), not 3"),
        ("def after_fork(nr): ...", "takes (starter, worker, nr), not def after_fork(nr)"),
        ("async def after_fork(starter, worker, nr): ...", "not async def after_fork(starter, worker, nr)"),
        ("def before_fork(starter, worker, nr): yield", "before_fork must be an ordinary function"),
        ("concurency = 4", "there is no setting concurency; is concurrency meant?"),
        ("queue = 'a'", "there is no setting queue; is queues meant?"),
        ("pidfile = 'a'", "there is no setting pidfile; is pid_file meant?"),
        ("apps = 'a'", "there is no setting apps; is app meant?"),
        ("def afterfork(starter, worker, nr): ...", "there is no setting afterfork; is after_fork meant?"),
    ],
)
def test_mistakes(read: Read, tmp_path: Path, line: str, wanted: str) -> None:
    """Are told with the file, the setting, what was given and what is wanted; never with a password."""
    with pytest.raises(ConfigError) as caught:
        read(line)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path}/clues.conf.py: ")
    assert wanted in message
    assert "secret" not in message


def test_a_long_value_is_told_in_short(read: Read) -> None:
    """The message stays one that can be read."""
    with pytest.raises(ConfigError) as caught:
        read("concurrency = 'x' * 10_000")
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "text",
    [
        "interval = 3",
        "timeout = host = log = name = workers = folder = 1",
        "import queue",
        "def queue(): ...",
        "class queue: ...",
        "from functools import partial\nqueue = partial(print)",
        "Queue = 1",
        "_queue = 1",
        "def before_work(job): ...",
        "from shutil import copyfileobj as before_forks",
        "from __future__ import annotations",
    ],
)
def test_names_of_ones_own(read: Read, text: str) -> None:
    """What is no misspelt setting is nobody's business."""
    assert read(text).settings == {}


def test_all_settings_are_documented() -> None:
    """Each stands in the table of docs/starter.md."""
    documents = (Path(__file__).parents[2] / "docs/starter.md").read_text()
    named = {
        word for line in documents.splitlines() if line.startswith("| `") for word in line.split("|")[1].split("`")
    }
    assert named >= set(SETTINGS)
