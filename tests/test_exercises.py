"""The exercises: every solution is right, every typical mistake is named, nothing else raises."""

import dataclasses
import random
import subprocess
import sys

import numpy
import pytest
import torch

import vlm_helpers as vh
from tests import tiny
from tests.wrong_answers import RIGHT_ANSWERS, WRONG_ANSWERS
from vlm_helpers.exercises import _engine, inference, welcome
from vlm_helpers.exercises._engine import Exercise, NotAttempted, Wrong, call, judge

NAMES = vh.exercises.names()
ATTEMPTS = [(name, *wrong) for name in NAMES for wrong in WRONG_ANSWERS.get(name, [])]

# --- every exercise of the course -----------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_own_solution_is_right(name):
    result = vh.exercises.check(name, vh.exercises.get(name).solution)
    assert (result.status, bool(result)) == ("right", True), result


@pytest.mark.parametrize("name", NAMES)
def test_shown_solution_is_right_where_a_learner_runs_it(name):
    """The text that `solution` shows, run on its own as in a notebook that imported torch."""
    scope = {"torch": torch, "vh": vh}
    exec(compile(vh.exercises.solution(name), "<cell>", "exec"), scope)
    exercise = vh.exercises.get(name)
    function = scope[exercise.solved.__name__]
    answer = function if exercise.wants_function else function()
    assert vh.exercises.check(name, answer).status == "right"


@pytest.mark.parametrize(
    ("name", "answer", "says"), ATTEMPTS, ids=[f"{a[0]}-{a[2]}" for a in ATTEMPTS]
)
def test_wrong_answer_is_told_what_is_wrong(name, answer, says):
    result = vh.exercises.check(name, answer)
    assert (result.status, bool(result)) == ("wrong", False), result
    assert says in result.message


@pytest.mark.parametrize(
    ("name", "answer"), [(name, answer) for name in RIGHT_ANSWERS for answer in RIGHT_ANSWERS[name]]
)
def test_right_answer_in_another_style_is_right(name, answer):
    result = vh.exercises.check(name, answer)
    assert result.status == "right", result


@pytest.mark.parametrize("name", NAMES)
def test_missing_answer_is_not_attempted(name):
    start = vh.exercises.get(name).start
    for answer in (None, ..., *([] if start is None else [start])):
        result = vh.exercises.check(name, answer)
        assert (result.status, bool(result)) == ("not attempted", False), result
        assert_helps(name, result)


def assert_helps(name, result):
    assert f'vh.exercises.hint("{name}")' in result.message
    assert f'vh.exercises.solution("{name}")' in result.message


@pytest.mark.parametrize("name", [n for n in NAMES if vh.exercises.get(n).wants_function])
def test_function_that_does_nothing_is_not_attempted(name):
    def nothing(*args): ...

    def unwritten(*args):
        raise NotImplementedError

    for answer in (nothing, unwritten, lambda *args: ...):
        result = vh.exercises.check(name, answer)
        assert result.status == "not attempted"
        assert_helps(name, result)


@pytest.mark.parametrize("name", NAMES)
def test_exercise_is_complete(name):
    exercise = vh.exercises.get(name)
    assert exercise.difficulty in range(1, 6)
    assert exercise.minutes >= 1
    assert exercise.hints and exercise.title and exercise.takeaway
    assert len(WRONG_ANSWERS[name]) >= 5
    assert vh.exercises.hint(name) == vh.exercises.hint(name, 1)
    for number, text in enumerate(exercise.hints, 1):
        assert text in vh.exercises.hint(name, number)
    for number in (0, len(exercise.hints) + 1, "x"):
        with pytest.raises(ValueError, match=f"hint of {name} must be a whole number from 1"):
            vh.exercises.hint(name, number)


def test_answers_are_for_exercises_that_exist():
    assert set(WRONG_ANSWERS) | set(RIGHT_ANSWERS) <= set(NAMES)


@pytest.mark.parametrize("function", [vh.exercises.hint, vh.exercises.solution, vh.exercises.get])
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("inference.gredy_loop", "inference.greedy_loop"),
        ("greedy_loop", "inference.greedy_loop"),
        ("welcome.repair", "welcome.repair_question"),
    ],
)
def test_unknown_name_names_the_nearest(function, name, meant):
    with pytest.raises(ValueError, match=f"There is no exercise {name!r}; did you mean.*{meant}"):
        function(name)


@pytest.mark.parametrize("name", ["nope", "os.path", "", 7])
def test_name_that_resembles_none_gets_the_list(name):
    with pytest.raises(ValueError) as error:
        vh.exercises.check(name, 1)
    assert "did you mean" not in str(error.value)
    assert all(known in str(error.value) for known in NAMES)


def test_engine_alone_does_not_import_torch():
    code = "import sys, vlm_helpers.exercises; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


# --- the engine -----------------------------------------------------------------------------------


def make(examine=lambda answer, materials: None, **changes):
    def double(number):
        return 2 * number

    fields = {
        "name": "made.up",
        "title": "Made up",
        "difficulty": 1,
        "minutes": 1,
        "takeaway": "Well done.",
        "hints": ("None.",),
        "solved": double,
        "materials": lambda: None,
        "examine": examine,
    }
    return Exercise(**{**fields, **changes})


def calling(*args):
    return lambda answer, materials: call(answer, *args)


def test_an_answer_that_is_missing_among_others_is_wrong():
    def examine(answer, materials):
        call(answer, 1, len)
        call(answer, 2, len)

    def sometimes(number, count):
        if number == 1:
            return 2

    exercise = make(examine, solved=lambda number, count: 2 * number)
    for _ in range(2):  # each check by itself
        result = judge(exercise, sometimes)
        assert result.status == "wrong"
        assert result.message.startswith("For 2 `sometimes` returns nothing, but for others")
    assert judge(exercise, lambda number, count: None).status == "not attempted"


def test_error_is_reported_with_line_and_source():
    def learner(number):
        fine = number
        return [fine][5]

    result = judge(make(calling(1)), learner)
    line = learner.__code__.co_firstlineno + 2
    assert result.status == "wrong"
    assert (
        f"IndexError: list index out of range (line {line} of the cell, `return" in result.message
    )


def test_error_deep_in_a_library_is_reported_where_the_learner_called_it():
    def learner(number):
        return torch.zeros(2) @ torch.zeros(3)

    def outer(number):
        return learner(number)

    line = learner.__code__.co_firstlineno + 1
    assert f"(line {line} of the cell, " in judge(make(calling(1)), outer).message


def test_error_is_explained_where_the_exercise_can():
    def explaining(answer, materials):
        call(answer, 1, because={"index out": "Count from zero."})

    assert "). Count from zero. (A hint: " in judge(make(explaining), lambda number: [][0]).message
    assert "). (A hint: " in judge(make(explaining), lambda number: {}[0]).message


def test_error_without_source_or_words():
    scope = {}
    exec("def learner(number): raise RuntimeError", scope)
    exercise = make(calling(1))
    said = "Your function raised RuntimeError (line 1 of the cell)."
    hint = f'(A hint: `vh.exercises.hint("{exercise.name}")`.)'
    assert judge(exercise, scope["learner"]).message == f"{said} {hint}"


def test_endless_recursion_is_an_error_like_any_other():
    def learner(number):
        return learner(number)

    assert "RecursionError" in judge(make(calling(1)), learner).message


def test_check_that_trips_over_an_odd_answer_says_wrong():
    class Odd:
        def __eq__(self, other):
            raise RuntimeError("no comparing")

        __hash__ = None

    def compare(answer, materials):
        assert answer == 1

    exercise = make(compare, solved=lambda: 1)
    result = judge(exercise, Odd())
    assert result.status == "wrong"
    assert "could not make sense of this answer: RuntimeError: no comparing." in result.message


def test_fault_of_the_machine_is_not_blamed_on_the_answer():
    def missing():
        raise FileNotFoundError("no model here")

    with pytest.raises(FileNotFoundError, match="no model here"):
        judge(make(materials=missing), lambda number: number)
    assert judge(make(materials=missing), None).status == "not attempted"


def test_unchanged_function_is_not_attempted():
    def start(number):
        return [number + i for i in range(3)]

    def copied(number):
        return [number + i for i in range(3)]

    def changed(number):
        return [number + i for i in range(4)]

    exercise = make(calling(1), start=start)
    assert judge(exercise, copied).status == "not attempted"
    assert judge(exercise, changed).status == "right"
    assert judge(exercise, len).status == "wrong"


@pytest.mark.parametrize("answer", [lambda: 1, lambda a, b: 1, lambda *, number: 1])
def test_other_arguments_are_wrong(answer):
    assert "must take the arguments `(number)`" in judge(make(calling(1)), answer).message


@pytest.mark.parametrize("answer", [lambda n: 1, lambda *a: 1, lambda n, more=2: 1, abs])
def test_arguments_that_fit_are_fine(answer):
    assert judge(make(calling(1)), answer).status == "right"


def test_random_numbers_of_the_learner_go_on_as_if_nothing_had_happened():
    def draws():
        return random.random(), numpy.random.rand(), torch.rand(1).item()

    def seeds(answer, materials):
        random.seed(0), numpy.random.seed(0), torch.manual_seed(0)
        raise Wrong("anyway")

    before = random.getstate(), numpy.random.get_state(), torch.get_rng_state()
    expected = draws()
    random.setstate(before[0]), numpy.random.set_state(before[1]), torch.set_rng_state(before[2])
    judge(make(seeds), lambda number: number)
    assert draws() == expected


def test_result_reads_well_as_text_and_as_html():
    def blames(answer, materials):
        raise Wrong("You wrote `a < b`, not <b>this</b>. " + "And so on. " * 20)

    result = judge(make(blames), lambda number: number)
    assert repr(result).startswith("✗ Not right yet. You wrote `a < b`")
    assert max(map(len, repr(result).splitlines())) <= 100
    assert "<code>a &lt; b</code>, not &lt;b&gt;this&lt;/b&gt;" in result._repr_html_()
    assert repr(judge(make(), lambda number: 0)) == "✓ Right. Well done."
    assert repr(judge(make(), None)).startswith("○ Not attempted yet. ")

    def says_nothing(answer, materials):
        raise NotAttempted("Begin.")

    assert repr(judge(make(says_nothing), lambda number: 0)).startswith(
        "○ Not attempted yet. Begin. Stuck?"
    )


def test_solution_and_hint_read_well():
    name = "inference.greedy_loop"
    shown = vh.exercises.solution(name)
    assert shown.startswith("def greedy(model, inputs, max_new_tokens):")
    assert shown._repr_markdown_().startswith("```python\ndef greedy(")
    assert repr(shown) == str(shown)
    assert vh.exercises.hint(name).startswith("Hint 1 of 3: ")
    assert f'vh.exercises.hint("{name}", 2)' in vh.exercises.hint(name)
    assert "Next" not in vh.exercises.hint(name, 3)
    exercise = vh.exercises.get(name)
    assert exercise.effort == "difficulty 3 of 5, about 15 minutes"
    assert repr(exercise).startswith("inference.greedy_loop: A greedy loop that equals generate (")


# --- inference.greedy_loop on another model -------------------------------------------------------


@pytest.fixture(scope="module")
def greedy_loop(tmp_path_factory):
    """The exercise on a tiny random LLaVA in the pocket model's place."""
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = tiny.llava(tmp_path_factory.mktemp("llava"))
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor = AutoProcessor.from_pretrained(folder)
    text = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}],
        add_generation_prompt=True,
    )
    prompts = [
        processor(text=text, images=Image.new("RGB", (16, 16), color), return_tensors="pt")
        for color in ("red", "blue")
    ]
    # Let it end: what it says in seventh place is its end from now on.
    (ids,) = model.generate(**prompts[0], do_sample=False, max_new_tokens=7)
    model.generation_config.eos_token_id = ids[-1].item()
    bench = inference.bench(model, processor.decode, [(prompts[0], 20), (prompts[1], 4)])
    assert [len(case.expected) for case in bench.cases] == [7, 4, 7]
    return dataclasses.replace(vh.exercises.get("inference.greedy_loop"), materials=lambda: bench)


def test_greedy_solution_is_right_on_any_model(greedy_loop):
    assert judge(greedy_loop, greedy_loop.solution).status == "right"


@pytest.mark.parametrize(
    ("answer", "says"),
    WRONG_ANSWERS["inference.greedy_loop"],
    ids=[says for _, says in WRONG_ANSWERS["inference.greedy_loop"]],
)
def test_greedy_mistakes_are_named_on_any_model(greedy_loop, answer, says):
    result = judge(greedy_loop, answer)
    assert result.status == "wrong"
    assert says in result.message


@pytest.mark.parametrize(
    "form",
    [
        lambda ids: ids,
        lambda ids: ids[None],
        lambda ids: ids.tolist(),
        lambda ids: list(ids),
        lambda ids: [i.view(1, 1) for i in ids],
        lambda ids: ids.numpy(),
        lambda ids: tuple(ids.int()),
    ],
)
def test_greedy_takes_ids_in_any_sensible_form(greedy_loop, form):
    def answer(model, inputs, max_new_tokens):
        return form(inference.greedy(model, inputs, max_new_tokens))

    result = judge(greedy_loop, answer)
    assert result.status == "right", result


def test_greedy_difference_without_a_name_is_shown(greedy_loop):
    def answer(model, inputs, max_new_tokens):
        ids = inference.greedy(model, inputs, max_new_tokens)
        ids[3] += 1
        return ids

    message = judge(greedy_loop, answer).message
    assert "Your new id 3 (counting from 0) is" in message


def test_greedy_leaves_model_and_inputs_as_they_were(greedy_loop):
    bench = greedy_loop.materials()
    weights = {name: value.clone() for name, value in bench.model.state_dict().items()}

    def vandal(model, inputs, max_new_tokens):
        inputs["input_ids"].zero_()
        inputs.clear()
        model.train()
        model.generation_config.eos_token_id = 3
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.zero_()
        return [1]

    assert judge(greedy_loop, vandal).status == "wrong"
    assert all(torch.equal(weights[k], v) for k, v in bench.model.state_dict().items())
    assert judge(greedy_loop, greedy_loop.solution).status == "right"


# --- prompt_templates.repair_template -------------------------------------------------------------


def test_solution_takes_plain_texts_and_marks_what_is_learnt():
    """As the pocket model's own template does, in every form of message."""
    from transformers.utils.chat_template_utils import render_jinja_template

    solution = vh.exercises.get("prompt_templates.repair_template").solution
    talk = [{"role": "user", "content": "Two?"}, {"role": "assistant", "content": "Yes."}]
    parts = [{"type": "image"}, {"type": "text", "text": "And now?"}]
    talks = [talk, [*talk, {"role": "user", "content": parts}]]
    got, want = (
        render_jinja_template(
            conversations=talks, chat_template=text, return_assistant_tokens_mask=True
        )
        for text in (solution, vh.prompts.template("pocket-llava"))
    )
    assert got == want and got[1]


# --- welcome.repair_question ----------------------------------------------------------------------


def test_scene_of_the_question_is_as_its_words_say():
    scene = vh.scenes.sample(welcome.SEED, welcome.SPLIT)
    stars = [thing for thing in scene.objects if thing.shape == "star"]
    assert sorted(thing.size for thing in stars) == ["large", "small"]
    assert stars[0].color != stars[1].color
    (meant,) = (thing for thing in stars if thing.size == welcome.MEANT)
    assert sum(thing.color == meant.color for thing in scene.objects) == 1
    assert not {"moon", "heart"} & {thing.shape for thing in scene.objects}
    assert "diamond" in {thing.shape for thing in scene.objects}


def test_model_needs_the_repair():
    """Asked as the exercise starts, the model speaks of the other star."""
    exercise = vh.exercises.get("welcome.repair_question")
    bench = exercise.materials()
    (other,) = (
        thing
        for thing in bench.scene.objects
        if thing.shape == "star" and thing.size != welcome.MEANT
    )
    assert bench.ask(exercise.start) == other.color


def test_the_pocket_model_is_loaded_once():
    assert _engine.pocket() is _engine.pocket()
