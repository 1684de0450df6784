"""Asking: one and many questions, conversations, streams, on tiny models of four real classes."""

import gc
import io
import logging
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image
from transformers import GenerationConfig, LogitsProcessor, StoppingCriteria

from tests import tiny
from vlm_helpers import _threads
from vlm_helpers._locks import tokenizing
from vlm_helpers.loading import VLM, load

# PaliGemma's processor, in transformers, on numpy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
FAMILIES = ["llava", "llava_next", "paligemma", "idefics2"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    loaded = {}

    def get(family):
        if family not in loaded:
            folder = tmp_path_factory.mktemp(family)
            loaded[family] = load(getattr(tiny, family)(folder), device="cpu")
            if family == "paligemma":  # has none of its own
                loaded[family].processor.chat_template = tiny.TEMPLATE.replace(
                    "{{ message['role'] }}: ", ""
                )
        return loaded[family]

    return get


@pytest.fixture
def vlm(models):
    return models("llava")


def picture(seed, size=(16, 16)):
    rng = np.random.default_rng(seed)
    return Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), np.uint8))


@pytest.fixture
def noise(capfd, recwarn):
    """A function that gives all that was printed, warned of and logged since the test began."""
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage())
    transformers = logging.getLogger("transformers")
    transformers.addHandler(handler)
    yield lambda: [*filter(None, capfd.readouterr()), *map(str, recwarn.list), *records]
    transformers.removeHandler(handler)


class Force(LogitsProcessor):
    """Makes the model say `text`, token by token, and then stop."""

    def __init__(self, vlm, text, seconds=0.0):
        self.tokens = vlm.processor.tokenizer(text, add_special_tokens=False)["input_ids"] + [2]
        self.said = 0
        self.seconds = seconds

    def __call__(self, input_ids, scores):
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self.tokens[min(self.said, len(self.tokens) - 1)]] = 0
        self.said += 1
        time.sleep(self.seconds)
        return forced


def user(*parts):
    return {
        "role": "user",
        "content": [
            {"type": "text", "text": part}
            if isinstance(part, str)
            else {"type": "image", "image": part}
            for part in parts
        ],
    }


# ── ask ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("family", FAMILIES)
def test_an_answer_is_what_the_plain_calls_give(models, family):
    vlm = models(family)
    image = picture(0)
    prompt = [user(image, "What is this?")]
    inputs = vlm.processor.apply_chat_template(
        prompt, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    output = vlm.model.generate(**inputs, max_new_tokens=12, do_sample=False)
    new = output[0, inputs["input_ids"].shape[1] :]
    expected = vlm.processor.tokenizer.decode(new, skip_special_tokens=True).strip()
    assert vlm.ask(image, "What is this?", max_new_tokens=12) == expected != ""


@pytest.mark.parametrize("family", FAMILIES)
def test_the_batch_equals_the_singles(models, family):
    vlm = models(family)
    images = [picture(i, size) for i, size in enumerate([(16, 16), (40, 20), (20, 64), (9, 9)])]
    questions = ["?", "A longer question?", "What, in all the world, is this?", "Which colour"]
    singles = [vlm.ask(i, q, max_new_tokens=12) for i, q in zip(images, questions, strict=True)]
    assert len(set(singles)) > 1  # else the comparison would say nothing
    assert vlm.ask(images, questions, max_new_tokens=12) == singles
    assert vlm.ask(images, questions, max_new_tokens=12, batch_size=3) == singles
    assert vlm.ask(images[1], questions, max_new_tokens=12) == [
        vlm.ask(images[1], question, max_new_tokens=12) for question in questions
    ]


@pytest.mark.parametrize("family", ["llava", "llava_next", "idefics2"])
def test_the_picture_and_the_question_both_count(models, family):
    vlm = models(family)
    answers = vlm.ask([picture(i) for i in range(8)], ["What?"] * 8, max_new_tokens=8)
    assert len(set(answers)) > 1
    assert len(set(vlm.ask(picture(0), ["What?", "Who is it?", "No."], max_new_tokens=8))) > 1


@pytest.mark.parametrize("family", ["llava", "llava_next", "idefics2"])
def test_several_pictures_and_none_in_one_batch(models, family):
    vlm = models(family)
    a, b = picture(1), picture(2, (30, 20))
    questions = ["Compare them.", "Hello", "What?"]
    batch = vlm.ask([[a, b], None, a], questions, max_new_tokens=8)
    assert batch == [
        vlm.ask([a, b], questions[0], max_new_tokens=8),
        vlm.ask(None, questions[1], max_new_tokens=8),
        vlm.ask(a, questions[2], max_new_tokens=8),
    ]
    # a list of pictures with one text is one prompt, and their order counts
    assert vlm.ask([a, b], "What?", max_new_tokens=8) != vlm.ask([b, a], "What?", max_new_tokens=8)


def test_pictures_of_every_kind(vlm, tmp_path):
    image = picture(3)
    image.save(tmp_path / "a.png")
    sources = [image, np.asarray(image), tmp_path / "a.png", str(tmp_path / "a.png")]
    assert len(set(vlm.ask(sources, ["What?"] * 4, max_new_tokens=8))) == 1


def test_rows_as_pandas_reads_them(vlm):
    """A row of a Parquet file of the course, arrays and all, and the same row by hand."""
    file = Path(__file__).parents[1] / "data" / "pocket-instruct" / "test.parquet"
    row = pandas.read_parquet(file).iloc[0]
    image = Image.open(io.BytesIO(row["images"][0]["bytes"]))
    text = row["messages"][0]["content"][1]["text"]
    expected = vlm.ask(image, text, max_new_tokens=8)
    assert vlm.ask(picture(0), text, max_new_tokens=8) != expected  # else it would say nothing
    assert vlm.ask(row["images"], text, max_new_tokens=8) == expected
    assert vlm.ask(row["images"][0], text, max_new_tokens=8) == expected
    assert vlm.ask([row["images"]], [text], max_new_tokens=8) == [expected]
    images = np.array([row["images"][0]] * 2, dtype=object)
    assert vlm.ask(images, [text] * 2, max_new_tokens=8) == [expected] * 2
    asked = {"messages": row["messages"][:1], "images": row["images"]}
    assert vlm.chat(**asked, max_new_tokens=8) == expected
    assert "".join(vlm.stream(**asked, max_new_tokens=8)) == expected
    part = {"type": "image", "image": row["images"][0]}
    messages = [{"role": "user", "content": [part, {"type": "text", "text": text}]}]
    assert vlm.chat(messages, max_new_tokens=8) == expected


def test_damaged_rows_get_the_same_sentences(vlm):
    file = io.BytesIO()
    Image.effect_noise((60, 60), 90).save(file, "png")
    row = {"bytes": file.getvalue()[:900], "path": None}
    for call in (
        lambda: vlm.ask(row, "What?"),
        lambda: vlm.chat([user("What?", row)]),
        lambda: vlm.stream([user("What?", row)]),
    ):
        with pytest.raises(ValueError, match="The picture in bytes .*truncated"):
            call()


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (1, 3), (3, 1), (2, 200), (500, 300)])
def test_odd_sizes(models, size):
    for family in ("llava", "llava_next"):
        assert isinstance(models(family).ask(picture(4, size), "What?", max_new_tokens=2), str)


@pytest.mark.parametrize("size", [(128, 128), (40, 20), (16, 90)])
def test_a_picture_larger_than_every_grid_says_what_is_lost(models, size):
    picture = Image.new("RGB", size, "navy")
    scale = max(min(w / size[0], h / size[1]) for w, h in ((32, 16), (16, 32), (32, 32)))
    with pytest.warns(UserWarning, match=f"at {scale:.0%} of its size: print 20 pixels high"):
        models("llava_next").ask(picture, "what?", max_new_tokens=1)


@pytest.mark.parametrize(("family", "size"), [("llava_next", (32, 20)), ("llava", (500, 500))])
def test_pictures_that_fit_and_models_without_tiles_are_not_warned_of(models, family, size, noise):
    models(family).ask(Image.new("RGB", size, "navy"), "what?", max_new_tokens=1)
    assert noise() == []


def test_location_tokens_survive_and_special_ones_do_not(vlm):
    text = "a star <loc_12><loc_5> and <loc_63>"
    answer = vlm.ask(None, "Where?", logits_processor=[Force(vlm, f"<s> {text}\n<pad>")])
    assert answer == text


def test_options_reach_generate(vlm):
    image = picture(5)
    forced = {"logits_processor": [Force(vlm, "abcdefgh")]}
    assert vlm.ask(image, "?", max_new_tokens=3, **forced) == "abc"
    torch.manual_seed(0)
    sample = {"do_sample": True, "temperature": 2.0, "max_new_tokens": 16}
    assert len({vlm.ask(image, "?", **sample) for _ in range(3)}) == 3
    greedy = {vlm.ask(image, "?", max_new_tokens=16) for _ in range(2)}
    assert len(greedy) == 1
    dictionary = vlm.ask(image, "?", return_dict_in_generate=True, max_new_tokens=4)
    assert dictionary == vlm.ask(image, "?", max_new_tokens=4)
    with pytest.raises(ValueError, match="num_return_sequences"):
        vlm.ask(image, "?", num_beams=2, num_return_sequences=2, max_new_tokens=2)


def test_128_new_tokens_unless_told_otherwise(vlm):
    long = "x" * 300
    assert vlm.ask(None, "?", logits_processor=[Force(vlm, long)]) == "x" * 128
    force = [Force(vlm, long)]
    assert vlm.ask(None, "?", logits_processor=force, max_new_tokens=200) == "x" * 200
    # near the end of the context, what is left of it
    question = "y" * 450
    used = 512 - 450 - len("user: \nassistant:")
    assert vlm.ask(None, question, logits_processor=[Force(vlm, long)]) == "x" * used


def test_a_checkpoint_that_samples_is_greedy_here_and_keeps_quiet(vlm, noise):
    generation = vlm.model.generation_config
    before = generation.to_dict()
    try:
        generation.update(do_sample=True, temperature=3.0, top_p=0.9, max_length=600)
        generation.pad_token_id = None
        assert len({vlm.ask(picture(1), "?", max_new_tokens=9) for _ in range(3)}) == 1
        vlm.ask(picture(1), "?", max_length=60)
    finally:
        generation.update(**before)
    assert noise() == []


# What a checkpoint's generation_config.json may say, and `ask` does not heed.
SETTINGS = [
    {"num_beams": 3, "early_stopping": True, "length_penalty": 2.0},
    {"num_beams": 2, "num_return_sequences": 2},
    {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5},
    {"num_return_sequences": 3, "do_sample": True},
    {"repetition_penalty": 3.0, "encoder_repetition_penalty": 2.0},
    {"no_repeat_ngram_size": 1, "encoder_no_repeat_ngram_size": 1},
    {"min_new_tokens": 300, "min_length": 300, "max_new_tokens": 2},
    {"max_time": 1e-9, "exponential_decay_length_penalty": (1, 9.0), "forced_eos_token_id": 5},
    {"penalty_alpha": 0.6, "top_k": 4, "do_sample": True},
    {"dola_layers": "high", "prompt_lookup_num_tokens": 2, "guidance_scale": 3.0},
    {"sequence_bias": [[[70], 50.0]], "token_healing": True, "assistant_early_exit": 1},
    {"return_dict_in_generate": True, "output_scores": True, "output_hidden_states": True},
    {"watermarking_config": {"bias": 20.0}, "renormalize_logits": True, "use_mtp": True},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: next(iter(settings)))
def test_a_checkpoint_may_set_what_it_likes_the_answer_is_the_greedy_one(vlm, settings, noise):
    messages = [user(picture(1), "What?")]
    expected = vlm.ask(picture(1), "What?", max_new_tokens=9)
    own = vlm.model.generation_config
    try:
        vlm.model.generation_config = GenerationConfig.from_dict({**own.to_dict(), **settings})
        assert vlm.ask(picture(1), "What?", max_new_tokens=9) == expected
        assert "".join(vlm.stream(messages, max_new_tokens=9)) == expected
    finally:
        vlm.model.generation_config = own
    assert noise() == []


def test_stop_strings_stop(vlm):
    def answers(**options):
        options["logits_processor"] = [Force(vlm, "one two three")]
        yield vlm.ask(None, "?", **options)
        options["logits_processor"] = [Force(vlm, "one two three")]
        yield "".join(vlm.stream([user("?")], **options))

    assert set(answers(stop_strings=["two"])) == {"one two"}
    own = vlm.model.generation_config
    assert set(answers(generation_config=GenerationConfig(stop_strings="tw"))) == {"one tw"}
    try:
        own.stop_strings = ["two"]
        assert set(answers()) == {"one two"}
        assert set(answers(stop_strings=None)) == {"one two three"}
    finally:
        own.stop_strings = None


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_model_that_computes_no_numbers_says_so(tmp_path, number):
    vlm = load(tiny.llava(tmp_path), device="cpu")
    with torch.no_grad():
        vlm.model.lm_head.weight[7] = number
    with pytest.raises(FloatingPointError, match="NaN or infinity .* damaged.*float32"):
        vlm.ask(picture(0), "What?")
    with pytest.raises(FloatingPointError, match="NaN or infinity"):
        list(vlm.stream([user(picture(0), "What?")]))


def test_nothing_is_printed_and_no_state_is_left(vlm, noise):
    tokenizer = vlm.processor.tokenizer
    before = (tokenizer.padding_side, tokenizer.truncation_side, vlm.model.training)
    vlm.ask(picture(0), ["One?", "Another one?"], max_new_tokens=4)
    vlm.chat([user(picture(0), "One?")], max_new_tokens=4)
    assert (tokenizer.padding_side, tokenizer.truncation_side, vlm.model.training) == before
    assert noise() == []


def test_a_model_in_training_answers_without_dropout_and_goes_on_training(vlm):
    expected = vlm.ask(picture(0), "What?", max_new_tokens=8)
    frozen = vlm.model.model.vision_tower
    try:
        vlm.model.train()
        frozen.eval()
        vlm.model.model.language_model.layers[0].self_attn.attention_dropout = 0.9
        assert [vlm.ask(picture(0), "What?", max_new_tokens=8) for _ in range(3)] == [expected] * 3
        assert vlm.model.training and not frozen.training
        assert vlm.model.model.language_model.layers[0].self_attn.training
    finally:
        vlm.model.model.language_model.layers[0].self_attn.attention_dropout = 0.0
        vlm.model.eval()


def test_one_answer_that_is_ready_does_not_bring_dropout_into_another(vlm):
    """Two threads ask a model in training; the first is done while the second is being answered."""
    begun, done, seen = threading.Event(), threading.Event(), []

    class Wait(Force):
        def __call__(self, input_ids, scores):
            begun.set()
            done.wait(60)
            seen.append(vlm.model.training)
            return super().__call__(input_ids, scores)

    slow = threading.Thread(
        target=vlm.ask, args=(None, "?"), kwargs={"logits_processor": [Wait(vlm, "abc")]}
    )
    try:
        vlm.model.train()
        slow.start()
        assert begun.wait(60)
        vlm.ask(None, "Quick?", max_new_tokens=1)
        vlm.model.train()  # a trainer goes on
        vlm.ask(None, "Quick?", max_new_tokens=1)
        done.set()
        slow.join()
        assert seen and not any(seen)
        assert vlm.model.training and vlm.model.lm_head.training
    finally:
        done.set()
        vlm.model.eval()


def test_a_tokenizer_is_used_by_one_thread_at_a_time(vlm, monkeypatch):
    lock, calls = tokenizing(vlm.processor), []
    tokenizer = type(vlm.processor.tokenizer)
    for owner, name in (
        (type(vlm.processor), "__call__"), (tokenizer, "decode"), (tokenizer, "batch_decode"),
    ):  # fmt: skip
        plain = getattr(owner, name)

        def held(*args, plain=plain, name=name, **options):
            calls.append(name)
            assert lock._is_owned()
            return plain(*args, **options)

        monkeypatch.setattr(owner, name, held)
    VLM(vlm.model, vlm.processor).ask(picture(0), ["What?", "Who?"], max_new_tokens=2)
    list(vlm.stream([user("?")], max_new_tokens=3))
    assert set(calls) == {"__call__", "decode", "batch_decode"}


def test_where_torch_came_first_small_models_answer_on_one_thread(vlm, monkeypatch):
    counts = []

    class Count(Force):
        def __call__(self, input_ids, scores):
            counts.append(torch.get_num_threads())
            return super().__call__(input_ids, scores)

    def threads():
        counts.clear()
        vlm.ask(None, "?", logits_processor=[Count(vlm, "ab")])
        list(vlm.stream([user("?")], logits_processor=[Count(vlm, "ab")]))
        return set(counts)

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        monkeypatch.setattr(_threads, "spinning", False)
        assert threads() == {3}
        monkeypatch.setattr(_threads, "spinning", True)
        assert threads() == {1} and torch.get_num_threads() == 3
        monkeypatch.setattr(_threads, "SMALL", 1000)
        assert threads() == {3}
    finally:
        torch.set_num_threads(before)


def test_threads_may_share_a_model(vlm):
    questions = [f"Question {'?' * i}" for i in range(12)]
    expected = [vlm.ask(picture(i), q, max_new_tokens=6) for i, q in enumerate(questions)]
    answers, failures = {}, []

    def work(i):
        try:
            for _ in range(3):
                answers[i] = vlm.ask(picture(i), questions[i], max_new_tokens=6)
                vlm.ask(picture(i), [questions[i], "x"], max_new_tokens=2)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and [answers[i] for i in range(12)] == expected


@pytest.mark.parametrize(
    "images, question, kind, says",
    [
        (picture(0), "", ValueError, "empty"),
        (picture(0), ["What?", "  \n"], ValueError, "empty"),
        (picture(0), None, TypeError, "must be text"),
        ("What?", picture(0), TypeError, r"ask\(picture, question\)"),
        (picture(0), ["What?", 3], TypeError, "must be text, not int"),
        ([picture(0)] * 2, ["What?"] * 3, ValueError, "3 questions .* 2 pictures"),
        ([picture(0)], ["What?"] * 3, ValueError, "not in a list, for all"),
        ([picture(0), 7], ["a", "b"], TypeError, "PIL image"),
        (7, "What?", TypeError, "PIL image"),
        ("missing.png", "What?", FileNotFoundError, "missing.png"),
        (
            picture(0),
            "What is <image>?",
            ValueError,
            "question stands '<image>', which",
        ),
        (picture(0), "x" * 600, ValueError, r"6\d\d tokens long, .* reads 512"),
        (None, "x" * 512, ValueError, "tokens long"),
    ],
)
def test_bad_questions(vlm, images, question, kind, says):
    with pytest.raises(kind, match=says) as error:
        vlm.ask(images, question)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", ["5", 0, -1, 2.5, True, [5]])
def test_bad_numbers_of_tokens(vlm, number):
    for call in (vlm.ask, lambda _, text, **options: vlm.stream([user(text)], **options)):
        with pytest.raises(ValueError, match="max_new_tokens must be a whole number from 1 up"):
            call(None, "What?", max_new_tokens=number)
        with pytest.raises(ValueError, match="num_beams must be a whole number from 1 up"):
            call(None, "What?", num_beams=number)


def test_options_of_sampling_need_sampling(vlm):
    for option in ({"temperature": 0.5}, {"top_p": 0.9}, {"top_k": 5}, {"min_p": 0.1}):
        (name,) = option
        with pytest.raises(ValueError, match=f"^{name}=.* is greedy: add do_sample=True"):
            vlm.ask(None, "What?", **option)
        with pytest.raises(ValueError, match=f"^{name}=.* is greedy"):
            vlm.stream([user("What?")], **option)
        for sample in (True, False):
            assert vlm.ask(None, "?", do_sample=sample, max_new_tokens=np.int64(2), **option)
    assert vlm.ask(None, "?", temperature=None, max_new_tokens=2)
    own = GenerationConfig(do_sample=True, max_new_tokens=2, pad_token_id=0)
    assert isinstance(vlm.ask(None, "?", generation_config=own, temperature=0.5), str)


def test_bad_batch_sizes(vlm):
    for size in (0, -1, 1.5, None):
        with pytest.raises(ValueError, match="batch_size"):
            vlm.ask(None, ["What?"], batch_size=size)


def test_no_questions_no_answers(vlm):
    assert vlm.ask(None, []) == vlm.ask([], []) == vlm.ask(picture(0), []) == []


def test_a_checkpoint_without_a_template_says_how_to_set_one(tmp_path):
    vlm = load(tiny.paligemma(tmp_path), device="cpu")
    with pytest.raises(ValueError, match=r"no chat template.*vlm\.processor\.chat_template"):
        vlm.ask(picture(0), "What?")
    vlm.processor.chat_template = tiny.TEMPLATE
    assert isinstance(vlm.ask(picture(0), "What?", max_new_tokens=2), str)
    with pytest.raises(ValueError, match="cannot take this prompt"):
        vlm.ask(None, "What?")  # PaliGemma wants a picture


def test_a_template_that_refuses(vlm):
    template = vlm.processor.chat_template
    try:
        vlm.processor.chat_template = "{{ raise_exception('roles must alternate') }}"
        with pytest.raises(ValueError, match="refuses this conversation: roles must alternate"):
            vlm.ask(picture(0), "What?")
        vlm.processor.chat_template = "no place for anything"
        with pytest.raises(ValueError, match="cannot take this prompt"):
            vlm.ask(picture(0), "What?")
    finally:
        vlm.processor.chat_template = template


# ── chat ─────────────────────────────────────────────────────────────────────────────────────────


def test_chat_takes_the_standard_form(vlm, tmp_path):
    image = picture(0)
    image.save(tmp_path / "a.png")
    asked = vlm.ask(image, "What?", max_new_tokens=8)
    text = {"type": "text", "text": "What?"}
    for part in (
        {"type": "image", "image": image},
        {"type": "image", "image": str(tmp_path / "a.png")},
        {"type": "image", "path": tmp_path / "a.png"},
        {"type": "image_url", "image_url": {"url": str(tmp_path / "a.png")}},
        {"type": "image", "image": None, "path": tmp_path / "a.png"},  # as Arrow has it
    ):
        messages = [{"role": "user", "content": [part, {**text, "image": None}]}]
        assert vlm.chat(messages, max_new_tokens=8) == asked
    for part in ({"type": "image"}, {"type": "image", "image": None, "text": None}):
        row = {"messages": [{"role": "user", "content": [part, text]}], "images": [image]}
        assert vlm.chat(**row, max_new_tokens=8) == asked


def test_chat_reads_every_turn_and_changes_none(vlm):
    image = picture(0)
    messages = [{"role": "system", "content": "Be brief."}, user(image, "What?")]
    first = vlm.chat(messages, max_new_tokens=6)
    messages += [{"role": "assistant", "content": first}, {"role": "user", "content": "And now?"}]
    copy = [dict(message) for message in messages]
    second = vlm.chat(messages, max_new_tokens=6)
    assert messages == copy
    assert second == vlm.chat(messages, max_new_tokens=6)
    assert second != vlm.chat([user(image, "And now?")], max_new_tokens=6)
    other = [messages[0], user(picture(9), "What?"), *messages[2:]]
    assert second != vlm.chat(other, max_new_tokens=6)


@pytest.mark.parametrize(
    "messages, images, says",
    [
        ("Hello", None, "list of messages"),
        ([], None, "conversation is empty"),
        (["Hello"], None, r"no message in message 1 \(messages\[0\]\): it must be a dict"),
        ([[{"role": "user", "content": "Hello"}]], None, "message 1 .*not list"),
        ([{"content": "Hello"}], None, "role of message 1 .* is None"),
        ([{"role": "user"}], None, "content of message 1"),
        ([{"role": "user", "content": "  "}], None, "empty"),
        ([{"role": "user", "content": []}], None, "empty"),
        ([{"role": "user", "content": ["Hello"]}], None, "a part 'Hello' in message 1"),
        ([{"role": "user", "content": [{"type": "video", "video": "x"}]}], None, "of type 'video'"),
        ([{"role": "user", "content": [{"type": "image"}]}], None, "place for a picture"),
        ([user(picture(1), "Hello")], [picture(0)], "1 picture .* 0 places"),
        ([user("Hello"), {"role": "assistant", "content": "Hi"}], None, "last message"),
        ([{"role": "wizard", "content": "Hi"}], None, "is 'wizard': use 'system', 'user' or 'ass"),
        ([{"role": "User", "content": "Hi"}], None, "role of message 1 .* is 'User'"),
    ],
)
def test_bad_conversations(vlm, messages, images, says):
    for call in (vlm.chat, vlm.stream):  # stream says it at once, not at the first piece
        with pytest.raises((TypeError, ValueError), match=says):
            call(messages, images)


# ── stream ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("family", FAMILIES)
def test_the_pieces_joined_are_the_reply(models, family):
    vlm = models(family)
    messages = [user(picture(0), "What?")]
    reply = vlm.chat(messages, max_new_tokens=24)
    assert "".join(vlm.stream(messages, max_new_tokens=24)) == reply


def test_pieces_come_word_by_word_without_white_space_at_the_ends(vlm):
    text = " \n A red star\n and <loc_3><loc_4> a  blue one. \n "
    pieces = list(vlm.stream([user("?")], logits_processor=[Force(vlm, text)]))
    assert "".join(pieces) == text.strip()
    assert len(pieces) > 5 and all(pieces)


def test_the_first_piece_comes_before_the_last_is_made(vlm):
    force = Force(vlm, "one two three four five six seven", seconds=0.01)
    stream = vlm.stream([user("?")], logits_processor=[force])
    assert force.said == 0  # nothing runs before it is asked for
    assert next(stream) == "one"
    assert force.said < len(force.tokens) - 5
    assert "".join(stream) == " two three four five six seven"


def generating():
    return [thread for thread in threading.enumerate() if thread.name == "vlm.stream"]


@pytest.mark.parametrize("way", ["close", "drop", "raise"])
def test_a_stream_that_is_left_stops_the_model(vlm, way):
    force = Force(vlm, "word " * 60, seconds=0.005)
    stream = vlm.stream([user("?")], logits_processor=[force], max_new_tokens=300)
    next(stream)
    if way == "close":
        stream.close()
    elif way == "drop":
        del stream
        gc.collect()
    else:
        with pytest.raises(KeyError):
            stream.throw(KeyError("stop"))
    said = force.said
    time.sleep(0.05)
    assert force.said == said < 100 and not generating()


def test_what_fails_in_the_thread_reaches_the_caller(vlm):
    class Fail(Force):
        def __call__(self, input_ids, scores):
            if self.said == 9:
                raise RuntimeError("the model broke")
            return super().__call__(input_ids, scores)

    stream = vlm.stream([user("?")], logits_processor=[Fail(vlm, "one two three four five")])
    pieces = []
    with pytest.raises(RuntimeError, match="the model broke"):
        for piece in stream:
            pieces.append(piece)
    assert pieces[0] == "one" and not generating()
    with pytest.raises(ValueError, match="beam"):
        list(vlm.stream([user("?")], num_beams=2))


def test_the_callers_own_stopping_criteria_count(vlm):
    class AfterFour(StoppingCriteria):
        calls = 0

        def __call__(self, input_ids, scores, **kwargs):
            self.calls += 1
            return torch.full((len(input_ids),), self.calls >= 4)

    options = {"logits_processor": [Force(vlm, "abcdefgh")]}
    assert "".join(vlm.stream([user("?")], stopping_criteria=[AfterFour()], **options)) == "abcd"


# ── VLM of what is at hand ───────────────────────────────────────────────────────────────────────


def test_a_model_and_a_processor_are_enough(vlm):
    wrapped = VLM(vlm.model, vlm.processor)
    assert wrapped.ask(picture(0), "?", max_new_tokens=5) == vlm.ask(
        picture(0), "?", max_new_tokens=5
    )
    card = wrapped.card
    assert (card.model_type, card.image_tokens, card.context_length) == ("llava", 16, 512)
    assert card.parameters == sum(p.numel() for p in vlm.model.parameters())
    assert wrapped.device == torch.device("cpu")
    assert "llava" in repr(wrapped) and "cpu" in repr(wrapped)


def test_image_tokens_are_those_of_the_prompt(models):
    for family, expected in (("llava", 16), ("llava_next", 36), ("paligemma", 16), ("idefics2", 4)):
        vlm = models(family)
        assert vlm.card.image_tokens == expected
        inputs = vlm._prepare([[user(picture(0, vlm.card.image_size), "?")]])
        assert int((inputs["input_ids"] == tiny.IMAGE_ID).sum()) == expected


def test_one_answer_costs_the_work_of_generate_and_no_more(vlm, monkeypatch):
    """The picture is prepared once and seen once; the decoder runs once for each new token."""
    runs = Counter()

    def count(name):
        return lambda *_: runs.update([name])

    images = type(vlm.processor.image_processor)
    prepare = images.preprocess
    monkeypatch.setattr(
        images, "preprocess", lambda *a, **k: (runs.update(["prepared"]), prepare(*a, **k))[1]
    )
    parts = {"seen": vlm.model.model.vision_tower, "decoded": vlm.model.model.language_model}
    hooks = [part.register_forward_pre_hook(count(name)) for name, part in parts.items()]
    vlm.ask(picture(0, (384, 384)), "What is this?", min_new_tokens=4, max_new_tokens=4)
    for hook in hooks:
        hook.remove()
    assert runs == {"prepared": 1, "seen": 1, "decoded": 4}
