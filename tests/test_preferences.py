"""Rows of preferences: read, made into batches, and looked at before the training."""

import copy

import pytest
import torch
from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

import vlm_helpers as vh
from vlm_helpers.collators import PreferenceCollator, RowError
from vlm_helpers.conversations import answer, marks, read_pair
from vlm_helpers.training import PreflightError, preflight

ASK = "USER: <image>\nWhat is it? ASSISTANT:"


def said(text):
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


def asked(text="What is it?"):
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]


def shown(seed):
    return [{"role": "user", "content": [{"type": "image", "image": vh.scenes.sample(seed).image}]}]


def pair(seed=0, chosen="a star", rejected="a ring", **more):
    return {
        "prompt": asked(),
        "chosen": said(chosen),
        "rejected": said(rejected),
        "images": [vh.scenes.sample(seed).image],
        **more,
    }


def implicit(seed=0, chosen="a star", rejected="a ring", **more):
    """With the prompt in both, as in many data sets."""
    row = pair(seed, chosen, rejected)
    prompt = row.pop("prompt")
    return {**row, "chosen": prompt + row["chosen"], "rejected": prompt + row["rejected"], **more}


def plain(prompt=ASK, chosen=" a star", rejected=" a ring", pictures=1):
    row = {"chosen": chosen, "rejected": rejected, "images": pair()["images"] * pictures}
    return row if prompt is None else {"prompt": prompt, **row}


@pytest.fixture(scope="module")
def processor():
    return vh.load().processor


@pytest.fixture(scope="module")
def collator(processor):
    return PreferenceCollator(processor)


def faults(rows, collator, **options):
    with pytest.raises(PreflightError) as caught:
        preflight(rows, collator, progress=False, **options)
    return {fault.row: fault.why for fault in caught.value.faults}


# --- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        pair(),
        implicit(),
        {**implicit(), "prompt": []},
        pair(prompt=[{"role": "user", "content": "What is it?"}]),
        pair(images=None, image=pair()["images"][0]),
        {**pair(), "images": None, "prompt": [{"role": "user", "content": [
            {"type": "image", "image": pair()["images"][0]},
            {"type": "text", "text": "What is it?"}]}]},
    ],
    ids=["three columns", "two columns", "an empty prompt", "a text", "image", "in its part"],
)  # fmt: skip
def test_forms_of_a_conversation(row, collator, processor):
    before = copy.deepcopy(row)
    chosen, rejected = read_pair(row, marks(processor))
    assert (answer(chosen), answer(rejected)) == ("a star", "a ring")
    assert chosen.prompt == rejected.prompt == 1 and len(chosen.pictures) == 1
    batch, wanted = collator([row]), collator([pair()])
    assert all(torch.equal(batch[name], wanted[name]) for name in wanted)
    assert str(row) == str(before) or "PIL" in str(row)


@pytest.mark.parametrize(
    ("row", "texts"),
    [
        (plain(), (" a star", " a ring")),
        (plain(None, ASK + " a star", ASK + " a ring"), (" star", " ring")),
        (plain(None, ASK + "star", ASK + "stone"), ("star", "stone")),  # not within a word
        (plain(None, ASK + " yes", ASK + " yes, it is"), (" yes", " yes, it is")),
        (plain(chosen=" a star</s>", rejected=" a ring</s>"), (" a star</s>", " a ring</s>")),
    ],
)
def test_forms_of_plain_texts(row, texts, collator, processor):
    assert tuple(map(answer, read_pair(row, marks(processor)))) == texts
    batch = collator([row])
    for i, text in enumerate(texts):  # both end with one end token
        learnt = processor.decode(batch["input_ids"][i][batch["completion_mask"][i].bool()])
        assert learnt.strip() == text.removesuffix("</s>").strip() + "</s>"


def test_a_batch_is_what_trl_makes_but_for_the_first_token(collator, processor):
    """TRL leaves out the token that begins a text, which the model was trained with."""
    rows = [pair(0), pair(1, "a large red star", "no")]
    mine, its = collator(rows), DataCollatorForVisionPreference(processor)(copy.deepcopy(rows))
    assert (mine["input_ids"][:, 0] == processor.tokenizer.bos_token_id).all()
    for name in ("input_ids", "attention_mask", "completion_mask"):
        assert torch.equal(mine[name][:, 1:], its[name]), name
    assert torch.equal(mine["pixel_values"], its["pixel_values"])
    assert mine.keys() == its.keys()


FAULTS = {
    "the same": (pair(rejected="a star"), "are the same, so neither"),
    "the same, in two columns": (implicit(rejected="a star"), "are the same, so neither"),
    "the same plain text": (plain(None, ASK + " a star", ASK + " a star"), "are the same"),
    "white space": (pair(rejected=" a  star\n"), "are the same but for white space"),
    "no picture": (pair(images=[]), "no picture left for it: add the picture"),
    "two pictures": (pair(images=pair()["images"] * 2), "2 pictures came with 1 place"),
    "no picture in plain texts": (plain(pictures=0), "0 pictures, and the prompt has"),
    "a picture in an answer": (
        {**pair(), "images": pair()["images"] * 2, "chosen": said("a") + asked() + said("b"),
         "rejected": said("c") + asked() + said("d")},
        r"a picture in message 3 \(chosen\[1\]\)",
    ),
    "no answer": (pair(rejected=""), "is empty"),
    "no plain answer": (plain(chosen=" "), "The chosen answer is empty"),
    "a column missing": (
        {**pair(), "rejected": None}, "needed is 'prompt', 'chosen' and 'rejected'",
    ),
    "kinds": (
        {**pair(), "chosen": "a star"}, "of one kind, but 'prompt' is a list, 'chosen' is a text",
    ),
    "the prompt again": (
        {**implicit(), "prompt": asked()}, "'chosen' begins with a message of the user",
    ),
    "the plain prompt again": (plain(chosen=ASK + " a star"), "chosen answer repeats the prompt"),
    "the question again": (pair(rejected="What is it? A ring"), "rejected answer begins with the"),
    "one end": (plain(chosen=" a star</s>"), "chosen answer ends with '</s>', and the rejected"),
    "no prompt": (plain(None, "star", "ring", 0), "there is no prompt: give it in a column"),
    "other prompts": (
        {**implicit(), "rejected": asked("Where?") + said("a ring")}, "part in message 1",
    ),
    "other pictures": (
        {"chosen": shown(0) + said("a"), "rejected": shown(1) + said("b")},
        "have different pictures",
    ),
    "an answer that goes on": (
        {**implicit(), "chosen": implicit()["chosen"] + [
            {"role": "user", "content": "And?"}, *said("x")],
         "rejected": implicit()["chosen"]}, "'rejected' is the beginning of 'chosen'",
    ),
    "an end within": (pair(chosen="a </s> star"), "which the model reads as"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_with_a_row_is_said_in_a_sentence(name, collator):
    row, says = FAULTS[name]
    good = pair(5)
    with pytest.raises(RowError, match=f"Row 1: .*({says})".replace("The ", "[Tt]he ")) as caught:
        collator([good, row])
    assert "\n" not in str(caught.value)
    found = faults([good, row], collator)
    assert list(found) == [1] and found[1] == caught.value.why


def test_a_row_of_preferences_is_none_to_learn_by_heart(processor):
    with pytest.raises(RowError, match=r"for PreferenceCollator; .*rename_column\('chosen', 'com"):
        vh.collators.AnswerCollator(processor)([pair()])


# --- what only a look at all of them shows --------------------------------------------------------


def test_what_is_good_is_described(collator):
    rows = [pair(seed, *("yes", "no")[:: 1 - 2 * (seed % 2)]) for seed in range(12)]
    found = preflight(rows, collator, progress=False)
    assert found.warnings == [] and len(found.pairs) == 12
    batch = collator(rows[:1])
    assert found.tokens[0] == batch["attention_mask"].sum(1).max()
    assert found.learnt[0] == batch["completion_mask"].sum()
    assert "known of 0 of them" in str(found) and "swapped looks like any other" in str(found)


def test_a_swapped_pair_is_seen_where_the_truth_is_known(collator):
    rows = [pair(0, truth="a star"), pair(1, truth="A ring "), pair(2, truth="a cross"), pair(3)]
    assert list(faults(rows, collator)) == [1]
    assert "its truth is 'A ring '): exchange" in faults(rows, collator)[1]
    del rows[1]
    found = preflight(rows, collator, progress=False)
    assert "known of 2 of them" in str(found)
    assert any("equally good" in warning and "row 1" in warning for warning in found.warnings)


def test_a_judge(collator):
    rows = [pair(0), pair(1), pair(2, "a ring", "a star")]
    assert list(faults(rows, collator, judge=lambda row, text: "star" in text)) == [2]
    assert "known of 3" in str(
        preflight(rows[:2] + [pair(5)], collator, progress=False, judge=lambda row, text: len(text))
    )
    broken = faults(rows, collator, judge=lambda row, text: text[99])
    assert "the judge fails on it (IndexError" in broken[0]
    for value in (float("nan"), None, "1", 1j):
        shown = f"gives no number for it, but {value!r}"
        assert shown in faults(rows, collator, judge=lambda row, text, value=value: value)[2]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"chosen": "Blue.", "rejected": "Red.", "truth": "red"}, "is the worse one"),
        ({"chosen": "3", "rejected": "2", "truth": 2}, "its truth is 2"),
    ],
)
def test_the_truth_counts_as_the_exact_score_reads_it(more, says, collator):
    assert says in faults([pair(**more)], collator)[0]


def test_a_full_stop_makes_no_other_answer(collator):
    rows = [pair(), pair(chosen="A ring.", rejected="a star.")]
    assert "opposite of row 0" in faults(rows, collator)[1]


def test_a_pair_that_differs_in_nothing_to_be_seen_is_told(collator):
    rows = [pair(chosen="caf\u00e9", rejected="cafe\u0301")]
    assert "differ in how their letters are encoded" in str(
        preflight(rows, collator, progress=False)
    )


@pytest.mark.parametrize("row", [None, "x", 3])
def test_what_is_no_row_is_told(row, collator):
    why = faults([pair(), row], collator)[1]
    assert why == f"a row must be a dict of columns, not {type(row).__name__}."
    assert "The columns are none" in faults([{}], collator)[0].replace("the col", "The col")


@pytest.mark.parametrize("options", [{"collator": None}, {"judge": 3}, {"first": "x"}])
def test_options_that_cannot_be_are_told_at_once(options, collator):
    with pytest.raises((TypeError, ValueError), match=f"^{next(iter(options))} must be"):
        preflight([pair()], **{"collator": collator, "progress": False, **options})
    with pytest.raises(ValueError, match="not none"):
        collator(None)


def test_opposite_verdicts_are_named_across_parts_too(collator):
    rows = [pair(0), pair(1), pair(0, "a ring", "a star"), pair(1)]
    assert "the opposite of row 0" in faults(rows, collator)[2]
    parts = [preflight(rows[a:b], collator, progress=False, first=a) for a, b in ((0, 2), (2, 4))]
    whole = parts[0] + parts[1]
    assert [(fault.row, "row 0" in fault.why) for fault in whole.opposed] == [(2, True)]
    assert any("there before" in warning and "row 3" in warning for warning in whole.warnings)


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        ([("yes it is so", "no")] * 49 + [("no", "yes it is so")], "the longer one in 98% of"),
        ([("no", "yes it is so")] * 11, "the shorter one in 100% of the 11"),
        ([("no", "yes")] * 20 + [("yes", "no")] * 2, "'no' is the chosen one in 20 of the 22"),
        ([("A star", "a star")], "differ in case alone"),
        ([("a star.", "a star")], "differ in punctuation or spaces alone"),
        ([("a star", "a star and a ring")], "is the beginning of the other"),
        ([("Well, what is it? A star", "a ring")], "the question repeated within an answer"),
    ],
)
def test_what_would_be_learnt_instead(pairs, says, collator):
    rows = [pair(seed, *answers) for seed, answers in enumerate(pairs)]
    assert any(says in warning for warning in preflight(rows, collator, progress=False).warnings)


def test_a_lost_picture_among_others(collator):
    rows = [pair(0), pair(1, prompt=[{"role": "user", "content": "What is it?"}], images=[])]
    (warning,) = preflight(rows, collator, progress=False).warnings
    assert "1 pair without a picture" in warning and "(row 1)" in warning
    assert preflight(rows[1:], collator, progress=False).warnings == []  # a set without pictures


def test_what_is_too_long_is_refused_and_not_cut(processor):
    short = PreferenceCollator(processor, max_length=70)
    assert "and max_length is 70" in faults([pair()], short)[0]


def test_trls_own_collator_would_cut_in_silence(processor):
    its = DataCollatorForVisionPreference(processor, max_length=70)
    assert not its([pair()])["completion_mask"].any()
    assert "the loss would stay at 0.6931" in faults([pair()], its)[0]
    length = DataCollatorForVisionPreference(processor)([pair()])["input_ids"].shape[1]
    its = DataCollatorForVisionPreference(processor, max_length=length - 1)
    assert "cuts an answer before its end" in faults([pair()], its)[0]
    its = DataCollatorForVisionPreference(processor)
    assert "rejected answer has no end token" in faults([plain(chosen=" a star</s>")], its)[0]
    assert preflight([pair()], its, progress=False).tokens  # and leaves the row as it was


def test_a_template_that_ends_no_answer(processor):
    processor = copy.deepcopy(processor)
    processor.chat_template = vh.prompts.template("llava-1.5-hf")
    found = preflight([pair()], PreferenceCollator(processor), progress=False)
    assert "would not learn to stop" in str(found)
