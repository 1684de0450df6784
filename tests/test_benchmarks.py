"""Benchmarks: the stored are what the recipe draws, each seed gives others, real ones are read."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from datasets import Features, load_dataset
from datasets import Image as Picture
from PIL import Image

from recipes import benchmarks as recipe
from tests.hub import Hub, child_environment
from vlm_helpers import evaluation, scenes

ROOT = Path(__file__).parent.parent
TABLE = evaluation.benchmarks()
NAMES = list(TABLE.index)


def file(name):
    return recipe.FOLDER / name / f"{TABLE.loc[name, 'split']}.parquet"


# --- the stored ones ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_rows_of_the_stored_files_are_what_the_recipe_draws_and_so_are_the_cards(name):
    table = pyarrow.parquet.read_table(file(name))
    assert len(table) == TABLE.loc[name, "items"] >= 300
    for number in (0, len(table) // 2 + 1, len(table) - 1):
        assert table.slice(number, 1).to_pylist() == [recipe.stored(name, number)]
    assert file(name).with_name("README.md").read_text() == recipe.card(name)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_built_twice_is_the_same_byte_for_byte(name, tmp_path):
    one, other = (recipe.build(name, tmp_path / part, rows=4)[0] for part in "ab")
    assert one.read_bytes() == other.read_bytes()
    rows = pyarrow.parquet.read_table(one).to_pylist()
    assert rows == pyarrow.parquet.read_table(file(name)).slice(0, 4).to_pylist()


def test_all_of_them_are_small():
    assert sum(path.stat().st_size for path in recipe.FOLDER.rglob("*")) < 12e6


@pytest.mark.parametrize("name", NAMES)
def test_datasets_reads_the_folder_as_it_would_the_real_set(name, tmp_path):
    config, split, columns = TABLE.loc[name, ["config", "split", "columns"]]
    folder = str(recipe.FOLDER / name)
    rows = load_dataset(folder, config, split=split, cache_dir=tmp_path, streaming=True)
    assert set(columns.split(", ")) <= set(rows.features)
    assert rows.features == recipe.features(recipe.SETS[name][0])
    pictures = {column for column, type_ in rows.features.items() if type_ == Picture()}
    assert pictures == set(evaluation.benchmark(name).kind.pictures)


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_are_right_under_the_benchmarks_rule_and_nothing_gives_them_away(name):
    exam = evaluation.benchmark(name)
    items = list(exam.without_pictures())
    assert all(exam.score(item["answer"], item) == 1 for item in items)
    assert len({item["id"] for item in items}) == len(items) == len(exam)
    letters = [item["answer"] for item in items if item.get("options")]
    if letters:
        assert max(map(letters.count, "ABCD")) < 0.5 * len(letters)
        assert all(len(set(i["options"])) == len(i["options"]) for i in items if i.get("options"))
    assert not any("<loc_" in item["question"] for item in items)


def test_pope_asks_for_as_much_that_is_there_as_that_is_not_in_every_setting():
    items = list(evaluation.benchmark("pocket-pope").without_pictures())
    for setting in ("random", "popular", "adversarial"):
        answers = [item["answer"] for item in items if item["skill"] == setting]
        assert answers.count("yes") == answers.count("no") == 60


# --- what the page on them says -------------------------------------------------------------------

MEASURED = evaluation.experiment("benchmarks")
PAGE = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")


def line(model, name):
    """A benchmark's row in the page's table of a model."""
    rows = MEASURED[(MEASURED["model"] == model) & (MEASURED["benchmark"] == name)]
    n, right, *others = rows[["n", "right", "blind", "text", "majority"]].sum()
    low, high = evaluation.interval(int(right), int(n))
    shares = " | ".join(f"{100 * one / n:.1f}" for one in others)
    score = f"{100 * right / n:.1f} ({100 * low:.1f} to {100 * high:.1f})"
    return f"| `{name}` | {TABLE.loc[name, 'rule']} | {n} | {score} | {shares} |"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("model", ["pocket-llava", "pocket-llava-next"])
def test_the_page_says_what_was_measured(model, name):
    table = PAGE.split(f"## What {model} scores\n")[1].split("\n## ")[0]
    assert line(model, name) in table
    own = MEASURED[MEASURED["model"] == model]
    assert own.groupby("benchmark")["n"].sum()[name] == TABLE.loc[name, "items"]


def test_the_page_s_sentences_say_what_was_measured():
    stored = MEASURED[MEASURED["model"] == "pocket-llava"].set_index(["benchmark", "skill"])
    mmbench = stored.loc["pocket-mmbench"]
    looks = ["attribute_recognition", "object_localization", "spatial_relationship", "ocr"]
    pages = ["image_scene", "physical_property_reasoning", "nature_relation", "future_prediction",
             "structuralized_imagetext_understanding"]  # fmt: skip
    signs = ["Regular Text Recognition", "Digit String Recognition"]
    right, circular = mmbench["right"], mmbench["circular"]
    letters = [item["answer"] for item in evaluation.benchmark("pocket-mmbench").without_pictures()]
    for words in (
        f"{right[looks].sum()} of {mmbench['n'][looks].sum()} questions of `pocket-mmbench`",
        f"{stored.loc['pocket-mathvista', 'right']['synthetic scene']} of 50\nscenes",
        f"{stored.loc['pocket-ocrbench', 'right'][signs].sum()} of 100 signs",
        f"with letters: {right['attribute_comparison']} of 30",
        f"{right.sum()} are right as they are, and {circular.sum():.0f} in every",
        f"keep {circular[pages].sum():.0f} of {right[pages].sum()}",
        f"it gets {letters.count('A') / 300:.3f}, pocket-llava {right.sum() / 300:.3f} with",
        f"and {mmbench['text'].sum() / 300:.3f} without, which is a gain of "
        f"{(right.sum() - mmbench['text'].sum()) / 300:.3f} and",
    ):
        assert words in PAGE, words


def test_the_page_s_sentences_on_pocket_llava_next_say_what_was_measured():
    section = PAGE.split("## What pocket-llava-next scores")[1].split("\n## ")[0]
    section = " ".join(section.split())
    both = MEASURED.groupby(["model", "benchmark"])[["n", "right", "blind", "circular"]].sum()
    stored = MEASURED[MEASURED["model"] == "pocket-llava-next"].set_index(["benchmark", "skill"])
    own, old = both.loc["pocket-llava-next"], both.loc["pocket-llava"]
    read, diagrams = own.loc["pocket-ocrbench"], stored.loc[("pocket-ai2d", "diagram")]
    charts = stored.loc["pocket-mathvista"].loc[["line plot", "bar chart"]].sum()
    sorted_ = stored.loc[("pocket-scienceqa", "classification with picture")]
    for words in (
        f"{read['right']:.0f} of {read['n']:.0f}, pocket-llava "
        f"{old.loc['pocket-ocrbench', 'right']:.0f}, a grey picture {read['blind']:.0f}",
        f"{own.loc['pocket-mmbench', 'right']:.0f} of 300 are right as they are, and "
        f"{own.loc['pocket-mmbench', 'circular']:.0f} in every rotation",
        f"{diagrams['right']} of 300, with a grey picture {diagrams['blind']}, and a random option "
        f"{diagrams['candidate']:.0f}",
        f"{charts['right']} of {charts['n']}; the commonest answers {charts['majority']}",
        f"{sorted_['right']} of {sorted_['n']} with a picture, {sorted_['blind']} with a grey one",
        f"{stored.loc[('pocket-mathvista', 'document image'), 'right']} of 50 receipts",
    ):
        assert words in section, words


def test_the_measured_floors_are_those_of_the_stored_items():
    for name in ("pocket-pope", "pocket-scienceqa"):
        exam = evaluation.benchmark(name)
        floors = evaluation.floors(exam, exam.score)
        for _, stored in MEASURED[MEASURED["benchmark"] == name].groupby("model"):
            right = stored.set_index("skill")["majority"]
            assert (floors["majority"] * floors["n"]).round().tolist() == right.tolist()


# --- the endless exam -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_seed_0_is_the_stored_one_and_every_other_seed_another(name):
    stored, drawn = evaluation.benchmark(name, n=3), evaluation.benchmark(name, seed=0, n=3)
    assert [shown(item) for item in stored] == [shown(item) for item in drawn]
    other = evaluation.benchmark(name, seed=1, n=3)
    assert [shown(item) for item in other] != [shown(item) for item in drawn]
    assert shown(evaluation.benchmark(name, seed=1)[2]) == shown(other[2])
    assert len(evaluation.benchmark(name, seed=1)) == len(evaluation.benchmark(name))


def shown(item):
    """The item with the pixels in place of pictures."""
    pictures = item.get("images") or [item["image"]] if {"image", "images"} & set(item) else []
    words = {key: value for key, value in item.items() if key not in ("image", "images")}
    return words, [(one.mode, one.size, one.tobytes()) for one in pictures]


def test_what_needs_no_pictures_draws_and_opens_none(monkeypatch):
    exam, drawn = evaluation.benchmark("pocket-pope"), evaluation.benchmark("pocket-pope", seed=3)
    worlds = evaluation.exam(scenes, "color", 5)

    def refuse(*_, **__):
        raise AssertionError("a picture was made")

    monkeypatch.setattr("vlm_helpers.scenes.Scene.render", refuse)
    monkeypatch.setattr("vlm_helpers.pages.Page.render", refuse)
    monkeypatch.setattr(evaluation._benchmarks, "to_rgb", refuse)
    for items in (exam, drawn[:12], worlds):
        assert len(evaluation.floors(items)) > 0
        with pytest.raises(AssertionError, match="a picture was made"):
            items[0]


def test_slices_keep_the_numbers_of_their_items_and_text_only_keeps_the_items():
    exam = evaluation.benchmark("pocket-ai2d")
    assert [item["id"] for item in exam[10:14:2]] == [10, 12]
    assert exam[-1]["id"] == len(exam) - 1 and "image" in exam[0]
    unseen = exam.without_pictures()[10]
    assert {**unseen, "image": exam[10]["image"]} == exam[10]
    assert "image" in exam[10]  # the one it was made of still has its pictures


def test_items_with_several_pictures_name_them_in_their_order():
    item = evaluation.benchmark("pocket-mmmu")[0]
    assert len(item["images"]) == 2 and "picture 1 and picture 2" in item["question"]


# --- what cannot be -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "pocket-mmbnch"}, "no benchmark 'pocket-mmbnch'; did you mean 'pocket-mmbench'"),
        ({"name": "MMBench"}, "no benchmark 'MMBench'"),
        ({"name": "me/mine", "like": "mmbnch"}, "no benchmark 'mmbnch' to be like; did you mean"),
        ({"name": "pocket-pope", "n": 999}, "has 360 items, not 999. Give a seed for more"),
        ({"name": "pocket-pope", "n": 0}, "n must be a whole number from 1 up, not 0"),
        ({"name": "lmms-lab/POPE", "seed": 1}, "cannot be drawn from a seed"),
        ({"name": "pocket-pope", "streaming": True}, "takes seed and n, and nothing else"),
        ({"name": "pocket-pope", "like": "pope"}, "takes seed and n, and nothing else"),
    ],
)
def test_what_is_no_benchmark_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        evaluation.benchmark(**arguments)


def test_a_set_without_the_columns_and_rows_of_another_form_are_named(tmp_path):
    table = pyarrow.parquet.read_table(file("pocket-ai2d"))
    path = str(tmp_path / "mine.parquet")
    pyarrow.parquet.write_table(table.rename_columns(["q", "options", "a", "image"]), path)
    with pytest.raises(ValueError, match="no columns 'question' and 'answer', of which AI2D's"):
        evaluation.benchmark(path, like="ai2d")
    broken = table.slice(0, 2).set_column(2, "answer", pyarrow.array(["1", "nine"]))
    pyarrow.parquet.write_table(broken, path)
    exam = evaluation.benchmark(path, like="ai2d")
    assert exam[0]["answer"] == "B"
    with pytest.raises(ValueError, match="Row 1 of .* is not in the form of AI2D: .*'nine'"):
        exam[1]
    secret = table.slice(0, 2).set_column(2, "answer", pyarrow.array(["", "9"]))
    pyarrow.parquet.write_table(secret, path)
    for number in (0, 1):
        with pytest.raises(ValueError, match=f"Row {number} of .* is not in the form of AI2D"):
            evaluation.benchmark(path, like="ai2d")[number]
    Path(path).write_bytes(b"PAR1 it is not")
    with pytest.raises(ValueError, match="is no Parquet file, or is damaged"):
        evaluation.benchmark(path, like="ai2d")


@pytest.mark.parametrize(
    ("name", "column", "cell", "words"),
    [
        ("mmbench", "A", 5, "options.0. is of type int: it must be text"),
        ("ai2d", "answer", "99", "its right answer must be a whole number from 0 to 25, not 99"),
        ("ai2d", "answer", "-1", "its right answer must be a whole number from 0 to 25, not -1"),
        ("scienceqa", "answer", 1.5, "its right answer must be a whole number"),
        ("scienceqa", "choices", ["a", None], "options.1. is of type NoneType"),
        ("mathvista", "precision", -1.0, "precision must be a whole number from 0 up, not -1"),
        ("mathvista", "answer_type", "text", "answer_type must be 'integer', 'float' or 'list'"),
        ("pope", "answer", "maybe", "its right answer must be 'yes' or 'no', not 'maybe'"),
        ("pope", "image", b"no picture", "Row 0 of .*: The picture in bytes is no picture"),
    ],
)
def test_a_cell_that_cannot_be_is_named_with_its_row(tmp_path, name, column, cell, words):
    rows = pyarrow.parquet.read_table(file(f"pocket-{name}")).to_pylist()
    row = next(r for r in rows if r.get("question_type") != "multi_choice")
    table = pyarrow.Table.from_pylist([row | {column: cell}])
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=words):
        evaluation.benchmark(str(tmp_path / "a.parquet"), like=name)[0]


def test_a_parquet_file_is_streamed_too_and_one_that_is_not_there_or_damaged_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    path.write_bytes(file("pocket-pope").read_bytes())
    assert len(list(evaluation.benchmark(str(path), like="pope", n=3, streaming=True))) == 3
    assert len(evaluation.benchmark(path, like="pope", n=3)) == 3
    damaged = bytearray(path.read_bytes())
    damaged[100:4000] = bytes(3900)
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match="a.parquet is no Parquet file, or is damaged"):
        evaluation.benchmark(str(path), like="pope")
    for gone in (tmp_path / "b.parquet", tmp_path):
        path.unlink(missing_ok=True)
        with pytest.raises(FileNotFoundError, match=f"{gone} cannot be read"):
            evaluation.benchmark(str(gone), like="pope")


@pytest.mark.parametrize("answer", ["?", "", None])
def test_answers_that_are_not_public_are_told_and_not_scored_as_wrong(tmp_path, answer):
    for name, column in (("pocket-mmmu", "answer"), ("pocket-mathvista", "answer")):
        table = pyarrow.parquet.read_table(file(name)).slice(0, 2)
        hidden = pyarrow.array([answer, answer], table.schema.field(column).type)
        place = table.column_names.index(column)
        pyarrow.parquet.write_table(table.set_column(place, column, hidden), tmp_path / "a.parquet")
        exam = evaluation.benchmark(str(tmp_path / "a.parquet"), like=name.removeprefix("pocket-"))
        for number in (0, 1):  # of MMMU one of several options, and one open
            with pytest.raises(ValueError, match="its right answer is not given"):
                exam[number]


# --- the real ones, on a Hub of our own -----------------------------------------------------------

PIXEL = recipe._encoded(Image.new("RGB", (8, 6), "red"))
METADATA = {
    "category": "general-vqa", "context": "natural image", "grade": "daily life", "img_height": 6,
    "img_width": 8, "language": "english", "skills": ["arithmetic reasoning"], "source": "x",
    "split": "testmini", "task": "visual question answering",
}  # fmt: skip
SCIENCE = {
    "hint": "Look.", "task": "closed choice", "grade": "grade2", "subject": "s", "topic": "t",
    "category": "c", "skill": "s", "lecture": "", "solution": "",
}  # fmt: skip
# Rows as they stand in the real sets, odd cells included: text for nothing, lists as text.
REAL = {
    "lmms-lab/MMBench": [
        {"index": 4, "question": "Which?", "hint": "nan", "answer": "B", "A": "x", "B": "y",
         "C": "nan", "D": None, "category": "ocr", "image": PIXEL, "source": "s",
         "L2-category": "l", "comment": "nan", "split": "dev"},
        {"index": 9, "question": "And?", "hint": "See.", "answer": "D", "A": "1", "B": "2",
         "C": "3", "D": "4", "category": "ocr", "image": PIXEL, "source": "s", "L2-category": "l",
         "comment": None, "split": "dev"},
    ],
    "AI4Math/MathVista": [
        {"pid": "1", "question": "q", "image": "images/1.jpg", "decoded_image": PIXEL,
         "choices": None, "unit": None, "precision": 1.0, "answer": "1.2",
         "question_type": "free_form", "answer_type": "float", "metadata": METADATA,
         "query": "Hint: ... Question: q"},
        {"pid": "2", "question": "q", "image": "images/2.jpg", "decoded_image": PIXEL,
         "choices": ["up", "down"], "unit": None, "precision": None, "answer": "down",
         "question_type": "multi_choice", "answer_type": "text", "metadata": METADATA,
         "query": "Hint: ... Choices: (A) up (B) down"},
    ],
    "lmms-lab/ai2d": [
        {"question": "q", "options": ["a", "b", "c", "d"], "answer": "2", "image": PIXEL}
    ],
    "lmms-lab/ScienceQA": [
        {"image": None, "question": "q", "choices": ["a", "b"], "answer": 1, **SCIENCE},
        {"image": PIXEL, "question": "q", "choices": ["a", "b"], "answer": 0, **SCIENCE},
    ],
    "echo840/OCRBench": [
        {"dataset": "IIIT5K", "question": "q", "question_type": "Regular Text Recognition",
         "answer": ["CENTRE"], "image": PIXEL},
        {"dataset": "HME100k", "question": "q", "question_type": "Handwritten Mathematical "
         "Expression Recognition", "answer": ["x ^ { 2 }"], "image": PIXEL},
    ],
    "lmms-lab/MMMU": [
        {"id": "validation_Art_Theory_1", "question": "<image 1> What?", "explanation": "",
         "options": "['Baroque', \"it's <image 2>\"]", **dict.fromkeys(
             f"image_{n}" for n in range(3, 8)), "image_1": PIXEL, "image_2": PIXEL,
         "img_type": "['Paintings']", "answer": "B", "topic_difficulty": "Easy",
         "question_type": "multiple-choice", "subfield": "f"},
        {"id": "validation_Math_2", "question": "How much? <image 1>", "options": "[]",
         "explanation": "", **dict.fromkeys(f"image_{n}" for n in range(2, 8)),
         "image_1": PIXEL, "img_type": "['Tables']", "answer": "['24', 'twenty-four']",
         "topic_difficulty": "Easy", "question_type": "open", "subfield": "f"},
    ],
    "lmms-lab/POPE": [
        {"id": "0", "question_id": "1", "question": "Is there a dog?", "answer": "no",
         "image_source": "COCO_1", "image": PIXEL, "category": "adversarial"},
    ],
}  # fmt: skip
ANSWERS = {  # what a model says to each, and what the rule takes from it; all are right
    "lmms-lab/MMBench": [("(B)", "B"), ("D", "D")],
    "AI4Math/MathVista": [("1.23", "1.2"), ("(B)", "B")],
    "lmms-lab/ai2d": [("C.", "C")],
    "lmms-lab/ScienceQA": [("B", "B"), ("a", "A")],
    "echo840/OCRBench": [("the centre", "CENTRE"), ("x^{2}", "x ^ { 2 }")],
    "lmms-lab/MMMU": [("(B)", "B"), ("so it is 24", None)],
    "lmms-lab/POPE": [("No, there is none.", "no")],
}
CHILD = """
    import json
    from vlm_helpers import evaluation
    answers, found = json.loads({answers!r}), {{}}
    for name, said in answers.items():
        exam = evaluation.benchmark(name)
        replies = {{item["question"] + str(item["id"]): a for item, (a, _) in zip(exam, said)}}
        items = [{{**item, "question": item["question"] + str(item["id"])}} for item in exam]
        run = evaluation.quiz(lambda pictures, questions: [replies[q] for q in questions], items,
                              score=exam.score)
        streamed = evaluation.benchmark(name, n=1, streaming=True)
        found[name] = {{
            "questions": [item["question"] for item in exam],
            "extracted": [row["extracted"] for row in run.rows], "scores": run.scores.tolist(),
            "pictures": [len(i.get("images", [1] * ("image" in i))) for i in exam],
            "first": [item["id"] for item in streamed] == [exam[0]["id"]],
        }}
    for arguments in (("me/gone", "pope"), ("me/other", "pope"), ("lmms-lab/MMBench", None)):
        split = None if arguments[1] else "train"
        try:
            evaluation.benchmark(arguments[0], like=arguments[1], split=split)
        except (ValueError, ConnectionError) as error:
            found[" ".join(map(str, arguments))] = [type(error).__name__, str(error)]
    print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def read_from_hub(tmp_path_factory):
    """What a process of its own has read of the real sets, from a Hub on the loopback."""
    folder = tmp_path_factory.mktemp("hub")
    with Hub() as hub:
        for name, rows in REAL.items():
            key = next(n for n in NAMES if TABLE.loc[n, "hub"] == name)
            config, split = TABLE.loc[key, ["config", "split"]]
            data = parquet(rows, recipe.features(recipe.SETS[key][0]), folder / "rows.parquet")
            path = f"{config}/{split}-00000-of-00001.parquet"
            yaml = f"configs:\n- config_name: {config}\n  data_files:\n  - split: {split}\n"
            readme = f"---\n{yaml}    path: {config}/{split}-*\n---\n"
            hub.add(f"datasets/{name}", {path: data, "README.md": readme.encode()})
        other = parquet([{"a": "1"}], recipe.features({"a": "string"}), folder / "rows.parquet")
        hub.add("datasets/me/other", {"test.parquet": other})
        environment = child_environment(folder / "cache") | {
            "HF_ENDPOINT": hub.url, "PYTHONPATH": str(ROOT)
        }  # fmt: skip
        code = textwrap.dedent(CHILD).format(answers=json.dumps(ANSWERS))
        done = subprocess.run(
            [sys.executable, "-c", code], env=environment, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])


def parquet(rows, features: Features, path: Path) -> bytes:
    from datasets import Dataset

    Dataset.from_list(rows, features=features).to_parquet(path)
    return path.read_bytes()


@pytest.mark.parametrize("name", REAL)
def test_the_real_set_is_read_by_its_columns_and_scored_by_its_rule(read_from_hub, name):
    found = read_from_hub[name]
    assert found["extracted"] == [taken for _, taken in ANSWERS[name]]
    assert found["scores"] == [1.0] * len(ANSWERS[name])
    assert found["first"]


def test_odd_cells_of_the_real_sets_are_understood(read_from_hub):
    first, second = read_from_hub["lmms-lab/MMBench"]["questions"]
    assert first == "Which?\nA. x\nB. y\nAnswer with the letter."
    assert second.startswith("See.\nAnd?\nA. 1\n")
    assert read_from_hub["lmms-lab/ScienceQA"]["pictures"] == [0, 1]
    assert read_from_hub["lmms-lab/MMMU"]["pictures"] == [2, 1]
    assert "B. it's picture 2" in read_from_hub["lmms-lab/MMMU"]["questions"][0]
    assert read_from_hub["AI4Math/MathVista"]["questions"][0] == "Hint: ... Question: q"


def test_what_the_hub_does_not_give_is_told_in_a_sentence(read_from_hub):
    kind, text = read_from_hub["me/gone pope"]
    assert kind == "ConnectionError" and text.startswith("me/gone (default, test) cannot be read: ")
    kind, text = read_from_hub["me/other pope"]
    assert kind == "ValueError"
    assert "me/other has no columns 'id', 'question', 'answer' and 'category'" in text
    kind, text = read_from_hub["lmms-lab/MMBench None"]
    assert kind == "ValueError" and "train" in text and "\n" not in text


def test_without_a_network_a_real_set_is_refused_in_a_sentence(tmp_path):
    code = "from vlm_helpers import evaluation; evaluation.benchmark('lmms-lab/POPE')"
    environment = child_environment(tmp_path) | {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    last = done.stderr.decode().strip().splitlines()[-1]
    assert last.startswith("ConnectionError: lmms-lab/POPE (default, test) cannot be read: ")
