"""The pass over a data set before training: what is wrong with it, all at once."""

import io

import datasets
import pytest

import vlm_helpers as vh
from vlm_helpers.training import PreflightError, preflight


@pytest.fixture(scope="module")
def collator():
    return vh.collators.AnswerCollator(vh.load().processor)


def good(seed=0, **more):
    return {**vh.scenes.sample(seed).messages(), **more}


def planted():
    """Twelve rows, seven of them with faults of their own kinds."""
    rows = [good(seed) for seed in range(12)]
    rows[1] = {"images": rows[1]["images"], "text": "no messages"}
    rows[2]["images"] = rows[2]["images"] * 2
    rows[3]["images"] = []
    rows[4]["messages"][-1]["content"] = [{"type": "text", "text": " "}]
    rows[5]["messages"].insert(0, rows[5]["messages"][-1])
    rows[6]["messages"] = rows[6]["messages"][:-1]
    rows[11] = good(3, id="eleven")
    rows[11]["images"] = [{"bytes": truncated(rows[11]["images"][0]), "path": "eleven.png"}]
    return rows


FAULTS = {
    1: "needed is 'messages'", 2: "2 pictures came with 1 place for them",
    3: "no picture left", 4: "of the assistant, is empty", 5: "the user's turn",
    6: "has no answer to learn", 11: "'eleven.png' is a damaged or truncated picture",
}  # fmt: skip


def truncated(picture):
    file = io.BytesIO()
    picture.save(file, "png")
    return file.getvalue()[:-2000]


def test_what_is_good_is_described(collator):
    rows = [good(seed) for seed in range(6)]
    found = preflight(rows, collator, progress=False)
    for i, row in enumerate(rows):
        batch = collator([row])
        assert found.tokens[i] == batch["input_ids"].shape[1]
        assert found.learnt[i] == (batch["labels"] != -100).sum()
    assert found.tokens[found.longest] == max(found.tokens)
    assert found.warnings == []
    assert "6 rows can be trained on" in str(found)


def test_every_fault_is_reported_at_once(collator):
    with pytest.raises(PreflightError) as caught:
        preflight(planted(), collator, progress=False)
    error = caught.value
    assert [fault.row for fault in error.faults] == list(FAULTS)
    assert error.rows == 12
    for fault in error.faults:
        assert FAULTS[fault.row] in fault.why
        assert fault.why in str(error)
    assert str(error).startswith("7 of 12 rows cannot be trained on.")
    assert "Row 11 (id 'eleven')" in str(error)


def test_a_truncated_picture_far_down_in_a_data_set(collator, tmp_path):
    """`datasets` opens pictures when a row is fetched: one row fails, and those after it do not."""
    rows = datasets.Dataset.from_list([good(seed) for seed in range(5)])
    rows = rows.cast_column("images", datasets.List(datasets.Image(decode=False)))
    table = rows.to_list()
    for i in (1, 3):
        table[i]["images"][0]["bytes"] = table[i]["images"][0]["bytes"][:900]
    rows = datasets.Dataset.from_list(table, features=rows.features)
    rows = rows.cast_column("images", datasets.List(datasets.Image()))
    with pytest.raises(PreflightError, match="Rows 1, 3|Row 1") as caught:
        preflight(rows, collator, progress=False)
    assert [fault.row for fault in caught.value.faults] == [1, 3]
    rows.to_parquet(tmp_path / "rows.parquet")
    streamed = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "rows.parquet"), split="train", streaming=True
    )
    with pytest.raises(PreflightError) as caught:
        preflight(streamed, collator, progress=False)
    assert [fault.row for fault in caught.value.faults] == [1, 3]


@pytest.mark.parametrize("damaged", [False, True])
def test_a_stream_that_went_through_map(collator, tmp_path, damaged):
    """It does not know its columns any more, and opens its pictures itself."""
    table = datasets.Dataset.from_list([good(seed) for seed in range(3)])
    table = table.cast_column("images", datasets.List(datasets.Image(decode=False))).to_list()
    if damaged:
        table[1]["images"][0]["bytes"] = table[1]["images"][0]["bytes"][:900]
    features = datasets.Dataset.from_list([good()]).features
    datasets.Dataset.from_list(table, features=features).to_parquet(tmp_path / "rows.parquet")
    stream = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "rows.parquet"), split="train", streaming=True
    ).map(lambda row: {**row, "images": [image.resize((96, 96)) for image in row["images"]]})
    if not damaged:
        assert len(preflight(stream, collator, progress=False).tokens) == 3
        return
    with pytest.raises(PreflightError, match="Row 1: it cannot be read .* the stream ends there"):
        preflight(stream, collator, progress=False)


def test_parts_of_a_data_set_are_numbered_on(collator):
    rows = planted()
    with pytest.raises(PreflightError) as caught:
        preflight(rows[6:], collator, progress=False, first=6)
    assert [fault.row for fault in caught.value.faults] == [6, 11]
    assert caught.value.rows == 6
    rows = [good(seed) for seed in range(5)]
    parts = [preflight(rows[a:b], collator, progress=False, first=a) for a, b in ((0, 2), (2, 5))]
    assert parts[0] + parts[1] == preflight(rows, collator, progress=False)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (datasets.DatasetDict({"train": datasets.Dataset.from_list([good()])}),
         r"not a DatasetDict: give one of its splits, rows\['train'\]"),
        (good(), "not a dict: put the row into a list"),
        (datasets.Dataset.from_list([good()]).to_pandas(), r"DataFrame: rows.to_dict\('records'\)"),
        ((good(seed) for seed in range(2)), r"only once, as a generator, .*: give .*list\(rows\)"),
        (datasets.Dataset.from_list([good()]).with_format("numpy"),
         r"in the form 'numpy', .* plain dicts: rows.with_format\(None\)"),
        ("rows.parquet", "not a str: load it first"),
        (None, "not a NoneType: load it first"),
    ],
    ids=["DatasetDict", "row", "DataFrame", "generator", "form", "path", "None"],
)  # fmt: skip
def test_what_is_no_list_of_rows(collator, rows, says):
    with pytest.raises(TypeError, match=says):
        preflight(rows, collator, progress=False)


def test_faults_of_one_kind_share_a_line(collator):
    rows = [{"text": "no messages"}] * 30
    with pytest.raises(PreflightError) as caught:
        preflight(rows, collator, progress=False)
    assert len(caught.value.faults) == 30
    assert "Rows 0, 1, 2, 3, 4, … (30 in all)" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


def test_many_kinds_are_cut_short(collator):
    rows = [{f"column {i}": 1} for i in range(25)]
    with pytest.raises(PreflightError, match="5 kinds of faults more") as caught:
        preflight(rows, collator, progress=False)
    assert len(caught.value.faults) == 25


def test_rows_that_are_too_long_are_named():
    collator = vh.collators.AnswerCollator(vh.load().processor, max_length=20)
    with pytest.raises(PreflightError, match="max_length is 20"):
        preflight([good()], collator, progress=False)


def test_rows_that_lose_turns_are_counted():
    long = good()
    long["messages"] = long["messages"][:2] + 3 * [
        {"role": "user", "content": "What else is to be seen?"},
        {"role": "assistant", "content": "Nothing else."},
    ]
    whole = vh.collators.AnswerCollator(vh.load().processor)
    rows = [good(), long, good(1), long]
    limit = whole([long])["input_ids"].shape[1] - 1
    collator = vh.collators.AnswerCollator(vh.load().processor, max_length=limit)
    found = preflight(rows, collator, progress=False)
    assert found.shortened == [1, 3]
    assert f"2 rows have more than {limit} tokens (max_length)" in str(found)
    assert "lose first turns: rows 1, 3." in str(found)
    assert preflight(rows, whole, progress=False).shortened == []


def test_messages_name_no_addresses():
    def broken(rows):
        raise ValueError(f"cannot take {object()} at all")

    with pytest.raises(PreflightError, match="cannot take object at all"):
        preflight([good()], broken, progress=False)


def test_the_template_of_llava_hf_ends_no_answer():
    processor = vh.load().processor
    for family, warned in (("llava-1.5-hf", True), ("llava-1.5", False)):
        processor.chat_template = vh.prompts.template(family)
        found = preflight([good()], vh.collators.AnswerCollator(processor), progress=False)
        assert ("would not learn to stop" in str(found)) == warned


def test_a_template_that_never_ends_an_answer():
    processor = vh.load().processor
    processor.chat_template = processor.chat_template.replace("</s>", "")
    endless = vh.collators.AnswerCollator(processor)
    assert processor.tokenizer.eos_token not in processor.apply_chat_template(good()["messages"])
    found = preflight([good(), good(1)], endless, progress=False)
    assert "would not learn to stop" in str(found)


def test_a_bug_of_the_collator_is_no_stop():
    def broken(rows):
        raise KeyError("images")

    with pytest.raises(PreflightError, match="the collator refuses it .KeyError: 'images'"):
        preflight([good()], broken, progress=False)


def test_nothing_to_train_on(collator):
    with pytest.raises(ValueError, match="no row"):
        preflight([], collator)


def test_a_bar_on_request(collator, capfd):
    preflight([good()], collator, progress=False)
    assert capfd.readouterr().err == ""
    preflight([good()], collator)
    assert "1/1" in capfd.readouterr().err


def test_the_rows_stay_as_they_were(collator):
    rows, same = planted(), planted()
    with pytest.raises(PreflightError):
        preflight(rows, collator, progress=False)
    assert [row.get("messages") for row in rows] == [row.get("messages") for row in same]
