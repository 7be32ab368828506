"""Config files: what they may set, what is refused and how, what hooks are given; and restarts by Server::Starter."""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from clues.errors import AppError, ConfigError
from clues.resque.starter import Starter, StarterConfig, StarterWorker, read_config
from clues.resque.starter_settings import SETTINGS
from tests.forks import forked
from tests.requirements import lacking
from tests.waiting import wait_for

EXAMPLES = Path(__file__).parents[2] / "examples" / "starter"

Read = Callable[[str], StarterConfig]


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Reads a text as a config file; the import path is put back."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def read(text: str) -> StarterConfig:
        place = tmp_path / "clues.conf.py"
        place.write_text(text)
        return read_config(place)

    return read


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
jobs_per_fork = 100
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
        "jobs_per_fork": 100,
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


@pytest.mark.parametrize("text", ["", "concurrency = None\nbefore_fork = None\nlogger = None", "import redis"])
def test_nothing_set(read: Read, text: str) -> None:
    """Hooks are optional, None is nothing, and a library named like a setting is none."""
    config = read(text)
    assert config.settings == {}
    assert (config.before_fork, config.after_fork, config.logger) == (None, None, None)


def test_queues_as_one_text(read: Read) -> None:
    """Separated by commas, as in QUEUES."""
    assert read("queues = 'critical, low,'").settings["queues"] == ["critical", "low"]


def test_modules_as_modules(read: Read) -> None:
    """What the file has imported itself may be named by what it is."""
    assert read("import json, email.message\napp = [json, email.message]").settings["app"] == ["json", "email.message"]


def test_a_logger_of_ones_own(read: Read) -> None:
    """Is no setting that another process could be told."""
    config = read("import logging\nlogger = logging.getLogger('shop')")
    assert config.logger is logging.getLogger("shop")
    assert config.settings == {}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("concurrency = '4'", "concurrency must be a whole number of worker processes, 0 or more, not '4'"),
        ("concurrency = -1", "concurrency must be a whole number of worker processes, 0 or more, not -1"),
        ("concurrency = True", "0 or more, not True"),
        ("thread_count = 0", "thread_count must be a whole number of threads, 1 or more, not 0"),
        ("jobs_per_fork = 2.0", "jobs_per_fork must be a whole number of jobs, 1 or more, not 2.0"),
        ("batch_size = []", "batch_size must be a whole number of jobs, 1 or more, not []"),
        ("heartbeats_before_dead = 0", "heartbeats, 1 or more, not 0"),
        ("dequeue_interval = float('nan')", "dequeue_interval must be a number of seconds, 0 or more, not nan"),
        ("term_timeout = -0.5", "term_timeout must be a number of seconds, 0 or more, not -0.5"),
        ("max_interval = float('inf')", "0 or more, not inf"),
        ("min_interval = True", "0 or more, not True"),
        ("heartbeat_interval = 0", "heartbeat_interval must be a number of seconds, more than 0, not 0"),
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


@pytest.mark.parametrize(
    ("text", "wanted", "traced"),
    [
        ("def f():\n    raise RuntimeError('no')\nf()\n", "raised RuntimeError: no", "line 2, in f"),
        ("concurrency = (", "raised SyntaxError: '(' was never closed", "line 1"),
        ("import nowhere_to_be_found", "raised ModuleNotFoundError: No module", "line 1, in <module>"),
    ],
)
def test_a_file_that_raises(
    read: Read, tmp_path: Path, capfd: pytest.CaptureFixture[str], text: str, wanted: str, traced: str
) -> None:
    """Is told in one line; where, is on standard error, without lines of ours."""
    with pytest.raises(AppError) as caught:
        read(text)
    assert str(caught.value).startswith(f"{tmp_path}/clues.conf.py {wanted}")
    printed = capfd.readouterr().err
    assert traced in printed
    assert f'File "{tmp_path}/clues.conf.py"' in printed
    assert "starter.py" not in printed


def test_a_file_that_exits(read: Read) -> None:
    """Is an error too, whatever status it gave."""
    with pytest.raises(AppError, match=r"clues.conf.py exited \(status 0\)"):
        read("raise SystemExit(0)")


def test_errors_of_clues(read: Read) -> None:
    """Say themselves what is wrong."""
    with pytest.raises(ConfigError, match="publisher must have"):
        read("import clues\nclues.configure(publisher=3)")


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    """Is named with the reason."""
    with pytest.raises(ConfigError, match=r"can't read the config file .*/none: No such file"):
        read_config(tmp_path / "none")
    with pytest.raises(ConfigError, match="Is a directory"):
        read_config(tmp_path)


def test_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's folder is on the import path, its own path is __file__, and it may have any name."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "beside_the_config.py").write_text("number = 3")
    (folder / "resque.conf").write_text(
        "import beside_the_config\nconcurrency = beside_the_config.number\nhere = __file__"
    )
    config = read_config("config/resque.conf")
    assert config.settings["concurrency"] == 3
    assert config.path == config.module.here == str(folder / "resque.conf")
    assert Path.cwd() == tmp_path
    assert sys.path.count(str(folder)) == 1
    assert read_config("config/resque.conf").settings["concurrency"] == 3
    assert sys.path.count(str(folder)) == 1


def test_it_is_a_module(read: Read) -> None:
    """Dataclasses in it work, and what it defines can be pickled; our own __future__ imports are not its own."""
    config = read("""
from dataclasses import dataclass

@dataclass
class Place:
    city: str

Where = Place.__annotations__
""")
    place = config.module.Place("Kyoto")
    assert pickle.loads(pickle.dumps(place)) == place
    assert config.module.Where == {"city": str}


def test_settings_are_fixed(read: Read) -> None:
    """Nobody changes what the file said."""
    config = read("concurrency = 2")
    with pytest.raises(TypeError):
        config.settings["concurrency"] = 3  # type: ignore[index]
    with pytest.raises(AttributeError):
        config.path = "other"  # type: ignore[misc]


def test_hooks(read: Read) -> None:
    """Get the starter, the worker and its number; what before_fork keeps is there in the fork, and only there."""
    config = read("""
seen = []

def before_fork(starter, worker, nr):
    seen.append((starter.pid, starter.config["concurrency"], starter.num_workers, worker.pid, nr))

class AfterFork:
    def __call__(self, starter, worker, nr):
        seen.append((starter.old_workers, worker.nr, worker.pid, worker.id, worker.queues, worker.threads))
        starter.old_workers.clear()
        starter.logger.debug("worker %d", nr)

after_fork = AfterFork()
concurrency = 2
""")
    before, after = config.before_fork, config.after_fork
    assert before is not None
    assert after is not None
    starter = Starter(pid=os.getpid(), config=config.settings, num_workers=3)
    starter.old_workers[4711] = 0
    worker = StarterWorker(nr=1, id="host:1:q,~1.0", queues=("q",), threads=2)
    before(starter, worker, 1)
    assert config.module.seen == [(os.getpid(), 2, 3, None, 1)]

    def in_fork() -> None:
        forked_worker = StarterWorker(nr=1, id="host:1:q,~1.0", queues=("q",), threads=2, pid=os.getpid())
        after(starter, forked_worker, 1)
        assert config.module.seen[1:] == [({}, 1, os.getpid(), "host:1:q,~1.0", ("q",), 2)]

    assert forked(in_fork) == 0
    assert starter.old_workers == {4711: 0}
    assert starter.logger.name == "clues.resque"


def test_the_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows every setting, in good values, and both hooks."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    config = read_config(EXAMPLES / "clues.conf.py")
    assert set(SETTINGS) <= set(vars(config.module))
    assert config.settings["queues"] == ["billing", "*"]
    assert config.before_fork
    assert config.after_fork


MASTER = """
import os, signal, sys, time
from dataclasses import replace
from clues.resque.starter import Starter, StarterWorker, read_config

heard = []
for name in ("TTOU", "QUIT", "TERM", "CONT"):
    signal.signal(getattr(signal, f"SIG{name}"), lambda number, frame: heard.append(signal.Signals(number).name[3:]))

def note(text):
    with open("notes", "a") as file:
        file.write(f"{os.environ['SERVER_STARTER_GENERATION']} {text}\\n")

if os.path.exists("fail"):
    os.remove("fail")
    sys.exit(3)
config = read_config(sys.argv[1])
starter = Starter(pid=os.getpid(), config=config.settings, num_workers=3)
for nr in (0, 1, 1, 2, 2):  # 1 and 2 are replaced once
    worker = StarterWorker(nr=nr, id="h:1:q", queues=("q",))
    config.before_fork(starter, worker, nr)
    if not (pid := os.fork()):
        config.after_fork(starter, replace(worker, pid=os.getpid()), nr)
        os._exit(0)
    starter.old_workers[pid] = nr
    os.waitpid(pid, 0)
note("up")
while not {"QUIT", "TERM"} & set(heard):
    time.sleep(0.01)
time.sleep(0.3)
note(" ".join(name for name in heard if name != "CONT"))
"""


def test_restarts_by_server_starter(tmp_path: Path) -> None:
    """The new master's workers have the old one give up its own, one by one; also after a failed start."""
    start_server = shutil.which("start_server")
    if start_server is None:
        lacking("start_server", "Debian has it in libserver-starter-perl")
    (tmp_path / "master.py").write_text(MASTER)
    notes = tmp_path / "notes"
    notes.touch()
    files = ["--pid-file=pid", "--status-file=stat"]
    how = ["--interval=1", "--signal-on-hup=CONT", "--signal-on-term=QUIT"]
    environ = {**os.environ, "START_SERVER_STATUS_FILE": "stat", "RESTART_PAUSE": "0.2"}
    command = [start_server, *files, *how, "--", sys.executable, "master.py", str(EXAMPLES / "server_starter.conf.py")]
    with (tmp_path / "log").open("wb") as log:
        started = subprocess.Popen(command, cwd=tmp_path, env=environ, stderr=log)
    restart = [start_server, "--restart", *files]
    try:
        wait_for((tmp_path / "stat").exists, "the first generation")
        subprocess.run(restart, cwd=tmp_path, check=True, timeout=60)
        assert notes.read_text().splitlines() == ["1 up", "2 up", "1 TTOU TTOU QUIT QUIT"]
        (tmp_path / "fail").touch()
        started.send_signal(signal.SIGHUP)
        wait_for(lambda: "2 TTOU TTOU QUIT QUIT" in notes.read_text(), "the second generation's end")
        assert notes.read_text().splitlines()[3] == "4 up"
        started.terminate()
        assert started.wait(60) == 0
        assert notes.read_text().splitlines()[5:] == ["4 QUIT"]
    finally:
        started.kill()
        started.wait(60)
