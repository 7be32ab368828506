"""Config files: how they are run, what becomes of their errors, what their hooks are given."""

from __future__ import annotations

import logging
import os
import pickle
import sys
from pathlib import Path

import pytest

from clues.errors import AppError, ConfigError
from clues.resque.starter import Starter, StarterWorker, read_config
from clues.resque.starter_settings import SETTINGS
from tests.forks import forked
from tests.resque.configs import EXAMPLES, Read


@pytest.mark.parametrize("text", ["", "concurrency = None\nbefore_fork = None\nlogger = None", "import redis"])
def test_nothing_set(read: Read, text: str) -> None:
    """Hooks are optional, None is nothing, and a library named like a setting is none."""
    config = read(text)
    assert config.settings == {}
    assert (config.before_fork, config.after_fork, config.logger) == (None, None, None)


def test_a_logger_of_ones_own(read: Read) -> None:
    """Is no setting that another process could be told."""
    config = read("import logging\nlogger = logging.getLogger('shop')")
    assert config.logger is logging.getLogger("shop")
    assert config.settings == {}


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
