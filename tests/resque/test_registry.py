"""Jobs by their wire names."""

from __future__ import annotations

import functools
import types
from typing import Any

import pytest

from clues.errors import DuplicateJobError, NotAJobError, UnknownJobError
from clues.resque.hooks import Hooks
from clues.resque.registry import Registry


class Pdf:
    """A job by class method."""

    queue = "pdf"

    @classmethod
    def perform(cls, number: int) -> tuple[type, int]:
        return cls, number


class Mail:
    """A job by ordinary method, with a name and a queue of its own making."""

    resque_name = "Mailer::Send"
    level = 1

    @classmethod
    def queue(cls) -> str:
        return f"mail_{cls.level}"

    def perform(self, to: str) -> tuple[type, str]:
        return type(self), to


class Base:
    """No job: it has no queue."""

    @classmethod
    def perform(cls) -> None: ...


def send(to: str) -> str:
    """Be a job by function."""
    return to


def test_a_class_is_a_job_by_its_bare_name() -> None:
    """With its queue, its perform and its hooks."""
    definition = Registry().register(Pdf)
    assert (definition.name, definition.queue, definition.target) == ("Pdf", "pdf", Pdf)
    assert definition.perform(7) == (Pdf, 7)
    assert definition.hooks.run_before_enqueue([7])


class Vetoed:
    """A job that is never enqueued, and says how it is to be treated."""

    queue = "q"
    timeout = 30
    requeue_on_shutdown = True

    @classmethod
    def before_enqueue(cls, *_: Any) -> bool:
        return False

    @classmethod
    def perform(cls) -> None: ...


def test_what_a_class_says_and_what_goes_before_it() -> None:
    """Hooks, a timeout, whether it goes back to its queue."""
    registry = Registry()
    own = registry.register(Vetoed)
    assert (own.timeout, own.requeue_on_shutdown, own.hooks.run_before_enqueue([])) == (30.0, True, False)
    given = registry.register(Vetoed, timeout=5, requeue_on_shutdown=False, hooks=Hooks(Pdf))
    assert (given.timeout, given.requeue_on_shutdown, given.hooks.run_before_enqueue([])) == (5.0, False, True)
    registry.job("q", "named", Hooks(Vetoed), timeout=7, requeue_on_shutdown=True)(send)
    found = registry.find("named")
    assert (found.timeout, found.requeue_on_shutdown, found.hooks.run_before_enqueue([])) == (7.0, True, False)
    plain = registry.register(Pdf)
    assert (plain.timeout, plain.requeue_on_shutdown) == (None, False)


def test_what_has_no_name() -> None:
    """The message shows it."""
    with pytest.raises(NotAJobError, match=r"partial.* has no name of its own"):
        Registry().register(functools.partial(send, "ann"))


def test_an_ordinary_perform_gets_an_instance() -> None:
    """And the class may name itself, and choose its queue each time."""
    definition = Registry().register(Mail)
    assert definition.name == "Mailer::Send"
    assert definition.perform("ann") == (Mail, "ann")
    assert definition.queue == "mail_1"


def test_the_queue_is_asked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ruby calls the class's queue at every enqueue."""
    definition = Registry().register(Mail)
    monkeypatch.setattr(Mail, "level", 2)
    assert definition.queue == "mail_2"
    assert Registry().register(Mail, queue="other").queue == "other"


def test_a_patched_perform_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests may patch a job after it was registered."""
    definition = Registry().register(Pdf)
    monkeypatch.setattr(Pdf, "perform", lambda number: -number)
    assert definition.perform(7) == -7


def test_the_decorator_leaves_its_target_as_it_is() -> None:
    """On functions and classes, with and without parentheses."""
    registry = Registry()
    assert registry.job(queue="mail", name="Send")(send) is send
    assert registry.job(Pdf) is Pdf
    assert registry.job()(Mail) is Mail
    assert registry.names() == ["Mailer::Send", "Pdf", "Send"]
    assert registry.find("Send").queue == "mail"
    assert registry.find("Send").perform("x") == "x"
    assert registry.definition_of(send) is registry.find("Send") is registry.definition_of("Send")


def test_a_function_may_be_given_hooks() -> None:
    """It has none of its own."""
    vetoing = Hooks(type("Veto", (), {"before_enqueue": staticmethod(lambda _: False)}))
    assert not Registry().register(send, hooks=vetoing).hooks.run_before_enqueue([1])
    assert Registry().register(send).hooks.run_before_enqueue([1])
    assert Registry().register(send).queue is None


def test_two_jobs_of_one_name_are_an_error_that_names_both() -> None:
    """And the first stays."""
    registry = Registry()
    registry.register(Pdf)
    other = type("Pdf", (Pdf,), {"__module__": "shop.jobs", "__qualname__": "Pdf"})
    with pytest.raises(DuplicateJobError, match=rf"{__name__}\.Pdf and shop\.jobs\.Pdf .*resque_name"):
        registry.register(other)
    assert registry.find("Pdf").target is Pdf


def test_a_reloaded_job_replaces_the_old_one() -> None:
    """The same module and name is the same job, and registering it twice is fine."""
    registry = Registry()
    registry.register(Pdf)
    registry.register(Pdf)
    again = type("Pdf", (Pdf,), {"__module__": Pdf.__module__, "__qualname__": "Pdf"})
    registry.register(again)
    assert registry.find("Pdf").target is again
    registry.definition_of(Pdf)
    assert registry.find("Pdf").target is again


@pytest.mark.parametrize("name", ["JobName", "::JobName", "job-name", "JOB-naMe", "::job-name"])
def test_names_are_read_as_ruby_reads_them(name: str) -> None:
    """With colons in front, or with dashes."""
    registry = Registry()
    definition = registry.register(send, name="JobName")
    assert registry.find(name) is definition


def test_a_dashed_name_of_its_own_comes_first() -> None:
    """What is registered under the very name is meant."""
    registry = Registry()
    registry.register(Pdf, name="JobName")
    assert registry.register(send, name="job-name") is registry.find("job-name")


@pytest.mark.parametrize("name", ["os.system", "pdf", "", "Pdf::", "Mail"])
def test_an_unknown_name_says_how_to_register_it(name: str) -> None:
    """Names from Redis are never imported."""
    registry = Registry()
    registry.register(Pdf)
    registry.register(Mail)
    with pytest.raises(UnknownJobError, match=rf"'{name}'.*@resque\.job.*--app"):
        registry.find(name)


def test_loading_a_module_takes_its_jobs() -> None:
    """Classes with a queue and a perform, once each; nothing private, no base classes."""
    module = types.ModuleType("shop")
    private = type("_Private", (Pdf,), {})
    vars(module).update(Pdf=Pdf, Alias=Pdf, Mail=Mail, Base=Base, _Private=private, send=send, number=3, Any=Any)
    registry = Registry()
    registry.register(Mail)
    assert [definition.name for definition in registry.load(module)] == ["Pdf"]
    assert registry.load(module) == []
    assert registry.names() == ["Mailer::Send", "Pdf"]


def test_a_new_class_is_registered_when_first_asked_for() -> None:
    """So that enqueue takes a class as it is; a queue is then the caller's to give."""
    registry = Registry()
    assert registry.definition_of(Pdf) is registry.find("Pdf")
    assert registry.definition_of(Base).queue is None


def test_what_is_no_job_is_refused() -> None:
    """With what to do."""
    registry = Registry()
    with pytest.raises(UnknownJobError, match=r"send is not registered; put @resque\.job above it"):
        registry.definition_of(send)
    with pytest.raises(NotAJobError, match="Any has no perform"):
        registry.definition_of(type("Any", (), {}))
    with pytest.raises(NotAJobError, match="give it one by name="):
        registry.register(lambda: None)
    with pytest.raises(NotAJobError, match="neither a class nor a function"):
        registry.register(3, name="Three")
    assert registry.names() == []
