"""Runs over many items: several rules, files read back, kills, processes that share the work."""

import collections
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from recipes import ask
from tests.scripts import ROOT, run, together
from vlm_helpers import evaluation
from vlm_helpers.evaluation import Rule, Run, by_rule, quiz

OPTIONS = ["cat", "dog", "cow"]


def items(n=12):
    return [
        {"id": f"i{i}", "question": f"q{i}" + "!" * (i % 4), "answer": "ABC"[i % 3],
         "options": OPTIONS, "skill": "even" if i % 2 == 0 else "odd"}
        for i in range(n)
    ]  # fmt: skip


def letters(pictures, questions):
    """Answers in two styles: the even ones by letter, the odd ones by a sentence about a dog."""
    numbers = [int(question[1:].strip("!")) for question in questions]
    return ["ABC"[n % 3] if n % 2 == 0 else "A dog is blue." for n in numbers]


BOTH = {"vlmevalkit": by_rule("vlmevalkit"), "scienceqa": by_rule("scienceqa")}


def plain(run):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in run.rows]


# --- several rules --------------------------------------------------------------------------------


def test_a_run_keeps_what_each_rule_took_and_its_score_and_the_first_is_its_own(tmp_path):
    file = tmp_path / "run.jsonl"
    run = quiz(letters, items(), score=BOTH, out=file)
    assert run.rules == ["vlmevalkit", "scienceqa"]
    first, second = run.rows[0], run.rows[1]
    assert (first["extracted"], first["score"]) == ("A", 1.0)
    assert second["answer"] == "A dog is blue." and second["truth"] == "B"
    assert second["rules"] == {"vlmevalkit": ["A", 0.0], "scienceqa": [None, 0.0]}
    other = run.under("scienceqa")
    assert [row["extracted"] for row in other.rows[:2]] == ["A", None]
    assert other.score == 0.5 < run.score  # "A dog" is right by luck where A is
    assert evaluation.paired(run, other).n == 12
    straight = [quiz(letters, items(), score=rule) for rule in BOTH.values()]
    assert [run.score, other.score] == [one.score for one in straight]
    line = json.loads(file.read_text().splitlines()[2])
    assert {"question", "answer", "rules", "seconds"} < set(line)
    with pytest.raises(ValueError, match="no scores by 'mmmu'; .*'vlmevalkit' and 'scienceqa'"):
        run.under("mmmu")


def test_old_answers_are_scored_anew_and_nothing_is_asked(tmp_path):
    file = tmp_path / "run.jsonl"
    quiz(letters, items(), score=by_rule("ai2d"), out=file)
    before = file.read_bytes()
    again = Run.load(file).rescored(items(), BOTH)
    assert plain(again) == plain(quiz(letters, items(), score=BOTH))
    assert file.read_bytes() == before
    with pytest.raises(ValueError, match="no answer to the item 'i12'"):
        again.rescored(items(13), BOTH)
    with pytest.raises(ValueError, match="answers to 2 items that are not given here, .* 'i10'"):
        again.rescored(items(10), BOTH)
    changed = items()
    changed[3]["answer"] = "C"
    with pytest.raises(ValueError, match="under the id 'i3', or another right answer"):
        again.rescored(changed, BOTH)


def test_a_rule_says_what_it_took():
    number = Rule("first number", lambda answer, item: (answer.split()[0], answer.startswith("4")))
    rows = [{"question": "q", "answer": "4"}]
    run = quiz(lambda pictures, questions: ["4 dogs"], rows, score=number)
    assert (run.rows[0]["extracted"], run.score, run.rules) == ("4", 1.0, ["first number"])
    assert number("5 dogs", {}) is False


@pytest.mark.parametrize(
    ("score", "error", "words"),
    [
        ("mmmu", TypeError, "score is 'mmmu': it must be a function .*by_rule"),
        ({}, ValueError, "names no rule"),
        ({"mmmu": "mmmu"}, TypeError, "it must be a function"),
        ({3: by_rule("mmmu")}, TypeError, "it must be a function"),
        (lambda answer, item: None, TypeError, "scores the answer to item 'i0' as None: a score"),
        (lambda answer, item: float("nan"), TypeError, "as nan: a score is a finite number"),
        (lambda answer, item: "right", TypeError, "as 'right': a score is a finite number"),
    ],
)  # fmt: skip
def test_what_is_no_score_is_named(score, error, words):
    with pytest.raises(error, match=words):
        quiz(letters, items(1), score=score)


def test_scores_of_numpy_are_numbers_and_ids_of_numpy_are_ids(tmp_path):
    rows = [{**item, "id": np.int64(n)} for n, item in enumerate(items(4))]
    run = quiz(letters, rows, score=lambda a, item: np.True_, out=tmp_path / "run.jsonl")
    assert run.score == 1.0 and [row["id"] for row in run.rows] == [0, 1, 2, 3]
    with pytest.raises(TypeError, match="id of item 0 is of type tuple: it must be a text or"):
        quiz(letters, [{**items(1)[0], "id": (1, 2)}])


def test_circular_eval_takes_each_letter_once(monkeypatch):
    taken = collections.Counter()
    rule = evaluation.rules.choice.RULES["vlmevalkit"]

    def counted(answer, options):
        taken[answer] += 1
        return rule(answer, options)

    monkeypatch.setitem(evaluation.rules.choice.RULES, "vlmevalkit", counted)
    found = evaluation.circular_eval(lambda p, questions: ["B"] * len(questions), items(5))
    assert taken == {"B": 15} and len(found.turns) == 15
    assert [row["answer"] for row in found.run.rows] == ["B B B"] * 5
    assert found.by_letter()["taken"].tolist() == [0, 1, 0]
    assert found.run.score == 0


# --- files ----------------------------------------------------------------------------------------


def test_a_finished_file_is_read_back_as_the_run_in_the_order_of_the_items(tmp_path, recwarn):
    file = tmp_path / "run.jsonl"
    run = quiz(letters, items(), score=BOTH, out=file, batch_size=2)
    asked = [json.loads(line).get("id") for line in file.read_text().splitlines()[1:-1]]
    assert asked != [item["id"] for item in items()]  # short questions were asked first
    assert Run.load(file).rows == run.rows
    assert str(Run.load(str(file))) == str(run) and not recwarn.list


@pytest.mark.parametrize("torn", [True, False])
def test_an_unfinished_file_is_read_with_a_warning_and_left_as_it_is(tmp_path, torn):
    file = tmp_path / "run.jsonl"
    quiz(letters, items(), out=file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:6]) + lines[6][:20] * torn)
    before = file.read_bytes()
    with pytest.warns(UserWarning, match="holds 5 answers of a run that did not come") as told:
        assert len(Run.load(file)) == 5
    assert ("half written" in str(told[0].message)) is torn
    assert file.read_bytes() == before
    straight = quiz(letters, items())
    assert plain(quiz(letters, items(), out=file)) == plain(straight)
    assert plain(Run.load(file)) == plain(straight)


def test_a_file_without_answers_and_one_that_is_not_there_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file .*run.jsonl"):
        Run.load(tmp_path / "run.jsonl")
    for read in (Run.load, lambda path: quiz(letters, items(), out=path)):
        with pytest.raises(IsADirectoryError, match="is a folder: a run is kept in a file"):
            read(tmp_path)
    file = tmp_path / "run.jsonl"
    file.write_text('{"format": 2, "settings": {}}\n{"number"')
    with pytest.raises(ValueError, match="holds no answer yet"):
        Run.load(file)


def test_a_run_that_never_got_an_answer_stands_in_nobodys_way(tmp_path):
    """Its settings may be what was wrong: with others the same file is begun again."""
    with pytest.raises(ValueError, match="too few"):
        quiz(fails, items(), out=tmp_path / "run.jsonl", max_new_tokens=0)
    run = quiz(letters, items(), out=tmp_path / "run.jsonl")
    assert Run.load(tmp_path / "run.jsonl").rows == run.rows


def fails(pictures, questions, **generate):
    raise ValueError("too few")


def test_of_answers_that_two_runs_have_written_to_one_file_each_counts_once(tmp_path):
    file = tmp_path / "run.jsonl"
    run = quiz(letters, items(), out=file)
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(lines[:-1] + lines[1:]))
    assert Run.load(file).rows == run.rows


def test_whatever_a_model_says_comes_back_from_the_file(tmp_path):
    odd = ["\ud800", "\u2028\x85", "\r\n\x00", '"}', "木", ""]
    rows = [{"question": str(n), "answer": "a", "skill": n} for n in range(len(odd))]
    run = quiz(
        lambda p, questions: [odd[int(q)] for q in questions], rows, out=tmp_path / "r.jsonl"
    )
    assert [row["answer"] for row in run.rows] == odd
    assert [row["answer"] for row in Run.load(tmp_path / "r.jsonl").rows] == odd


def test_a_finished_run_takes_further_items(tmp_path):
    file, calls = tmp_path / "run.jsonl", []

    def ask(pictures, questions):
        calls.extend(questions)
        return letters(pictures, questions)

    quiz(ask, items(8), out=file)
    quiz(ask, items(8), out=file)
    run = quiz(ask, items(12), out=file)
    assert len(calls) == len(set(calls)) == 12
    assert Run.load(file).rows == run.rows
    assert [line for line in map(json.loads, file.read_text().splitlines()) if "items" in line] == [
        {"items": 8}, {"items": 12},
    ]  # fmt: skip


KILLED = """
    import os, signal, sys
    sys.path.insert(0, {root!r})
    from tests.test_runs import BOTH, items, letters
    from vlm_helpers.evaluation import quiz
    calls = []
    def ask(pictures, questions):
        calls.append(questions)
        if len(calls) > 3:
            os.kill(os.getpid(), signal.SIGKILL)
        return letters(pictures, questions)
    quiz(ask, iter(items(40)), score=BOTH, batch_size=5, out={file!r})
"""


def test_a_run_killed_by_a_signal_and_resumed_is_a_straight_one_and_asks_nothing_twice(tmp_path):
    file = tmp_path / "run.jsonl"
    code = textwrap.dedent(KILLED).format(root=str(ROOT), file=str(file))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    there = [json.loads(line)["question"] for line in file.read_text().splitlines()[1:]]
    assert len(there) == 15
    calls = []

    def ask(pictures, questions):
        calls.extend(questions)
        return letters(pictures, questions)

    run = quiz(ask, iter(items(40)), score=BOTH, batch_size=5, out=file)
    assert sorted(there + calls) == sorted(item["question"] for item in items(40))
    straight = quiz(ask, items(40), score=BOTH, batch_size=5, out=tmp_path / "straight.jsonl")
    assert plain(run) == plain(straight)
    assert without_seconds(file) == without_seconds(tmp_path / "straight.jsonl")


def without_seconds(file):
    rows = map(json.loads, file.read_text().splitlines())
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


class Drawn:
    """Items whose pictures are counted as they are made."""

    def __init__(self, rows, made, pictures=True):
        self.rows, self.made, self.pictures = rows, made, pictures

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if not self.pictures:
            return self.rows[index]
        self.made.append(self.rows[index]["id"])
        return {**self.rows[index], "image": index}

    def without_pictures(self):
        return Drawn(self.rows, self.made, pictures=False)


def test_pictures_are_made_for_those_items_alone_that_are_asked(tmp_path):
    file, made, shown = tmp_path / "run.jsonl", [], []

    def ask(pictures, questions):
        shown.extend(zip((one for (one,) in pictures), questions))
        return letters(pictures, questions)

    half = SimpleNamespace(process_index=1, num_processes=2, wait_for_everyone=lambda: None)
    quiz(ask, Drawn(items(6), made), out=file)
    assert len(made) == len(set(made)) == 6
    quiz(ask, Drawn(items(12), made), out=file)
    assert len(made) == len(set(made)) == 12
    assert all(question.startswith(f"q{number}") for number, question in shown)
    made.clear()
    with pytest.raises(KeyError):  # there is no other process to gather the rest from
        quiz(ask, Drawn(items(12), made), batch_size=2, accelerator=half)
    assert len(made) == 6


# --- processes ------------------------------------------------------------------------------------

SHARED = """
    import json, sys
    from accelerate import PartialState
    from tests.test_runs import BOTH, items, letters
    from vlm_helpers.evaluation import quiz
    state, calls = PartialState(cpu=True), []
    def ask(pictures, questions):
        calls.append(questions)
        return letters(pictures, questions)
    run = quiz(ask, items(60), score=BOTH, batch_size=5, out={file!r}, accelerator=state)
    state.destroy_process_group()
    with open({file!r} + f".{{state.process_index}}.said", "w") as file:
        json.dump({{"rows": run.rows, "calls": calls, "processes": state.num_processes}}, file)
"""


def test_two_processes_share_a_run_and_go_on_where_others_were_killed(tmp_path, monkeypatch):
    file, straight = tmp_path / "run.jsonl", quiz(letters, items(60), score=BOTH, batch_size=5)
    before = []

    def ask(pictures, questions):  # the name by which the file knows who is asked
        if len(before) == 2:
            raise KeyboardInterrupt
        before.append(questions)
        return letters(pictures, questions)

    third = SimpleNamespace(process_index=2, num_processes=3, wait_for_everyone=lambda: None)
    with pytest.raises(KeyboardInterrupt):  # the last of three, which leaves its part behind
        quiz(ask, items(60), score=BOTH, batch_size=5, out=file, accelerator=third)
    assert not file.exists() and len(list(tmp_path.glob("*.part"))) == 1
    (tmp_path / "shared.py").write_text(textwrap.dedent(SHARED).format(file=str(file)))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    run([*together("cpu"), "shared"])
    said = [json.loads(Path(f"{file}.{n}.said").read_text()) for n in range(2)]
    assert [one["processes"] for one in said] == [2, 2]
    for one in said:  # both have the whole run, the same as one process alone
        assert plain(SimpleNamespace(rows=one["rows"])) == plain(straight)
    asked = [question for one in said for batch in one["calls"] for question in batch]
    assert sorted(asked + sum(before, [])) == sorted(item["question"] for item in items(60))
    assert abs(len(said[0]["calls"]) - len(said[1]["calls"])) <= 2  # of ten batches that were left
    assert plain(Run.load(file)) == plain(straight)
    assert not list(tmp_path.glob("*.part"))


def test_the_recipe_asks_in_two_processes_what_it_asks_in_one(tmp_path, capsys):
    words = ["pocket-mmbench", "--n", "6", "--batch-size", "2", "--max-new-tokens", "4", "--out"]
    ask.main([*words, str(tmp_path / "one.jsonl")])
    said = run([*together("cpu"), "recipes.ask", *words, tmp_path / "two.jsonl"])
    assert said == capsys.readouterr().out and "pocket-mmbench, rule" in said
    one, two = (Run.load(tmp_path / f"{name}.jsonl") for name in ("one", "two"))
    assert plain(one) == plain(two) and len(one) == 6


def test_parts_that_processes_left_behind_are_joined_by_a_single_one(tmp_path):
    file, asked, most = tmp_path / "run.jsonl", [], 10

    def ask(pictures, questions):  # the name by which the file knows who is asked
        if len(asked) > most:
            raise KeyboardInterrupt
        asked.extend(questions)
        return letters(pictures, questions)

    for process in (0, 1):
        share = SimpleNamespace(
            process_index=process, num_processes=2, wait_for_everyone=lambda: None
        )
        asked.clear()
        with pytest.raises(KeyboardInterrupt):
            quiz(ask, items(60), batch_size=4, out=file, accelerator=share)
    half = next(tmp_path.glob("*.1.part"))
    half.write_text(half.read_text() + '{"number": 3, "id"')
    most = 60
    asked.clear()
    run = quiz(ask, items(60), batch_size=4, out=file)
    assert len(asked) == 60 - 2 * 12 and len(set(asked)) == len(asked)
    assert plain(run) == plain(quiz(letters, items(60))) == plain(Run.load(file))
    assert [path.name for path in tmp_path.iterdir()] == ["run.jsonl"]


# --- comparing ------------------------------------------------------------------------------------


def test_runs_over_different_items_are_not_compared():
    mine = quiz(letters, items(12))
    with pytest.raises(ValueError, match="'i10' is in one of them only .* 12 items, the second 10"):
        evaluation.paired(mine, quiz(letters, items(10)))
    others = [{**item, "question": item["question"] + "?"} for item in items(12)]
    same_ids = quiz(lambda p, questions: ["A"] * len(questions), others)
    with pytest.raises(ValueError, match="under the id 'i0' they have other questions.*0 are the"):
        evaluation.paired(mine, same_ids)
    nothing = [{**item, "id": i} for i, item in enumerate(items(12))]
    with pytest.raises(ValueError, match="and 0 are the same"):
        evaluation.paired(mine, quiz(letters, nothing))
    with pytest.raises(ValueError, match="hold no items"):
        evaluation.paired(Run([]), Run([]))


def run_of(scores):
    rows = [{"id": n, "question": "q", "truth": "t", "score": s} for n, s in enumerate(scores)]
    return Run(rows)


def test_gain_and_leakage_are_mmstars():
    seen, unseen, base = (run_of([1] * n + [0] * (20 - n)) for n in (16, 9, 6))
    found = evaluation.gain_and_leakage(seen, unseen, base)
    assert found.gain.difference == pytest.approx(7 / 20)
    assert found.leakage == pytest.approx(3 / 20)
    assert "gain 0.350" in str(found) and "leakage 0.150" in str(found)
    less = evaluation.gain_and_leakage(seen, base, unseen)
    assert less.leakage == 0.0 and less.over_base.difference == pytest.approx(-3 / 20)
    with pytest.raises(ValueError, match="not over the same items"):
        evaluation.gain_and_leakage(seen, unseen, run_of([1, 0]))
