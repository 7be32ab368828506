"""A job's hooks: order, vetoes and errors, against the golden rows of Resque."""

from __future__ import annotations

import ast
import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from clues.errors import DontPerform, HookError
from clues.resque.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Iterator

GOLDEN = Path(__file__).parents[1] / "wire" / "golden"


class Hooked:
    """The job of the golden rows; `mode` says what it does wrong."""

    mode = "ok"
    notes: list[Any]

    @classmethod
    def before_perform_a(cls, *_: Any) -> None:
        cls.notes.append("before_a")
        if cls.mode == "dont":
            raise DontPerform
        if cls.mode == "before_raises":
            raise RuntimeError("b")

    @classmethod
    def before_perform_b(cls, *_: Any) -> bool:
        cls.notes.append("before_b")
        return False

    @classmethod
    def around_perform(cls, *_: Any) -> Iterator[None]:
        cls.notes.append("around_in")
        if cls.mode != "no_yield":
            yield
        cls.notes.append("around_out")

    @classmethod
    def perform(cls, *_: Any) -> None:
        cls.notes.append("perform")
        if cls.mode == "perform_raises":
            raise RuntimeError("p")

    @classmethod
    def after_perform(cls, *_: Any) -> None:
        cls.notes.append("after")
        if cls.mode == "after_raises":
            raise RuntimeError("a")

    @classmethod
    def on_failure_a(cls, error: BaseException, *_: Any) -> None:
        cls.notes.append(["on_failure_a", type(error).__name__, str(error)])

    @classmethod
    def on_failure_b(cls, error: BaseException, *_: Any) -> None:
        cls.notes.append(["on_failure_b", type(error).__name__])


def _rows() -> list[dict[str, Any]]:
    rows = json.loads((GOLDEN / "api-semantics.json").read_text())["rows"]
    return [row for row in rows if row.get("call", "").startswith("Job#perform, ")]


def _perform(job: type, args: list[Any]) -> bool:
    """Do what the worker does with a job's hooks."""
    hooks = Hooks(job)
    try:
        return hooks.perform(job.perform, args)  # type: ignore[attr-defined]
    except Exception as error:
        hooks.run_on_failure(error, args)
        raise


def test_the_golden_rows_are_there() -> None:
    """The section of perform hooks has not moved."""
    assert len(_rows()) == 6


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row["call"])
def test_a_golden_row(row: dict[str, Any]) -> None:
    """What runs, in which order, and how it ends, is as in Resque."""
    job = type("Job", (Hooked,), {"mode": row["call"].removeprefix("Job#perform, "), "notes": []})
    if "raises" in row:
        with pytest.raises(RuntimeError, match=row["raises"].removeprefix("RuntimeError: ")):
            _perform(job, [])
    else:
        assert _perform(job, []) is (row["returns"] == "true")
    assert job.notes == ast.literal_eval(re.sub(r":(\w+)", r'"\1"', row["redis"]))  # type: ignore[attr-defined]


@pytest.mark.parametrize("arg", ["ok", "fail"])
def test_the_golden_events_of_hooks(arg: str) -> None:
    """Hooks of one kind run by name, the first around hook outermost."""
    captured = json.loads((GOLDEN / "events-hooks.json").read_text())["job_notes"]
    expected = [note["hook"] for note in captured if note["args"] == [arg]]
    notes: list[str] = []

    class HookedJob:
        """The job of the capture."""

        @staticmethod
        def perform(arg: str) -> None:
            notes.append("perform")
            if arg == "fail":
                raise RuntimeError("hooked failure")

    def noting(name: str) -> Any:
        return staticmethod(lambda *_: notes.append(name))

    def around(name: str) -> Any:
        def hook(_: str) -> Iterator[None]:
            notes.append(f"{name} in")
            yield
            notes.append(f"{name} out")

        return staticmethod(hook)

    for name in ("after_perform_z", "after_perform_y", "before_perform_b", "before_perform", "before_perform_a"):
        setattr(HookedJob, name, noting(name))
    for name in ("around_perform_two", "around_perform_one"):
        setattr(HookedJob, name, around(name))
    HookedJob.on_failure_note = noting("on_failure_note")  # type: ignore[attr-defined]
    if arg == "fail":
        with pytest.raises(RuntimeError, match="hooked failure"):
            _perform(HookedJob, [arg])
    else:
        assert _perform(HookedJob, [arg])
    assert notes == expected


@pytest.mark.parametrize("kind", ["before_enqueue", "before_dequeue"])
@pytest.mark.parametrize(("answer", "goes_on"), [(False, False), (None, True), (True, True), (0, True), ("", True)])
def test_exactly_false_is_a_veto(kind: str, answer: Any, goes_on: bool) -> None:
    """All hooks run, whatever the first answers."""
    ran: list[Any] = []

    def answering(*args: Any) -> Any:
        ran.append(args)
        return answer

    first = staticmethod(answering)
    second = staticmethod(lambda *args: ran.append(args))
    hooks = Hooks(type("Veto", (), {f"{kind}_a": first, f"{kind}_b": second}))
    assert getattr(hooks, f"run_{kind}")([1]) is goes_on
    assert ran == [(1,), (1,)]


def test_errors_of_enqueue_hooks_come_out() -> None:
    """They are the caller's."""

    class Late:
        """Raises when it is too late."""

        @staticmethod
        def after_enqueue() -> None:
            raise LookupError("from after_enqueue")

    with pytest.raises(LookupError, match="from after_enqueue"):
        Hooks(Late).run_after_enqueue([])


def test_a_failing_failure_hook_stops_the_rest() -> None:
    """Its error comes out, for the worker to tell beside the job's own."""

    class FH:
        """Fails twice."""

        @staticmethod
        def on_failure_a(_: BaseException, number: int) -> None:
            raise LookupError(number)

        @staticmethod
        def on_failure_b(_: BaseException, number: int) -> None:
            pytest.fail("the rest is skipped")

    with pytest.raises(LookupError, match="7"):
        Hooks(FH).run_on_failure(RuntimeError("perform failed"), [7])


def _around_job(around: Any, error: BaseException | None = None) -> tuple[Hooks, Any]:
    def perform() -> None:
        if error is not None:
            raise error

    return Hooks(type("Job", (), {"around_perform": staticmethod(around)})), perform


def test_an_error_is_thrown_in_at_the_yield() -> None:
    """The hook sees it, and it fails the job all the same."""
    seen = []

    def around() -> Iterator[None]:
        try:
            yield
        except KeyError as error:
            seen.append(error)
            raise

    error = KeyError("k")
    hooks, perform = _around_job(around, error)
    with pytest.raises(KeyError) as caught:
        hooks.perform(perform, [])
    assert seen == [error] == [caught.value]


@pytest.mark.parametrize("error", [ValueError("v"), StopIteration(1), KeyboardInterrupt()], ids=repr)
def test_a_hook_may_swallow_what_the_job_raises(error: BaseException) -> None:
    """Then the job has not failed, though it has not run to its end."""

    def around() -> Iterator[None]:
        try:
            yield
        except type(error):
            pass

    hooks, perform = _around_job(around, error)
    assert hooks.perform(perform, []) is False


@pytest.mark.parametrize("error", [ValueError("v"), StopIteration(1), GeneratorExit()], ids=repr)
def test_what_a_hook_does_not_catch_stays_itself(error: BaseException) -> None:
    """Even a StopIteration, which Python would wrap."""

    def around() -> Iterator[None]:
        yield

    hooks, perform = _around_job(around, error)
    with pytest.raises(type(error)) as caught:
        hooks.perform(perform, [])
    assert caught.value is error


def test_a_context_manager_goes_around() -> None:
    """What the hook answers is entered and left."""
    notes = []

    @contextmanager
    def around(name: str) -> Iterator[None]:
        notes.append(f"in {name}")
        yield
        notes.append("out")

    hooks, _ = _around_job(around)
    assert hooks.perform(notes.append, ["x"])
    assert notes == ["in x", "x", "out"]


def test_mistaken_around_hooks_say_so() -> None:
    """One that answers nothing, or yields twice, fails the job with what to do."""

    def twice() -> Iterator[None]:
        yield
        yield

    for around, words in [(lambda: None, "answered NoneType; let it yield once"), (twice, "yielded twice")]:
        hooks, perform = _around_job(around)
        with pytest.raises(HookError, match=words):
            hooks.perform(perform, [])


def test_hooks_may_be_async() -> None:
    """They are waited for, vetoes and all."""

    class Job:
        """An async one."""

        @classmethod
        async def before_enqueue(cls, number: int) -> bool:
            return number > 1

        @classmethod
        async def before_perform(cls, number: int) -> None:
            if number > 2:
                raise DontPerform

        @classmethod
        async def perform(cls, number: int) -> None: ...

    hooks = Hooks(Job)
    assert [hooks.run_before_enqueue([number]) for number in (1, 2)] == [False, True]
    assert [hooks.perform(Job.perform, [number]) for number in (2, 3)] == [True, False]


def test_ordinary_methods_get_an_instance_if_perform_is_one() -> None:
    """A fresh one for each, so nothing is carried over."""

    class ByInstance:
        """All methods ordinary, but one."""

        seen: list[Any] = []  # noqa: RUF012

        def perform(self) -> None: ...

        def before_perform(self) -> None:
            self.seen.append(self)

        def after_perform(self) -> None:
            self.seen.append(self)

        @classmethod
        def before_enqueue(cls) -> None:
            cls.seen.append(cls)

    hooks = Hooks(ByInstance)
    hooks.run_before_enqueue([])
    assert hooks.perform(lambda: None, [])
    assert ByInstance.seen[0] is ByInstance
    assert all(isinstance(seen, ByInstance) for seen in ByInstance.seen[1:])
    assert ByInstance.seen[1] is not ByInstance.seen[2]


def test_a_plain_function_in_a_class_is_called_as_it_is() -> None:
    """With perform a class method, what has no self needs no decorator."""

    class Plain:
        """Its hook takes the job's argument only."""

        seen: list[int] = []  # noqa: RUF012

        @classmethod
        def perform(cls, number: int) -> None: ...

        def before_perform(number: int) -> None:  # type: ignore[misc]
            Plain.seen.append(number)

    assert Hooks(Plain).perform(Plain.perform, [4])
    assert Plain.seen == [4]


def test_a_list_of_hooks_is_the_whole_list() -> None:
    """Other methods with such names are none."""
    ran = []

    class Listed:
        """Lists one hook of two."""

        hooks = ["after_enqueue_a"]  # noqa: RUF012
        after_enqueue_a = staticmethod(lambda: ran.append("a"))
        after_enqueue_b = staticmethod(lambda: ran.append("b"))

    Hooks(Listed).run_after_enqueue([])
    assert ran == ["a"]


def test_hooks_are_inherited_and_what_is_no_method_is_none() -> None:
    """A mixin brings its hooks along."""
    ran = []

    class Mixin:
        """Brings a hook."""

        after_enqueue_count = 3
        after_enqueue = staticmethod(lambda: ran.append("a"))

    Hooks(type("Job", (Mixin,), {})).run_after_enqueue([])
    assert ran == ["a"]


def test_functions_have_no_hooks() -> None:
    """Nor has nothing."""
    for target in (None, print, len):
        hooks = Hooks(target)
        assert hooks.run_before_enqueue([1])
        assert hooks.perform(lambda _: None, [1])
        hooks.run_on_failure(ValueError(), [1])
