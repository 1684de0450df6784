"""Tables and runs of VLMEvalKit's: ours against what its own code made of them, which is frozen.

`python -m recipes.vlmevalkit.frozen KIT` writes `tests/vlmevalkit.jsonl` anew.
"""

import importlib
import json
import sys
import types

import pandas as pd
import pytest
from PIL import Image

import vlm_helpers as vh
from recipes.vlmevalkit import frozen, tsv

HEAD, *ROWS = map(json.loads, frozen.FROZEN.read_text(encoding="utf-8").splitlines())
LIVE = 8  # questions that are asked again here, in all their turns


def rows(kind):
    return [row[1:] for row in ROWS if row[0] == kind]


@pytest.fixture(scope="module")
def items():
    return vh.evaluation.benchmark(HEAD["set"], n=HEAD["questions"])


@pytest.fixture(scope="module")
def table(items, tmp_path_factory):
    path = tsv.write(items, tmp_path_factory.mktemp("data") / "x_circular.tsv", circular=True)
    return pd.read_csv(path, sep="\t").sort_values("index")


def test_a_table_turns_round_as_vlmevalkit_turns_it(table):
    ours = []
    for one in table.to_dict("records"):
        options = [str(one[letter]) for letter in "ABCD" if one[letter] == one[letter]]
        row = [one["index"], one["g_index"], one["answer"], *options, len(one["image"]) <= 64]
        ours.append(row)
    assert ours == rows("turn")


def test_our_runner_takes_the_same_answers_and_scores_them_alike(items):
    asked = vh.evaluation.circular_eval(vh.load(HEAD["model"]), items[:LIVE], max_new_tokens=16)
    theirs = {int(index): answer for index, answer in rows("answer")}
    assert {row["id"]: row["answer"] for row in asked.turns.rows} == {
        index: answer for index, answer in theirs.items() if index % tsv.MILLION < LIVE
    }
    hits = {index: hit for index, hit in rows("hit") if index < LIVE}
    assert {row["id"]: row["score"] for row in asked.run.rows} == hits
    assert 0 < sum(hits.values()) < LIVE  # some are right and some are wrong


def test_all_frozen_answers_give_their_hits_and_their_score(items):
    theirs = {int(index): answer for index, answer in rows("answer")}
    turns = list(vh.evaluation.rotations(items))
    assert {item["id"] for item in turns} == set(theirs)
    right = vh.evaluation.by_rule("vlmevalkit")
    scored = [{"id": item["id"], "score": right(theirs[item["id"]], item)} for item in turns]
    run = vh.evaluation.all_right(vh.evaluation.Run(scored))
    assert {row["id"]: row["score"] for row in run.rows} == dict(rows("hit"))
    assert run.score == pytest.approx(HEAD["Overall"])


def test_what_is_written_is_read_as_the_same_items(items, tmp_path):
    written = [dict(item) for item in items[:6]]
    several = {"question": "Which is red?", "answer": "the first", "options": None,
               "images": [Image.new("RGB", (4, 4), c) for c in ("red", "blue")]}  # fmt: skip
    read = list(tsv.read(tsv.write([*written, several], tmp_path / "x.tsv")))
    assert [item["id"] for item in read] == list(range(7))
    for one, other in zip([*written, several], read):
        for name in ("question", "answer", "options", "skill"):
            assert one.get(name) == other[name]
        pictures = [one.get("images", [one.get("image")]) for one in (one, other)]
        assert [[p.tobytes() for p in some] for some in pictures][0] == [
            p.tobytes() for p in pictures[1]
        ]


def test_turns_are_read_with_the_picture_of_their_first(items, tmp_path):
    path = tsv.write(items[:2], tmp_path / "x_circular.tsv", circular=True)
    read = list(tsv.read(path))
    turned = list(vh.evaluation.rotations(items[:2]))
    for one, other in zip(turned, read, strict=True):
        assert (one["id"], one["question"]) == (other["id"], other["question"])
        assert one["image"].tobytes() == other["image"].tobytes()


PICTURE = Image.new("RGB", (8, 8))


def item(*options, **more):
    return {"question": "Which?", "answer": "A", "options": options, "image": PICTURE, **more}


@pytest.mark.parametrize(
    "wrong, words",
    [
        ([item("red", "None")], "Column B of row 0 is 'None'"),
        ([item("NA", "red")], "Column A of row 0 is 'NA'"),
        ([item("1", "2", "3"), item("1", "2")], "Column C of row 0 is '3'"),
        ([item("007", "5")], "'007'"),
        ([item("red", "blue", image=None)], "Item 0 has no picture"),
    ],
)
def test_what_would_be_read_otherwise_is_not_written(wrong, words, tmp_path):
    with pytest.raises(ValueError, match=words):
        tsv.write(wrong, tmp_path / "x.tsv")
    assert list(tmp_path.iterdir()) == []


def test_names_count(tmp_path):
    with pytest.raises(ValueError, match="_circular.tsv"):
        tsv.write([item("red", "blue")], tmp_path / "x.tsv", circular=True)
    with pytest.raises(ValueError, match="must end in '.tsv'"):
        tsv.write([item("red", "blue")], tmp_path / "x.csv")


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda t: t.drop(columns=["answer", "image"]), "has no column answer, image"),
        (lambda t: t.assign(image="7"), "nor the index of a row that has one"),
        (lambda t: t.assign(image="not base64 " * 9), "no base64 of a picture"),
        (lambda t: t.assign(image="QUJD" * 30), "no base64 of a picture"),
        (lambda t: t.assign(image="[" + "QUJD" * 30), "no base64 of a picture"),
    ],
)
def test_a_table_that_is_none_is_said_in_one_sentence(change, words, tmp_path):
    path = tsv.write([item("red", "blue")], tmp_path / "x.tsv")
    change(pd.read_csv(path, sep="\t", dtype=str)).to_csv(path, sep="\t", index=False)
    with pytest.raises(ValueError, match=words) as told:
        list(tsv.read(path))
    assert str(told.value).endswith(".") and "\n" not in str(told.value)


@pytest.fixture
def models(monkeypatch):
    """`recipes.vlmevalkit.models`, with VLMEvalKit's base classes replaced by their least part."""

    class BaseModel:
        dump_image_func = None

    class LMDeployAPI(BaseModel):
        def __init__(self, **options):
            self.options = options

    for name in ("vlmeval", "vlmeval.api", "vlmeval.vlm", "vlmeval.vlm.base", "vlmeval.config"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["vlmeval.vlm.base"].BaseModel = BaseModel
    sys.modules["vlmeval.api"].LMDeployAPI = LMDeployAPI
    sys.modules["vlmeval.config"].supported_VLM = {}
    monkeypatch.delitem(sys.modules, "recipes.vlmevalkit.models", raising=False)
    yield importlib.import_module("recipes.vlmevalkit.models")
    del sys.modules["recipes.vlmevalkit.models"]


def test_the_adapter_asks_with_our_words_and_answers_as_the_original_run(
    models, items, table, tmp_path
):
    model = models.Checkpoint(HEAD["model"])
    path = tmp_path / "0.png"
    items[0]["image"].save(path)
    model.dump_image_func = lambda line: [str(path)]
    line = table.iloc[0]
    message = model.build_prompt(line, "x_circular")
    assert message == [
        {"type": "image", "value": str(path)}, {"type": "text", "value": items[0]["question"]}
    ]  # fmt: skip
    assert model.generate_inner(message) == dict(rows("answer"))["0"]
    assert model.use_custom_prompt("x_circular") and model.INTERLEAVE


def test_over_the_loopback_it_got_the_same_answers():
    answers = {int(index): answer for index, answer in rows("answer")}
    served = dict(rows("served"))
    assert len(served) > 20
    assert served == {index: answers[index] for index in served}


def test_a_served_model_is_asked_at_its_address_with_our_words(models, items, table, tmp_path):
    model = models.Served("http://127.0.0.1:8000/v1/", "mine")
    model.dump_image_func = lambda line: ["a.png"]
    assert model.build_prompt(table.iloc[0], "x")[1]["value"] == items[0]["question"]
    assert model.options["api_base"] == "http://127.0.0.1:8000/v1/chat/completions"
    assert (model.options["model"], model.options["max_tokens"]) == ("mine", 16)


@pytest.mark.parametrize("served", [[], ["--served", "http://127.0.0.1:8000/v1"]])
def test_the_runner_makes_the_named_models_known_and_runs_run_py(
    models, served, monkeypatch, tmp_path
):
    (tmp_path / "run.py").write_text("import sys; open('argv', 'w').write(' '.join(sys.argv[1:]))")
    monkeypatch.chdir(tmp_path)
    arguments = ["--model", "one", "two", "--data", "x_circular"]
    monkeypatch.setattr(sys, "argv", ["models", *served, *arguments])
    models.main()
    known = sys.modules["vlmeval.config"].supported_VLM
    assert list(known) == ["one", "two"]
    assert known["two"].func is (models.Served if served else models.Checkpoint)
    assert known["two"].args[-1] == "two"
    assert (tmp_path / "argv").read_text() == " ".join(arguments)


def test_outside_a_checkout_the_runner_says_so(models, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="start this in a checkout of VLMEvalKit"):
        models.main()
