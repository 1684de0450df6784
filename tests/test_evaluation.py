"""Asking a set of questions: scores, floors, intervals, comparisons, and runs that go on."""

import errno
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vlm_helpers as vh
from vlm_helpers import evaluation

PICTURE = Image.new("RGB", (20, 10), "red")


@pytest.fixture(scope="module")
def pocket():
    return vh.load()


def items(n=10, **more):
    return [
        {"image": PICTURE, "question": f"q{i}", "answer": str(i % 3), "skill": "ab"[i % 2], **more}
        for i in range(n)
    ]


class Recorder:
    """Answers `number of the question % 3`, wrongly for the numbers in `wrong`; keeps the calls."""

    def __init__(self, wrong=(), dies_at=None):
        self.calls, self.wrong, self.dies_at = [], set(wrong), dies_at

    def __call__(self, pictures, questions, **options):
        self.calls.append((pictures, questions, options))
        if self.dies_at is not None and len(self.calls) > self.dies_at:
            raise KeyboardInterrupt
        numbers = [int(question[1:]) for question in questions]
        return ["wrong" if n in self.wrong else str(n % 3) for n in numbers]

    @property
    def asked(self):
        return [question for _, questions, _ in self.calls for question in questions]


# --- quiz -----------------------------------------------------------------------------------------


def test_rows_stand_in_the_order_of_the_items_and_carry_score_and_truth():
    run = evaluation.quiz(Recorder(wrong=[4]), items(), batch_size=3)
    assert [row["question"] for row in run.rows] == [f"q{i}" for i in range(10)]
    assert run.scores.tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1, 1]
    assert run.score == 0.9
    assert run.rows[4]["answer"] == "wrong" and run.rows[4]["truth"] == "1"
    assert set(run.rows[0]) == {*run.table.columns, "rules"}


def test_by_gives_each_group_its_share_interval_and_number():
    table = evaluation.quiz(Recorder(wrong=[0, 2]), items()).by("skill")
    assert table.loc["a"].tolist() == [0.6, *evaluation.interval(3, 5), 5]
    assert table.loc["b", "score"] == 1.0
    assert list(table.index) == ["a", "b"]


def test_short_questions_are_batched_together_and_no_batch_is_too_large():
    asker = Recorder()
    evaluation.quiz(asker, reversed(items(30)), batch_size=8)
    assert max(len(questions) for _, questions, _ in asker.calls) == 8
    assert [len(question) for question in asker.asked] == [2] * 10 + [3] * 20


def test_a_stream_is_read_as_it_goes():
    read = []

    def stream():
        for item in items(100):
            read.append(item)
            yield item

    asker = Recorder(dies_at=1)
    with pytest.raises(KeyboardInterrupt):
        evaluation.quiz(asker, stream(), batch_size=2)
    assert len(read) < 50


def test_pictures_come_from_either_column_and_may_be_several_or_none():
    asker = Recorder()
    rows = [
        {"question": "q0", "answer": "0", "image": PICTURE},
        {"question": "q1", "answer": "1", "images": [PICTURE, PICTURE], "image": None},
        {"question": "q2", "answer": "2"},
    ]
    evaluation.quiz(asker, rows)
    assert [len(pictures) for pictures in asker.calls[0][0]] == [1, 2, 0]


def test_blind_asks_the_same_about_grey_of_the_same_size():
    asker = Recorder()
    run = evaluation.blind(asker, items(4))
    picture = asker.calls[0][0][0][0]
    assert picture.size == (20, 10) and picture.getcolors() == [(200, (128, 128, 128))]
    assert len(run) == 4


def test_a_score_of_ones_own_sees_answer_and_item():
    run = evaluation.quiz(Recorder(), items(3, half=True), score=lambda a, item: item["half"] / 2)
    assert run.scores.tolist() == [0.5] * 3


def test_exact_forgives_case_ends_and_a_full_stop_and_nothing_else():
    item = {"answer": "red star"}
    for answer in ("red star", " Red star.", "RED STAR"):
        assert evaluation.exact(answer, item)
    for answer in ("red", "a red star", "red  star", ""):
        assert not evaluation.exact(answer, item)


@pytest.mark.parametrize(
    ("rows", "error", "words"),
    [
        ([], ValueError, "no item"),
        (["what?"], TypeError, "Item 0"),
        (3, TypeError, "items is of type int: it must be a list of dicts"),
        ([{"question": "q1"}], ValueError, "answer of item 0 is missing"),
        (
            [*items(2), {"question": "q", "answer": 3}],
            ValueError,
            "answer of item 2 is of type int",
        ),
        ([{"text": "q", "answer": "3"}], ValueError, "'text', 'answer'"),
        ([dict(i, id="same") for i in items(2)], ValueError, "Item 1 has the id 'same'"),
        (
            [dict(items(1)[0], id=n) for n in (1, None)],
            ValueError,
            "Item 1 has the id 1 of another",
        ),
        (
            [dict(items(1)[0], id=True)],
            TypeError,
            "id of item 0 is of type bool: it must be a text",
        ),
        (
            items(1, skill=["count"]),
            TypeError,
            "skill of item 0 is of type list: it must be a text",
        ),
    ],
)
def test_what_cannot_be_asked_is_named(rows, error, words):
    with pytest.raises(error, match=words):
        evaluation.quiz(Recorder(), rows)


def test_answers_that_are_no_text_or_too_few_are_refused():
    with pytest.raises(TypeError, match="item 0 is of type int"):
        evaluation.quiz(lambda pictures, questions: [1] * len(questions), items())
    with pytest.raises(ValueError, match="10 questions got 1"):
        evaluation.quiz(lambda pictures, questions: ["a"], items())
    for answer in ("ten texts?", None, 3):
        with pytest.raises(TypeError, match="10 questions got one .* must give a list of texts"):
            evaluation.quiz(lambda pictures, questions, said=answer: said, items())
    assert len(evaluation.quiz(lambda pictures, questions: iter(questions), items())) == 10
    with pytest.raises(TypeError, match="not a str"):
        evaluation.quiz("pocket-llava", items())
    with pytest.raises(ValueError, match="batch_size"):
        evaluation.quiz(Recorder(), items(), batch_size=0)


# --- runs on disk ---------------------------------------------------------------------------------


def test_a_killed_run_goes_on_and_asks_nothing_twice(tmp_path):
    file = tmp_path / "deep" / "run.jsonl"
    first = Recorder(wrong=[3], dies_at=2)
    with pytest.raises(KeyboardInterrupt):
        evaluation.quiz(first, items(), batch_size=3, out=file)
    with file.open("a") as half:
        half.write('{"id": 9, "answ')  # as a kill leaves it
    second = Recorder(wrong=[3])
    run = evaluation.quiz(second, items(), batch_size=3, out=file)
    kept = first.asked[:6]
    assert sorted(kept + second.asked) == sorted(f"q{i}" for i in range(10))
    straight = evaluation.quiz(Recorder(wrong=[3]), items(), batch_size=3)
    drop = {"seconds"}
    assert [{k: v for k, v in row.items() if k not in drop} for row in run.rows] == [
        {k: v for k, v in row.items() if k not in drop} for row in straight.rows
    ]
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 12 and "format" in lines[0] and lines[-1] == {"items": 10}


def test_a_file_killed_in_its_first_line_begins_anew(tmp_path):
    file = tmp_path / "run.jsonl"
    file.write_text('{"format": 1, "sett')
    assert len(evaluation.quiz(Recorder(), items(), out=file)) == 10
    assert len(evaluation.quiz(Recorder(dies_at=0), items(), out=file)) == 10


def test_a_file_of_another_run_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "run.jsonl"
    evaluation.quiz(Recorder(), items(), out=file)
    before = file.read_bytes()
    with pytest.raises(ValueError, match="settings"):
        evaluation.blind(Recorder(), items(), out=file)
    with pytest.raises(ValueError, match="max_new_tokens"):
        evaluation.quiz(Recorder(), items(), out=file, max_new_tokens=3)
    changed = items()
    changed[2]["question"] = "q5"
    with pytest.raises(ValueError, match="another question under the id 2"):
        evaluation.quiz(Recorder(), changed, out=file)
    assert file.read_bytes() == before


HEAD = '{"format": 2, "settings": {}}'


def line(**changed):
    """An answer as `quiz` writes it, but for what is changed."""
    row = {"number": 0, "id": 0, "skill": None, "question": "q0", "truth": "0", "answer": "0",
           "rules": {"exact": [None, 1.0]}, "seconds": 0.1}  # fmt: skip
    return json.dumps(row | changed) + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}\n", "no run of answers: line 1 "),
        ("id,answer\n1,2\n", "no run of answers: line 1 "),
        ('[{"format": 2}]\n', "no run of answers: line 1 "),
        ("notes without a line break", "is no run of answers. The file was left"),
        (f"{HEAD}\n{'[' * 100_000}\n", "is damaged: line 2 "),
        ("\x00\x01\n", "no run of answers: line 1 "),
        ('{"format": 1, "settings": {}}\n{"id": 0}\n', "another version .* .format 1, here 2"),
        (f"{HEAD}\nnothing\n", "is damaged: line 2 "),
        (f'{HEAD}\n{{"id": 3}}\n{{"items": 1}}\n', "is damaged: line 2 "),
        (f"{HEAD}\n{line()}{line(answer=3)}", "is damaged: line 3 "),
        (f"{HEAD}\n{line(id=[1])}", "is damaged: line 2 "),
        (f"{HEAD}\n{line(rules={})}", "is damaged: line 2 "),
        (f"{HEAD}\n{line(rules={'exact': [None, 'right']})}", "is damaged: line 2 "),
        (f"{HEAD}\n{line(rules=['exact'])}", "is damaged: line 2 "),
        (f"{HEAD}\n{line(rules={'exact': [None, float('nan')]})}", "is damaged: line 2 "),
        (f"{HEAD}\n{line(skill=['color'])}", "is damaged: line 2 "),
        (f"{HEAD}\n{line()}{line(id=1, rules={'mmmu': ['A', 1.0]})}", "is damaged: line 3 "),
    ],
)
def test_a_file_that_is_no_run_is_refused_and_left_as_it_is(tmp_path, text, words):
    file = tmp_path / "run.jsonl"
    file.write_text(text)
    for read in (evaluation.Run.load, lambda path: evaluation.quiz(Recorder(), items(), out=path)):
        with pytest.raises(ValueError, match=words):
            read(file)
        assert file.read_text() == text


def test_a_run_with_lines_taken_out_is_not_taken_for_whole(tmp_path):
    file, vlm = tmp_path / "run.jsonl", Recorder()
    run = evaluation.quiz(vlm, items(), out=file)
    lines = file.read_text().splitlines(keepends=True)
    del lines[2]
    file.write_text("".join(lines))
    with pytest.warns(UserWarning, match="did not come to its end"):
        assert len(evaluation.Run.load(file)) == len(run) - 1
    assert len(evaluation.quiz(vlm, items(), out=file)) == len(run)
    assert len(evaluation.Run.load(file)) == len(run)


def test_two_processes_that_begin_one_file_at_the_same_moment_lose_nothing(tmp_path):
    file = tmp_path / "run.jsonl"
    run = evaluation.quiz(Recorder(), items(), out=file)
    head, *others = file.read_text().splitlines(keepends=True)
    file.write_text("".join([head, head, *others]))
    assert evaluation.Run.load(file).rows == run.rows
    file.write_text("".join([head, head.replace("exact", "anls"), *others]))
    with pytest.raises(ValueError, match="is damaged: line 2 "):
        evaluation.Run.load(file)


def test_a_full_disk_is_told_and_costs_no_answer_that_is_there(tmp_path, monkeypatch):
    file, vlm = tmp_path / "run.jsonl", Recorder()
    whole, write, room = evaluation.quiz(Recorder(), items()), io.FileIO.write, [700]

    class Small(io.FileIO):
        """A file on a disk with little room, which takes a part before it fails."""

        def write(self, data):
            if not room[0]:
                raise OSError(errno.ENOSPC, "No space left on device")
            n = write(self, data[: room[0]])
            room[0] -= n
            return n

    monkeypatch.setattr(Path, "open", lambda path, mode, **_: Small(path, mode.replace("b", "")))
    with pytest.raises(OSError, match=r"run.jsonl cannot be written .No space .* make room"):
        evaluation.quiz(vlm, items(), out=file, batch_size=1)
    there = file.read_bytes()
    assert there.endswith(b"}\n") and len(there.splitlines()) > 2
    room[0] = 10**6
    assert evaluation.quiz(vlm, items(), out=file, batch_size=1).score == whole.score
    assert file.read_bytes().startswith(there)
    assert len(vlm.asked) == len(items()) + 1  # the one that there was no room for, twice


def test_a_place_that_cannot_be_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="run.jsonl cannot be written .* name another file"):
        evaluation.quiz(Recorder(), items(), out=tmp_path / "file" / "run.jsonl")
    with pytest.raises(TypeError, match="out is of type int: it must be a file's path"):
        evaluation.quiz(Recorder(), items(), out=5)
    with pytest.raises(TypeError, match="path is of type NoneType: it must be a file's path"):
        evaluation.Run.load(None)


@pytest.mark.parametrize("kind", [set, frozenset, dict.fromkeys])
def test_answers_without_an_order_are_refused(kind):
    with pytest.raises(TypeError, match="3 questions got one (set|frozenset|dict): what is asked"):
        evaluation.quiz(lambda pictures, questions: kind(questions), items(3))


@pytest.mark.parametrize("other", [None, [1], 0.5])
def test_what_is_no_run_is_named(other):
    run = evaluation.quiz(Recorder(), items(2))
    for call in (evaluation.pope, lambda one: evaluation.paired(run, one)):
        with pytest.raises(TypeError, match="A run is what `quiz` or `Run.load` gives, not"):
            call(other)
    with pytest.raises(ValueError, match="no finite number"):
        evaluation.interval([1.0, float("nan")])


def test_items_without_a_skill_are_a_group_and_other_columns_are_named():
    run = evaluation.quiz(Recorder(), items(4, skill=None))
    assert run.by()["n"].tolist() == [4]
    with pytest.raises(ValueError, match="column must be 'id', 'skill', .* not 'subject'"):
        run.by("subject")


# --- floors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "score", "words"),
    [
        (None, evaluation.exact, "items is of type NoneType: it must be a list of dicts"),
        (items(2, candidates="01"), evaluation.exact, "candidates of item 0 is of type str"),
        (items(2, candidates=[0, 1]), evaluation.exact, "is of type int: it must be text"),
        (items(2), "exact", "score is 'exact': it must be a function"),
        (items(2), lambda answer, item: float("nan"), "as nan: a score is a finite number"),
    ],
)
def test_what_has_no_floors_is_named(rows, score, words):
    with pytest.raises(TypeError, match=words):
        evaluation.floors(rows, score)
    with pytest.raises(ValueError, match="no item to answer: the set is empty"):
        evaluation.floors([])


def test_floors_are_the_commonest_answer_and_the_mean_over_candidates():
    rows = [
        {"question": "q", "answer": "red", "skill": "color", "candidates": ["red", "blue"]},
        {"question": "q", "answer": "red", "skill": "color", "candidates": ["red"]},
        {"question": "q", "answer": "blue", "skill": "color", "candidates": ["red", "red", "blue"]},
        {"question": "q", "answer": "2", "skill": "count", "candidates": []},
    ]
    table = evaluation.floors(rows)
    assert table.loc["color", "majority"] == pytest.approx(2 / 3)
    assert table.loc["color", "any candidate"] == pytest.approx((1 / 2 + 1 + 1 / 3) / 3)
    assert math.isnan(table.loc["count", "any candidate"])
    assert table["n"].tolist() == [3, 1]
    everything = evaluation.floors(rows, by=None)
    assert everything.loc["all", "majority"] == 0.5


def test_floors_use_the_score_that_the_run_uses():
    rows = [{"question": "q", "answer": "ab", "candidates": ["a", "b"]}]
    table = evaluation.floors(rows, lambda answer, item: answer in item["answer"], by=None)
    assert table.loc["all", "any candidate"] == 1.0


# --- statistics -----------------------------------------------------------------------------------


def test_interval_is_wilsons_for_right_and_wrong():
    # Newcombe (1998), table I, method 3
    assert evaluation.interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert evaluation.interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert evaluation.interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)
    assert evaluation.interval([1, 0, 1, 1]) == evaluation.interval(3, 4)
    narrow, wide = evaluation.interval(5, 10, level=0.5), evaluation.interval(5, 10, level=0.99)
    assert wide[0] < narrow[0] < 0.5 < narrow[1] < wide[1]


def test_interval_of_finer_scores_covers_the_mean_as_often_as_it_says():
    dice = np.random.default_rng(1)
    hits = 0
    for _ in range(400):
        low, high = evaluation.interval(dice.uniform(0, 1, 40))
        hits += low <= 0.5 <= high
    assert 0.91 <= hits / 400 <= 0.98


@pytest.mark.parametrize(
    ("right", "n", "level"), [(3, 2, 0.95), (-1, 2, 0.95), (0, 0, 0.95), (1, 2, 95)]
)
def test_interval_refuses_what_is_no_share(right, n, level):
    with pytest.raises(ValueError):
        evaluation.interval(right, n, level)
    with pytest.raises(ValueError):
        evaluation.interval([])


@pytest.mark.parametrize("scores", [None, 3, "a", ["a"], {0, 1}, (x for x in "01"), [[1], [1, 0]]])
def test_interval_names_what_is_no_list_of_scores(scores):
    with pytest.raises((TypeError, ValueError), match="^The scores are of type .* give a list"):
        evaluation.interval(scores)


@pytest.mark.parametrize(("right", "n"), [("3", 10), (3, "10"), (3, math.inf), (3, None)])
def test_interval_takes_numbers_only(right, n):
    with pytest.raises((TypeError, ValueError), match="must be a|give a list of numbers"):
        evaluation.interval(right, n)
    assert {type(end) for end in evaluation.interval(np.int64(3), np.int64(10))} == {float}


@pytest.mark.parametrize("score", [math.nan, None, "1"])
def test_runs_with_scores_that_are_no_numbers_are_not_compared(score):
    run = evaluation.quiz(Recorder(), items(2))
    other = evaluation.Run([{**row, "score": score} for row in run.rows])
    with pytest.raises((TypeError, ValueError), match="scores (is|are)"):
        evaluation.paired(
            run,
            other
            if score != "1"
            else evaluation.Run([{**row, "score": "right"} for row in run.rows]),
        )


def test_paired_counts_only_the_items_on_which_two_runs_differ():
    one = evaluation.quiz(Recorder(wrong=range(5)), items(60))
    other = evaluation.quiz(Recorder(wrong=range(15)), items(60))
    found = evaluation.paired(one, other)
    assert (found.better, found.worse, found.n) == (10, 0, 60)
    assert found.difference == pytest.approx(10 / 60)
    assert found.p == pytest.approx(2 / 2**10)
    assert 0 < found.low < 10 / 60 < found.high
    back = evaluation.paired(other, one)
    assert back.p == found.p and back.low == pytest.approx(-found.high)
    assert evaluation.paired(one, one).p == 1.0
    assert "better on 10, worse on 0 of 60 items" in str(found)


def test_paired_compares_finer_scores_too():
    def noisy(seed, shift):
        dice = np.random.default_rng(seed)
        return evaluation.quiz(
            Recorder(), items(40), score=lambda a, i: dice.uniform(0, 0.5) + shift
        )

    assert evaluation.paired(noisy(1, 0.4), noisy(2, 0.0)).p < 0.01
    assert evaluation.paired(noisy(1, 0.0), noisy(2, 0.0)).p > 0.05


def test_paired_refuses_runs_over_different_items():
    one, other = (evaluation.quiz(Recorder(), items(n)) for n in (3, 4))
    with pytest.raises(ValueError, match="3 is in one of them only"):
        evaluation.paired(one, other)


# --- exams from the course's own worlds -----------------------------------------------------------


def test_an_exam_has_as_many_of_each_skill_one_a_picture_and_draws_pictures_when_taken():
    exam = evaluation.exam(vh.scenes, ["color", "number"], 12, first_seed=5)
    assert [item["skill"] for item in exam] == ["color"] * 12 + ["number"] * 12
    assert all(item["answer"] != "none" for item in exam)
    assert len({item["id"] for item in exam}) == 24
    seeds = [scene.seed for scene, _ in exam.pairs[:12]]
    assert seeds == sorted(set(seeds)) and seeds[0] >= 5
    assert "image" not in vars(exam.pairs[0][0])  # taking an item leaves no picture behind
    scene, question = exam.pairs[0]
    assert exam[0]["image"].tobytes() == scene.render().tobytes()
    assert exam[0]["candidates"] == [thing.color for thing in scene.objects]
    assert isinstance(exam[2:4], evaluation.Exam) and len(exam[2:4]) == 2


def test_an_exam_of_a_skill_that_pictures_never_have_ends_with_a_sentence():
    with pytest.raises(ValueError, match="no question of the skill 'relation'"):
        evaluation.exam(vh.scenes, "relation", 3, n_objects=1)
    with pytest.raises(ValueError, match="no skill 'colour'"):
        evaluation.exam(vh.scenes, "colour", 3)


def test_the_pocket_model_looks(pocket):
    exam = evaluation.exam(vh.scenes, ["color", "shape"], 20, first_seed=900)
    seeing = evaluation.quiz(pocket, exam)
    blind = evaluation.blind(pocket, exam)
    floors = evaluation.floors(exam)
    assert seeing.score > 0.9 > 0.5 > blind.score
    assert (seeing.by()["low"] > floors["majority"]).all()
    assert evaluation.paired(seeing, blind).low > 0.3
