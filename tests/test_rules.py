"""The scoring rules against what the originals' own code gives (`recipes/rules.py`); bad input."""

import json
import pickle
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from vlm_helpers import evaluation, scenes
from vlm_helpers.evaluation import rules

ROWS = Path(__file__).with_name("rules.jsonl").read_text(encoding="utf-8").split("\n")
HEAD, *CASES = [json.loads(row) for row in ROWS if row]
BY_KIND = defaultdict(list)
for kind, given, gives in CASES:
    BY_KIND[kind].append((given, gives))
VQA_RULES = ("vqa", "lmms-eval vqav2", "lmms-eval textvqa", "vlmevalkit")


def letters(answer, name):
    found = [rules.extract(answer, HEAD["options"][name], rule) for rule in rules.RULES]
    return ["drawn" if one is not None and one.drawn else one for one in found]


OURS = {
    "letter": letters,
    "vqa": lambda answer, truth: [rules.vqa_accuracy(answer, truth, rule) for rule in VQA_RULES],
    "anls": rules.anls,
    "relaxed": rules.relaxed_accuracy,
    "ocrbench": lambda answer, truth, formula: rules.ocrbench(answer, truth, formula=formula),
    "yes_no": lambda answer: [
        rules.yes_or_no(answer, rule) for rule in ("pope", "lmms-eval", "vlmevalkit")
    ],
    "errors": lambda said, right: [rules.cer(said, right), rules.wer(said, right)],
    "mmmu_open": rules.mmmu_open,
    "mathvista": rules.mathvista,
    "cider": lambda captions, people: rules.cider(captions, people).tolist(),
}


@pytest.mark.parametrize("kind", OURS)
def test_every_rule_gives_what_its_source_gives(kind):
    assert len(BY_KIND[kind]) >= 5
    wrong = []
    for given, gives in BY_KIND[kind]:
        ours = OURS[kind](*given)
        numbers = not isinstance(gives, bool) and kind not in ("letter", "yes_no")
        same = np.allclose(ours, gives, rtol=0, atol=1e-9) if numbers else ours == gives
        if not same:
            wrong.append((given, "ours", ours, "theirs", gives))
    assert not wrong, f"{len(wrong)} of {len(BY_KIND[kind])}: {wrong[:5]}"


@pytest.mark.parametrize(
    ("said", "value"),
    [("1,500", 1500), ("1.500", 1500), ("3,5", 3.5), ("$1,234.50", 1234.5), ("1.234,50", 1234.5),
     ("-7", -7), ("12 %", 12), ("0.125", 0.125), ("none", None), ("2 000", 2000),
     (".5", 0.5), (".125", 0.125), ("\u22125", -5), ("1 234 567,8", 1234567.8), ("3, 4", 3),
     ("2024 12 cups", 2024), ("0.75 0.56", 0.75)],
)  # fmt: skip
def test_numbers_are_read_in_every_convention(said, value):
    assert rules.written_number(said) == value
    with pytest.raises(TypeError, match="What is written is of type int: it must be text"):
        rules.written_number(5)


def test_a_letter_is_drawn_for_whatever_a_model_says():
    assert rules.extract("\ud800", ["red", "blue"], "mmmu").drawn
    with pytest.raises(TypeError, match="seed must be a whole number, not None"):
        rules.extract("A", ["red", "blue"], "mmmu", seed=None)
    with pytest.raises(TypeError, match="seed must be a whole number, not 'a'"):
        rules.by_rule("mmmu", seed="a")


def test_circular_eval_finds_the_hits_that_vlmevalkit_finds():
    assert len(BY_KIND["circular"]) >= 5
    for (rows,), hits in BY_KIND["circular"]:
        turns = evaluation.Run(
            [
                {"id": index, "score": float(rules.extract(said, COLORS, "vlmevalkit") == right)}
                for index, right, said in rows
            ]
        )
        found = {str(row["id"]): row["score"] for row in evaluation.all_right(turns).rows}
        assert found == hits


def as_run(answers, truths, skill="random"):
    return evaluation.Run(
        [
            {"id": n, "skill": skill, "answer": answer, "truth": truth}
            for n, (answer, truth) in enumerate(zip(answers, truths))
        ]
    )


def test_pope_gives_the_figures_of_its_own_script():
    columns = ["accuracy", "precision", "recall", "f1", "yes ratio"]
    assert len(BY_KIND["pope"]) >= 4
    for given, figures in BY_KIND["pope"]:
        table = evaluation.pope(as_run(*given))
        assert table.loc["random", columns].tolist() == pytest.approx(figures)


def test_pope_has_a_row_a_setting_with_floors_and_says_what_it_could_not_read():
    truths = ["yes", "no", "no", "no"]
    rows = as_run(["Yes, there is.", "no", "No.", "yes"], truths, "popular").rows
    run = evaluation.Run(rows + as_run(["yes"] * 4, truths, "adversarial").rows)
    table = evaluation.pope(run, rule="lmms-eval")
    assert table.index.tolist() == ["popular", "adversarial"]
    assert table["unread"].tolist() == [0.5, 0] and table["yes ratio"].tolist() == [0.25, 1]
    assert table["accuracy"].tolist() == [0.25, 0.25] == table["always yes"].tolist()
    assert table["recall"].tolist() == [0, 1]
    assert table["always yes f1"].tolist() == pytest.approx([0.4, 0.4])
    assert (table["low"] < 0.25).all() and (table["high"] > 0.25).all()


def test_of_two_options_alike_mathvista_takes_either_for_right_and_the_others_do_not():
    item = {"answer": "A", "options": ["3", "3", "4"]}
    assert rules.by_rule("mathvista").judge("(B)", item) == ("B", True)
    assert rules.by_rule("mathvista").judge("(C)", item) == ("C", False)
    assert rules.by_rule("ai2d").judge("(B)", item) == ("B", False)


def test_options_are_turned_by_their_own_letters_and_only_where_they_are_listed_whole():
    options = {"B": "x\\1", "A": "y"}
    turned = list(evaluation.rotations([{"question": "q", "answer": "B", "options": options}]))
    assert [one["options"]["AB".index(one["answer"])] for one in turned] == ["x\\1", "x\\1"]
    assert turned[1]["question"] == "q\nA. y\nB. x\\1\nAnswer with the letter."
    longer = {"question": "A. red\nB. yellowish", "answer": "A", "options": ["red", "yellow"]}
    first, second = evaluation.rotations([longer])
    assert first["question"] == "A. red\nB. yellowish\nA. red\nB. yellow\nAnswer with the letter."
    assert "B. yellowish\nA. yellow\nB. red\n" in second["question"]


COLORS = ["red", "green", "blue", "yellow"]
ITEMS = [
    {"question": f"Which is {color}?", "answer": letter, "options": COLORS}
    for letter, color in zip("ABCD", COLORS)
]


def knows(pictures, questions, **options):
    """The letter of the colour that is asked for."""
    return [q[q.index("." + " " + q.split("?")[0].split()[-1]) - 1] for q in questions]


def test_circular_eval_turns_every_item_and_wants_all_right():
    turned = list(evaluation.rotations(ITEMS[:2]))
    assert [one["id"] for one in turned[:5]] == [0, 10**6, 2 * 10**6, 3 * 10**6, 1]
    assert [one["answer"] for one in turned] == list("ADCBBADC")
    assert all(one["options"]["ABCD".index(one["answer"])] == "red" for one in turned[:4])
    assert turned[1]["question"] == (
        "Which is red?\nA. green\nB. blue\nC. yellow\nD. red\nAnswer with the letter."
    )
    found = evaluation.circular_eval(knows, ITEMS)
    assert len(found.turns) == 16 and len(found.run) == 4
    assert found.run.score == found.turns.score == 1
    assert found.run.rows[0]["answer"] == "A D C B"


def test_circular_eval_shows_who_always_says_the_same():
    found = evaluation.circular_eval(lambda p, q, **kwargs: ["B."] * len(q), ITEMS)
    assert found.run.score == 0 and found.turns.score == 0.25
    table = found.by_letter()
    assert table["right"].tolist() == [0, 1, 0, 0] == table["taken"].tolist()
    assert table["stands"].tolist() == [0.25] * 4


def test_circular_eval_turns_the_options_of_an_exam_where_they_stand():
    exam = evaluation.exam(scenes, "choice", 3)
    turned = list(evaluation.rotations(exam))
    assert len(turned) == sum(len(item["options"]) for item in exam)
    for one in turned:
        lines = [f"{letter}. {text}" for letter, text in zip("ABCD", one["options"])]
        assert one["question"].count("\n".join(lines)) == 1
        assert one["question"].count("Answer with the letter.") == 1


def test_a_letter_drawn_by_lot_says_so_and_depends_on_seed_and_answer_alone():
    options = COLORS
    drawn = [rules.extract("No idea.", options, "mmmu", seed=seed) for seed in range(40)]
    assert {*drawn} == {*"ABCD"} and all(letter.drawn for letter in drawn)
    assert drawn == [rules.extract("No idea.", options, "mmmu", seed=seed) for seed in range(40)]
    assert not rules.extract("(B)", options, "mmmu").drawn
    copy = pickle.loads(pickle.dumps(drawn[0]))
    assert copy.drawn and copy == drawn[0] and json.dumps(copy) == f'"{copy}"'


def test_options_may_stand_under_their_letters():
    options = {"A": "red", "C": "blue"}
    assert rules.extract("It is (C).", options, "mmmu") == "C"
    assert rules.extract("B", np.array(["red", "blue"]), "vlmevalkit") == "B"


def test_a_rule_scores_a_quiz():
    items = [
        {"question": "Which?", "answer": "B", "options": ["red", "blue"]},
        {"question": "Which one?", "answer": "A", "options": ["red", "blue"]},
    ]
    for rule, right in (("vlmevalkit", 1.0), ("scienceqa", 0.0)):
        run = evaluation.quiz(
            lambda pictures, questions, **kwargs: [
                "So: red" if "one" in q else "So: B" for q in questions
            ],
            items,
            score=rules.by_rule(rule),
        )
        assert run.score == right
    run = evaluation.quiz(lambda p, q, **kwargs: ["Blu"] * len(q), items[:1], score=rules.anls)
    assert run.score == 0.0  # of "B"
    item = {"answer": "Blue", "answers": ["Blue", "Navy"]}
    assert rules.anls("blu", item) == 0.75 and rules.relaxed_accuracy("navy", item)


def test_who_prints_every_word_is_always_right_under_ocrbench():
    words = " ".join(scenes.WORDS)
    assert all(rules.ocrbench(words, word) for word in scenes.WORDS)


OPTIONS = ["red", "blue"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: rules.extract(None, OPTIONS, "mmmu"), TypeError, "NoneType: it must be text"),
        (lambda: rules.extract(b"B", OPTIONS, "mmmu"), TypeError, "bytes: it must be text"),
        (lambda: rules.extract("B", OPTIONS, "mmu"), ValueError, "did you mean 'mmmu'"),
        (lambda: rules.extract("B", OPTIONS, "MMMU"), ValueError, "did you mean 'mmmu'"),
        (lambda: rules.extract("B", OPTIONS, None), ValueError, "There is no rule None"),
        (lambda: rules.extract("B", OPTIONS, ["mmmu"]), ValueError, "There is no rule"),
        (lambda: rules.extract("B", "['red', 'blue']", "mmmu"), TypeError, "ast.literal_eval"),
        (lambda: rules.extract("B", {"red", "blue"}, "mmmu"), TypeError, "set: it must be a list"),
        (lambda: rules.extract("B", None, "mmmu"), TypeError, "NoneType: it must be a list"),
        (lambda: rules.extract("B", 2, "mmmu"), TypeError, "int: it must be a list"),
        (lambda: rules.extract("B", [], "mmmu"), ValueError, "options is an empty list"),
        (lambda: rules.extract("B", ["red", 2], "mmmu"), TypeError, r"options\[1\] is of type int"),
        (lambda: rules.extract("B", ["x"] * 27, "mmmu"), ValueError, "There are 27 options"),
        (lambda: rules.extract("B", {"a": "red"}, "mmmu"), ValueError, "capitals from A to Z"),
        (lambda: rules.by_rule("vlmeval"), ValueError, "did you mean 'vlmevalkit'"),
        (lambda: rules.by_rule("mmmu")("B", {"answer": "B"}), ValueError, "has no options"),
        (
            lambda: rules.by_rule("mmmu")("B", {"answer": "red", "options": OPTIONS}),
            ValueError, "needs the letter of one of its 2 options",
        ),
        (lambda: rules.anls(3, "3"), TypeError, "The answer is of type int"),
        (lambda: rules.anls("3", 3), TypeError, "truth is of type int: it must be a list"),
        (lambda: rules.anls("3", {"question": "?"}), TypeError, "right answer is missing"),
        (lambda: rules.anls("3", []), ValueError, "truth is an empty list"),
        (lambda: rules.anls("3", "3", threshold="half"), ValueError, "threshold must be"),
        (lambda: rules.relaxed_accuracy("3", ["3", None]), TypeError, r"truth\[1\]"),
        (lambda: rules.vqa_accuracy("x", ["x"], "vqav2"), ValueError, "There is no rule of VQA"),
        (lambda: rules.yes_or_no("yes", "popo"), ValueError, "did you mean 'pope'"),
        (lambda: rules.cer(["a", "b"], ["a"]), ValueError, "2 answers to 1 right ones"),
        (lambda: rules.wer("a", None), TypeError, "right is of type NoneType"),
        (lambda: rules.cider(["a"], [["a"], ["b"]]), ValueError, "1 captions for 2 pictures"),
        (lambda: rules.mathvista("3", "3", "int"), ValueError, "kind must be 'integer'"),
        (lambda: rules.ocrbench(["STOP"], "stop"), TypeError, "The answer is of type list"),
        (
            lambda: evaluation.pope(as_run(["yes"], ["3"])),
            ValueError, "POPE needs questions that are answered by yes or no",
        ),
        (lambda: evaluation.pope(as_run(["yes"], ["no"]), rule=1), ValueError, "There is no rule"),
        (
            lambda: evaluation.circular_eval(knows, [{"question": "?", "answer": "A"}]),
            TypeError, "options is of type NoneType",
        ),
        (
            lambda: evaluation.circular_eval(knows, [{**ITEMS[0], "answer": "red"}]),
            ValueError, "of one of its options, which are A, B, C and D",
        ),
        (lambda: evaluation.circular_eval(knows, ITEMS, rule="mmu"), ValueError, "did you mean"),
        (
            lambda: evaluation.all_right(evaluation.Run([{"id": "a", "score": 1}])),
            ValueError, "is no whole number",
        ),
        (lambda: rules.mmmu_open(None, "3"), TypeError, "The answer is of type NoneType"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value) and str(caught.value)[-1] in ".?"


# --- JSON -----------------------------------------------------------------------------------------

SCHEMA = {
    "type": "object",
    "properties": {
        "shop": {"type": "string"},
        "total": {"type": "string", "description": "as it is printed"},
        "items": {"type": "array", "items": {"type": "object", "required": ["name"]}},
    },
    "required": ["shop", "total"],
}
TRUTH = {"shop": "Tea House", "total": "1.20", "items": [{"name": "Tea"}, {"name": "Milk"}]}


@pytest.mark.parametrize(
    ("change", "valid", "complete", "right", "says"),
    [
        ({}, True, True, True, ()),
        ({"total": "1.2"}, True, True, False, ("total",)),
        ({"total": 1.2}, False, True, False, ("total: 1.2 is not of type 'string'.", "total")),
        ({"total": None}, False, True, False, ("total: None is not", "total")),
        ({"total": ...}, True, False, False, ("total",)),
        ({"items": [{"name": "Tea"}]}, True, False, False, ("items.1.name",)),
        ({"items": [{"name": "Tea"}, {}]}, True, False, False, ("items.1.name",)),
        ({"items": []}, True, False, False, ("items.0.name", "items.1.name")),
        ({"items": [{"name": "Tea"}, {"name": "Milk"}, {"name": "Tea"}]}, True, True, False,
         ("items.2",)),
        ({"items": "Tea"}, False, False, False, ("items: 'Tea' is not of", "items.0.name",
                                                 "items.1.name")),
        ({"extra": 1}, True, True, True, ()),
    ],
)  # fmt: skip
def test_valid_complete_and_right_are_three_things(change, valid, complete, right, says):
    value = {key: part for key, part in {**TRUTH, **change}.items() if part is not ...}
    read = evaluation.json_answer(json.dumps(value), SCHEMA, TRUTH)
    assert (read.valid, read.complete, read.right) == (valid, complete, right)
    said = (*read.faults, *read.missing, *read.wrong)
    assert len(said) == len(says) and all(s.startswith(w) for s, w in zip(said, says)), said


@pytest.mark.parametrize(
    "answer",
    ["", "Tea", '```json\n{"shop": "Tea"}\n```', '{"shop": "Tea', '{"total": NaN}', "[" * 100_000],
)
def test_what_is_no_json_is_neither_valid_nor_complete(answer):
    read = evaluation.json_answer(answer, SCHEMA, TRUTH)
    assert (read.valid, read.complete, read.right) == (False, False, False)
    assert read.value is None and read.faults[0].startswith("It is no JSON: ")


@pytest.mark.parametrize(
    "answer",
    ['{"total": "9.99", "total": "1.20"}', '{"items": [{"name": "Tea", "n": 1, "name": "Tea"}]}'],
)
def test_a_key_that_stands_twice_says_nothing(answer):
    read = evaluation.json_answer(answer, {"type": "object"}, {})
    assert read.value is None and not read.valid and "stands twice" in read.faults[0]
    with pytest.raises(ValueError, match="^The key '(total|name)' stands twice"):
        evaluation.read_json(answer)
    assert evaluation.read_json('[{"a": 1}, {"a": 1.5}]') == [{"a": 1}, {"a": 1.5}]


@pytest.mark.parametrize(
    ("answer", "truth", "missing", "wrong"),
    [
        ('{"items": ["Tea"]}', {"items": []}, (), ("items.0",)),
        ('["Tea", "Bread"]', ["Tea"], (), ("1",)),
        ('[["a", "b"], ["c"]]', [["a"], ["c", "d"]], ("1.1",), ("0.1",)),
        ('{"items": []}', {"items": []}, (), ()),
        ("{}", {"items": []}, ("items",), ()),
    ],
)
def test_a_list_longer_than_the_truth_s_is_wrong(answer, truth, missing, wrong):
    read = evaluation.json_answer(answer, {"title": "anything"}, truth)
    assert (read.missing, read.wrong, read.right) == (missing, wrong, not (missing or wrong))


@pytest.mark.parametrize(
    ("answer", "truth", "missing", "wrong"),
    [
        # a path that reads alike is not the same place
        ('{"items": {"0": "Tea"}}', {"items": ["Tea"]}, ("items.0",), ()),
        ('{"items.0": "Tea"}', {"items": ["Tea"]}, ("items.0",), ()),
        ('{"a": {"b": 1}}', {"a.b": 1}, ("a.b",), ()),
        # keys that the truth does not have are the schema's
        ('{"tax": 1}', {}, (), ()),
        ('{"tip": {"card": 1}}', {"tip": {}}, (), ()),
        ('{"tip": 1}', {"tip": {}}, (), ("tip",)),
        ("3", 4, (), ("the whole",)),
        # as tables give it
        ('{"items": ["Tea", 2]}', {"items": np.array(["Tea", 2], object)}, (), ()),
        ('{"n": 2}', {"n": np.int64(2)}, (), ()),
        ('{"n": [2, 3]}', {"n": (2, 4)}, (), ("n.1",)),
    ],
)
def test_values_are_compared_where_they_stand(answer, truth, missing, wrong):
    read = evaluation.json_answer(answer, {"title": "anything"}, truth)
    assert (read.missing, read.wrong, read.right) == (missing, wrong, not (missing or wrong))


@pytest.mark.parametrize(
    ("truth", "error", "says"),
    [
        ('{"shop": "Tea"}', ValueError, "not allow the truth, .* json.loads"),
        ({"n": "1"}, ValueError, "not allow the truth, n: '1' is not of type 'integer'"),
        ({"n": float("nan")}, TypeError, "truth holds nan, which no JSON can"),
        ({"n": {1}}, TypeError, r"truth holds \{1\}"),
        ({1: "a"}, TypeError, "truth holds {1: 'a'}"),
    ],
)
def test_a_truth_that_no_answer_can_meet_is_told(truth, error, says):
    with pytest.raises(error, match=says):
        schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["m"]}
        evaluation.json_answer("{}", schema, truth)


def test_null_is_a_value():
    for answer, right in (("null", True), ("0", False), ("none", False)):
        read = evaluation.json_answer(answer, {"type": ["null", "integer"]}, None)
        assert (read.right, read.complete) == (right, answer != "none")


def test_one_and_true_are_two_values():
    schema = {"type": "object"}
    assert not evaluation.json_answer('{"open": 1}', schema, {"open": True}).right
    assert evaluation.json_answer('{"n": 1}', schema, {"n": 1.0}).right


@pytest.mark.parametrize(
    ("schema", "error", "says"),
    [
        ("{}", TypeError, "schema is of type str: a JSON Schema is a dict such as"),
        (None, TypeError, "schema is of type NoneType"),
        ([], TypeError, "schema is of type list"),
        ({"type": "text"}, ValueError, "no JSON Schema: 'text' is not valid .*at type"),
        ({"properties": {"total": "string"}}, ValueError, "'string' is .*at properties.total"),
        ({"properties": [1]}, ValueError, "at properties"),
        ({"pattern": "("}, ValueError, "not a 'regex'"),
        ({"total": "string"}, ValueError, "^The schema is .* allows everything: .* only 'total'"),
        ({1: 2}, ValueError, "only 1"),
        ({"title": "string", "total": "string"}, ValueError, "^The schema is .* 'title', 'total'"),
        ({"properties": {"a": {"kind": 1}}}, ValueError, "^The property 'a' is .* only 'kind'"),
        ({"items": {"name": "string"}}, ValueError, "^What 'items' says is .* only 'name'"),
        ({"$ref": "http://127.0.0.1:9/x"}, ValueError, "refers to 'http://127.0.0.1:9/x', which"),
        ({"$ref": "#/$defs/x"}, ValueError, "refers to '.*x', which is not in it"),
        ({"$ref": "#"}, ValueError, "refers to itself"),
    ],
)
def test_what_is_no_json_schema_is_told_in_one_sentence(schema, error, says):
    with pytest.raises(error, match=says) as caught:
        evaluation.json_answer("{}", schema, {})
    assert str(caught.value).count("\n") == 0 and str(caught.value).endswith(".")


def test_an_answer_that_is_no_text_is_named():
    with pytest.raises(TypeError, match="The answer is of type dict: it must be text"):
        evaluation.json_answer({}, SCHEMA, TRUTH)
