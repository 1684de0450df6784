"""What every exercise is made of: the exercise itself, its result, and the tools its check uses.

A check is an ordinary function. It returns where the answer is right, and raises `Wrong` (or
`NotAttempted`) with one sentence for the learner where it is not.
"""

import contextlib
import html
import inspect
import random
import re
import sys
import textwrap
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from types import CodeType
from typing import Any

from vlm_helpers._words import article, as_number

RIGHT, WRONG, NOT_ATTEMPTED = "right", "wrong", "not attempted"

# Mark, opening words, and a colour of the Okabe-Ito palette for each status.
_LOOK = {
    RIGHT: ("✓", "Right.", "#009E73"),
    WRONG: ("✗", "Not right yet.", "#D55E00"),
    NOT_ATTEMPTED: ("○", "Not attempted yet.", "#7F7F7F"),
}


class Wrong(Exception):
    """The answer is wrong; the message says what is wrong with it, to the learner."""


class NotAttempted(Exception):
    """There is no answer yet; the message says what to do."""


class Missing(NotAttempted):
    """One answer is missing, and there were others: that is wrong, and an attempt."""


# Which functions have answered in the check that is running, by id.
_answered: ContextVar[set[int]] = ContextVar("answered")


@dataclass(frozen=True, kw_only=True, repr=False)
class Exercise:
    """One exercise, complete.

    `solved` is a function whose source is the solution: the function that the exercise asks for,
    or, where it asks for a value, a function without arguments that returns it. `start` is the
    value or function to repair, where the exercise hands one out. `materials` gives what the
    check works on; what it raises is the machine's fault and is not hidden.
    `examine(answer, materials)` raises `Wrong` or `NotAttempted`, or returns.
    """

    name: str
    title: str
    difficulty: int  # 1 (a minute's thought) to 5
    minutes: int
    takeaway: str
    hints: tuple[str, ...]
    solved: Callable
    materials: Callable[[], Any]
    examine: Callable[[Any, Any], None]
    start: Any = None

    @property
    def effort(self) -> str:
        """Difficulty and time in words, as the notebook states them."""
        unit = "minute" if self.minutes == 1 else "minutes"
        return f"difficulty {self.difficulty} of 5, about {self.minutes} {unit}"

    @property
    def wants_function(self) -> bool:
        """Whether the answer is a function, not a value."""
        return bool(inspect.signature(self.solved).parameters)

    @property
    def solution(self) -> Any:
        """A right answer, as `check` takes it."""
        return self.solved if self.wants_function else self.solved()

    def __repr__(self) -> str:
        return f"{self.name}: {self.title} ({self.effort})"


@dataclass(frozen=True)
class Result:
    """What a check found: `status` is "right", "wrong" or "not attempted"; true if right."""

    name: str
    status: str
    message: str

    def __bool__(self) -> bool:
        return self.status == RIGHT

    def __repr__(self) -> str:
        mark, opening, _ = _LOOK[self.status]
        return textwrap.fill(f"{mark} {opening} {self.message}", 100, break_on_hyphens=False)

    def _repr_html_(self) -> str:
        mark, opening, colour = _LOOK[self.status]
        # The message may quote the learner's own code: escape it, then set `code` as code.
        message = re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(self.message, quote=False))
        style = f"border-left: 4px solid {colour}; padding: 0.2em 0.8em"
        return f'<div style="{style}">{mark} <strong>{opening}</strong> {message}</div>'


class Text(str):
    """A string that Jupyter shows as Markdown and everything else as it is."""

    def __repr__(self) -> str:
        return str(self)


class Source(Text):
    """Python source: highlighted in Jupyter."""

    def _repr_markdown_(self) -> str:
        return f"```python\n{self}```"


class Prose(Text):
    """A sentence or two in Markdown."""

    def _repr_markdown_(self) -> str:
        return str(self)


def judge(exercise: Exercise, answer: Any) -> Result:
    """Check an answer; whatever the answer does, this returns a `Result`.

    Only what `exercise.materials` raises comes through: that is not the answer's fault.
    """
    name = exercise.name
    hint = f'`vh.exercises.hint("{name}")`'
    try:
        _expect_attempt(exercise, answer)
        materials = exercise.materials()
        _answered.set(set())
        with _random_state_kept(), _odd_answers_wrong():
            exercise.examine(answer, materials)
    except Missing as reason:
        return Result(name, WRONG, f"{reason} (A hint: {hint}.)")
    except NotAttempted as reason:
        help = f'{hint} helps, `vh.exercises.solution("{name}")` shows how.'
        return Result(name, NOT_ATTEMPTED, f"{reason} Stuck? {help}")
    except Wrong as reason:
        return Result(name, WRONG, f"{reason} (A hint: {hint}.)")
    return Result(name, RIGHT, exercise.takeaway)


@contextlib.contextmanager
def _odd_answers_wrong() -> Iterator[None]:
    """An answer so odd that the check itself trips over it is wrong."""
    try:
        yield
    except (NotAttempted, Wrong):
        raise
    except Exception as error:
        raise Wrong(f"The check could not make sense of this answer: {_in_words(error)}.") from None


@cache
def pocket() -> Any:
    """The embedded model, for checks: the same whatever model and machine the reader works with."""
    from vlm_helpers import loading

    return loading.load("pocket-llava", device="cpu", dtype="float32")


def _expect_attempt(exercise: Exercise, answer: Any) -> None:
    if answer is None or answer is Ellipsis:
        raise NotAttempted("Replace the `...` with your answer and run the cell again.")
    if not exercise.wants_function:
        if type(answer) is type(exercise.start) and answer == exercise.start:
            raise NotAttempted("This is still what the exercise starts from.")
        return
    wanted = exercise.solved.__name__
    if not callable(answer):
        raise Wrong(
            f"The check wants the function itself, not what it returns: pass `{wanted}` without "
            f"brackets. It got {article(type(answer).__name__)}."
        )
    if exercise.start and same_code(answer, exercise.start):
        raise NotAttempted(f"`{wanted}` is still as the exercise hands it out.")
    signature = inspect.signature(exercise.solved)
    try:
        own = inspect.signature(answer)
    except (TypeError, ValueError):  # some built-in functions have no signature to look at
        return
    try:
        own.bind(*signature.parameters)
    except TypeError:
        raise Wrong(
            f"Your function must take the arguments `{signature}`; it takes `{own}`."
        ) from None


def call(function: Callable, *args: Any, because: dict[str, str] | None = None) -> Any:
    """Call the learner's function and put what goes wrong into words.

    `because` maps a pattern found in an error's message to a sentence that explains it.

    Raises:
        NotAttempted: it raised NotImplementedError, or returned None or `...`; a `Missing` where it
            has answered before.
        Wrong: it raised anything else.
    """
    name = getattr(function, "__name__", "your function")
    try:
        answer = function(*args)
        if inspect.isgenerator(answer):
            answer = list(answer)
    except (Wrong, NotAttempted):  # from what the check handed in
        raise
    except NotImplementedError:
        raise NotAttempted(f"`{name}` raises NotImplementedError: write its body first.") from None
    except (Exception, SystemExit) as error:
        found = (why for pattern, why in (because or {}).items() if re.search(pattern, str(error)))
        message = f"Your function raised {_in_words(error)}{_where(error, function)}."
        raise Wrong(f"{message} {next(found, '')}".rstrip()) from None
    answered = _answered.get(set())
    if answer is None or answer is Ellipsis:
        if id(function) in answered:
            shown = textwrap.shorten(_shown(args), 120, placeholder=" …")
            raise Missing(
                f"For {shown} `{name}` returns nothing, but for others it does: each way through "
                "it needs its `return`."
            )
        raise NotAttempted(
            f"`{name}` returns nothing yet. If it is written, where is its `return`?"
        )
    if inspect.iscoroutine(answer):
        answer.close()
        raise Wrong(f"`{name}` is `async`: write an ordinary function.")
    answered.add(id(function))
    return answer


def _shown(args: Iterable) -> str:
    """What a function was given, in words; of functions among it nothing can be seen."""
    return " and ".join(repr(one) for one in args if not callable(one))


def call_each(function: Callable, cases: Iterable[tuple], what: str) -> list:
    """The answers to all cases. One that is missing is wrong, and not a sign of no attempt yet.

    `what`: what to do about it. Raises as `call`, and `Wrong` where some answers are missing.
    """
    answers, missing = [], []
    for case in cases:
        try:
            answers.append(call(function, *case))
        except NotAttempted as reason:
            answers.append(None)
            missing.append((case, reason))
    if missing and len(missing) == len(answers):
        raise missing[0][1]
    if missing:
        raise Wrong(f"For {_shown(missing[0][0])} your function gives nothing: {what}")
    return answers


def one_number(value: Any) -> float:
    """A number of any library: Python's, numpy's, a torch scalar. Raises `Wrong` for others."""
    number = as_number(value)
    if number is None:
        raise Wrong(f"Return one number; this is of type {type(value).__name__}.")
    return number


def same_code(one: Callable, other: Callable) -> bool:
    """Whether two functions do the same, letter for letter: names and places do not count."""
    codes = [getattr(inspect.unwrap(f), "__code__", None) for f in (one, other)]
    return None not in codes and _essence(codes[0]) == _essence(codes[1])


def _essence(code: CodeType) -> tuple:
    constants = [_essence(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, tuple(constants)


def _in_words(error: Exception) -> str:
    message = textwrap.shorten(str(error), 300, placeholder=" …").rstrip(".")
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _where(error: Exception, function: Callable) -> str:
    """The last line of the learner's own code that the error passed through."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if code and frame.filename == code.co_filename]
    if not own:
        return ""
    quoted = f", `{own[-1].line}`" if own[-1].line else ""
    return f" (line {own[-1].lineno} of the cell{quoted})"


@contextlib.contextmanager
def _random_state_kept() -> Iterator[None]:
    """Leave every random number generator that is in use as it was found."""
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    with torch.random.fork_rng() if torch else contextlib.nullcontext():
        try:
            yield
        finally:
            random.setstate(python_state)
            if numpy:
                numpy.random.set_state(numpy_state)
