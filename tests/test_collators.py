"""AnswerCollator: what it labels, against TRL and by hand, and what it refuses."""

import copy
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from PIL import Image
from tokenizers.processors import TemplateProcessing
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

import vlm_helpers as vh
from tests import tiny
from vlm_helpers.collators import AnswerCollator, RowError
from vlm_helpers.collators._spans import tokens

# --- processors -----------------------------------------------------------------------------------


def tokenizer(merges=(), **extra):
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tiny.tokenizer(merges).backend_tokenizer,
        pad_token="<pad>", bos_token="<s>", eos_token="</s>", extra_special_tokens=extra,
    )  # fmt: skip


SQUARE = {"height": 16, "width": 16}


def gemma3(merges=()):
    words = tokenizer(
        merges, image_token="<image_soft_token>", boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )  # fmt: skip
    images = transformers.Gemma3ImageProcessorPil(size=SQUARE)
    return transformers.Gemma3Processor(images, words, image_seq_length=4)


def gemma3_merging():
    """The processor writes two newlines on both sides of a picture, which join those beside it."""
    return gemma3(tiny.MERGES)


def llava_merging():
    images = transformers.CLIPImageProcessorPil(size={"shortest_edge": 16}, crop_size=SQUARE)
    return transformers.LlavaProcessor(
        images, tokenizer(tiny.MERGES, image_token="<image>"), patch_size=4,
        vision_feature_select_strategy="default", num_additional_image_tokens=1,
    )  # fmt: skip


def idefics3():
    words = tokenizer(
        image_token="<image>", fake_image_token="<fake>", global_image_tag="<global-img>",
        end_of_utterance_token="<end_of_utterance>",
    )  # fmt: skip
    images = transformers.Idefics3ImageProcessorPil(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 32}
    )
    return transformers.Idefics3Processor(images, words, image_seq_len=4)


def deepseek_vl():
    images = transformers.DeepseekVLImageProcessorPil(size=SQUARE)
    words = tokenizer(image_token="<image_placeholder>")
    return transformers.DeepseekVLProcessor(images, words, num_image_tokens=9)


def mllama():
    images = transformers.MllamaImageProcessorPil(size=SQUARE, max_image_tiles=2)
    return transformers.MllamaProcessor(images, tokenizer(image_token="<|image|>"))


def built(name):
    def load(folder):
        getattr(tiny, name)(folder)
        return transformers.AutoProcessor.from_pretrained(folder)

    return load


PROCESSORS = {
    **{name: built(name) for name in ("llava", "llava_next", "idefics2", "paligemma")},
    **{f.__name__: lambda _, f=f: f() for f in (gemma3, gemma3_merging, llava_merging,
       idefics3, deepseek_vl, mllama)},
}  # fmt: skip
# PaliGemma's processor takes no text without a picture, and Mllama's writes a beginning of its own:
# TRL, which prepares prompt and completion one by one, cannot do the same there.
WITH_TRL = [name for name in PROCESSORS if name not in ("paligemma", "mllama")]


@pytest.fixture(scope="module", params=list(PROCESSORS))
def any_processor(request, tmp_path_factory):
    return PROCESSORS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module", params=WITH_TRL)
def known_to_trl(request, tmp_path_factory):
    return PROCESSORS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def llava(tmp_path_factory):
    return PROCESSORS["llava"](tmp_path_factory.mktemp("llava"))


def dressed(processor, template, pad=None):
    """A copy of the processor with a template, its pictures marked as it wants, and a pad token."""
    processor = copy.deepcopy(processor)
    processor.chat_template = template.replace("<image>", processor.image_token)
    if pad:
        processor.tokenizer.pad_token = pad
    return processor


PARTS = "{% for p in m.content %}{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}"  # noqa: E501
TRIMMED = PARTS.replace("p.text", "p.text | trim")
# Each with the answer "A star." as it writes it, down to the end token.
TEMPLATES = {
    "vicuna": (
        "{% for m in messages %}{{ m.role | upper }}: " + PARTS
        + "{{ '</s>' if m.role == 'assistant' else ' ' }}{% endfor %}"
        "{{ 'ASSISTANT:' if add_generation_prompt }}",
        " A star.</s>",
    ),
    "chatml": (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n" + PARTS + "</s>\n{% endfor %}"
        "{{ '<|im_start|>assistant\n' if add_generation_prompt }}",
        "A star.</s>",
    ),
    "llama-2, no generation prompt": (
        "{% for m in messages %}{% if m.role == 'user' %}<s>[INST] " + PARTS
        + " [/INST]{% else %} " + PARTS + " </s>{% endif %}{% endfor %}",
        " A star. </s>",
    ),
    "gemma, trimmed": (
        "{% for m in messages %}<|im_start|>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        + TRIMMED + "</s>\n{% endfor %}{{ '<|im_start|>model\n' if add_generation_prompt }}",
        "A star.</s>",
    ),
    "header without generation prompt": (
        "{% for m in messages %}### A {{ m.role }} says: " + PARTS + "</s>{% endfor %}",
        "A star.</s>",
    ),
    "a system text of its own": (
        "Be brief. {% for m in messages %}{{ m.role }}> " + PARTS + "{{ '</s>' if m.role == "
        "'assistant' }}\n{% endfor %}{{ 'assistant> ' if add_generation_prompt }}",
        "A star.</s>",
    ),
    "no end token": (
        "{% for m in messages %}{{ m.role }}: " + PARTS + "{{ '\n' }}{% endfor %}"
        "{{ 'assistant:' if add_generation_prompt }}",
        " A star.\n",
    ),
    "an end only after the last": (
        "{% for m in messages %}{{ m.role }}: " + PARTS + "{{ '\n' }}{% endfor %}"
        "{{ 'assistant:' if add_generation_prompt else '</s>' }}",
        " A star.\n</s>",
    ),
}  # fmt: skip

# --- rows -----------------------------------------------------------------------------------------

WORDS = "a red star is left of two small blue circles and the sign says 42".split()


def picture(width=40, height=30, color=(200, 30, 40)):
    return Image.new("RGB", (width, height), color)


def message(role, text, pictures=0):
    parts = [{"type": "image"}] * pictures + [{"type": "text", "text": text}]
    return {"role": role, "content": parts}


def row(*turns, pictures=1, size=(40, 30)):
    """A conversation of (question, answer) pairs; the pictures stand before the first."""
    messages = []
    for i, (question, answer) in enumerate(turns):
        messages += [message("user", question, 0 if i else pictures), message("assistant", answer)]
    return {"messages": messages, "images": [picture(*size) for _ in range(pictures)]}


ONE = row(("What is it?", "A star."))
LONG = row(("Which colour is it, and what else?", "Red, and a star."), size=(20, 60))
TWO = row(("Which colour?", "Red, and a star."), ("And the shape?", "A star."), size=(20, 60))


def split(conversation):
    """A messages row as prompt and completion."""
    *prompt, completion = conversation["messages"]
    return {"prompt": prompt, "completion": [completion], "images": conversation["images"]}


def learnt(processor, batch):
    return [processor.decode(labels[labels != -100]) for labels in batch["labels"]]


def random_rows(seed, number=4):
    draw = random.Random(seed)

    def words():
        return " ".join(draw.choices(WORDS, k=draw.randint(1, 9)))

    found = []
    for _ in range(number):
        turns = [(words() + "?", words()) for _ in range(draw.randint(1, 4))]
        size = (draw.randint(8, 70), draw.randint(8, 70))
        found.append(row(*turns, pictures=draw.randint(1, 2), size=size))
    return found


# --- against TRL ----------------------------------------------------------------------------------


@pytest.mark.parametrize("pad", [None, "</s>"])
@pytest.mark.parametrize("name", ["vicuna", "chatml", "gemma, trimmed", "a system text of its own"])
def test_prompt_and_completion_are_labelled_as_trl_does(known_to_trl, name, pad):
    processor = dressed(known_to_trl, TEMPLATES[name][0], pad)
    rows = [split(r) for r in (ONE, TWO)]
    ours = AnswerCollator(processor)(rows)
    theirs = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)(
        copy.deepcopy(rows)
    )
    assert set(ours) == set(theirs)
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key


@pytest.mark.parametrize("pad", [None, "</s>"])
def test_messages_are_labelled_as_trl_does_where_the_template_marks_answers(known_to_trl, pad):
    tagged = (
        "{% for m in messages %}{{ m.role }}:{% if m.role == 'assistant' %}"
        "{% generation %} PARTS</s>{% endgeneration %}{% else %} PARTS{% endif %}{% endfor %}"
        "{{ 'assistant:' if add_generation_prompt }}"
    ).replace("PARTS", PARTS)
    if type(known_to_trl).__name__ == "Idefics2Processor":
        pytest.skip("transformers' own mask is off where this processor puts image tokens")
    processor = dressed(known_to_trl, tagged, pad)
    ours = AnswerCollator(processor)([ONE, TWO])
    theirs = DataCollatorForVisionLanguageModeling(processor, assistant_only_loss=True)(
        copy.deepcopy([ONE, TWO])
    )
    assert torch.equal(ours["input_ids"], theirs["input_ids"])
    assert torch.equal(ours["labels"], theirs["labels"])


def test_text_that_joins_what_the_processor_writes():
    """The newline of "user\n" and the two that Gemma's processor writes are one token."""
    processor = dressed(gemma3_merging(), TEMPLATES["chatml"][0])
    talk = row(("\nWhat is it?", "A star."), ("And?", "A  dot."))
    batch = AnswerCollator(processor)([talk])
    three = processor.tokenizer.convert_tokens_to_ids("ĊĊĊ")
    assert (batch["input_ids"] == three).any()
    assert learnt(processor, batch) == ["A star.</s>A  dot.</s>"]
    whole = AnswerCollator(processor, train_on="everything")([talk])
    assert (whole["labels"] != -100).sum() > (batch["labels"] != -100).sum()


def test_an_answer_that_joins_what_the_processor_writes_is_refused():
    bare = "{% for m in messages %}" + PARTS + "{{ '\n' if m.role == 'assistant' }}{% endfor %}"
    processor = dressed(gemma3_merging(), bare)
    talk = row(("What is it?", "A star."), ("And?", "A dot."))
    talk["messages"][2]["content"].insert(0, {"type": "image"})
    talk["images"].append(picture())
    with pytest.raises(RowError, match="processor changes the text"):
        AnswerCollator(processor)([talk])


def test_a_token_over_the_end_of_the_prompt():
    """Apart in prompt and completion, as the model is asked; joined in messages, as with TRL."""
    processor = dressed(llava_merging(), TEMPLATES["a system text of its own"][0])
    collator = AnswerCollator(processor)
    asked = processor(
        text=processor.apply_chat_template(ONE["messages"][:1], add_generation_prompt=True),
        images=picture(), return_tensors="pt",
    )["input_ids"][0]  # fmt: skip
    batch = collator([split(ONE), split(TWO)])
    assert batch["input_ids"][0, : len(asked)].tolist() == asked.tolist()
    assert learnt(processor, batch) == ["A star.</s>\n", "A star.</s>\n"]
    assert batch["attention_mask"][1].all()  # no column more than the longest row needs
    joined = processor.tokenizer.convert_tokens_to_ids("ĠA")
    first = collator([ONE])["labels"]
    assert first[first != -100][0] == joined
    length = collator([split(ONE)])["input_ids"].shape[1]
    assert AnswerCollator(processor, max_length=length)([split(ONE)])["labels"].shape[1] == length


def test_everything_is_what_trl_learns_by_default_but_the_image_tokens(llava):
    processor = dressed(llava, TEMPLATES["chatml"][0])
    ours = AnswerCollator(processor, train_on="everything")([ONE, TWO])["labels"]
    theirs = DataCollatorForVisionLanguageModeling(processor)(copy.deepcopy([ONE, TWO]))["labels"]
    assert torch.equal(ours, theirs.masked_fill(theirs == processor.image_token_id, -100))
    assert (theirs == processor.image_token_id).any()


# --- nothing is seen before it is learnt ----------------------------------------------------------


def gemma3_model(processor):
    text = {**tiny._text("gemma3_text", len(processor.tokenizer)), "num_hidden_layers": 6}
    vision = {**tiny.VISION, "model_type": "siglip_vision_model"}
    config = transformers.Gemma3Config(
        text_config=text, vision_config=vision, mm_tokens_per_image=4,
        image_token_index=processor.tokenizer.image_token_id,
    )  # fmt: skip
    return transformers.AutoModelForImageTextToText.from_config(config).eval()


def models(name, folder):
    """(model, processor) of a family, the processor with a template."""
    template = TEMPLATES["chatml"][0]
    if name == "gemma3":
        processor = dressed(gemma3(), template)
        return gemma3_model(processor), processor
    if hasattr(tiny, name):
        getattr(tiny, name)(folder)
        model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
        return model, dressed(transformers.AutoProcessor.from_pretrained(folder), template)
    built = vh.zoo.build(name)
    built.processor.chat_template = template.replace("<image>", built.family.image_tokens[0])
    return built.model, built.processor


# Of the zoo those whose processor has a chat template and an image token.
IN_ZOO = ["llava-1.5", "llava-next", "deepseek-vl"]


@pytest.mark.parametrize("name", ["llava", "paligemma", "idefics2", "gemma3", *IN_ZOO])
def test_a_token_of_the_answer_changes_nothing_before_it(name, tmp_path):
    model, processor = models(name, tmp_path)
    batch = AnswerCollator(processor)([ONE, LONG])
    other = {**batch, "input_ids": batch["input_ids"].clone()}
    at = [(labels != -100).nonzero().flatten()[-2] for labels in batch["labels"]]
    for i, j in enumerate(at):
        other["input_ids"][i, j] = processor.tokenizer.convert_tokens_to_ids("Z")
    with torch.no_grad():
        before, after = model(**batch).logits, model(**other).logits
    for i, j in enumerate(at):
        assert torch.allclose(before[i, :j], after[i, :j], atol=1e-5)
        assert not torch.allclose(before[i, j], after[i, j], atol=1e-5)


@pytest.mark.parametrize("name", [n for n in vh.zoo.names() if n not in IN_ZOO])
def test_families_without_a_chat_template_of_transformers_are_refused(name):
    processor = vh.zoo.build(name).processor
    processor.chat_template = TEMPLATES["chatml"][0]
    says = "processor .* is needed|processor changes|no place for pictures"
    with pytest.raises((TypeError, ValueError), match=says):
        AnswerCollator(processor)([ONE])


@pytest.fixture(scope="module")
def paligemma(tmp_path_factory):
    processor = PROCESSORS["paligemma"](tmp_path_factory.mktemp("paligemma"))
    return dressed(processor, TEMPLATES["chatml"][0])


def test_paligemma_reads_its_prompt_as_when_it_is_asked(paligemma):
    """At once, down to the newline that its processor adds; then one token after the other."""
    batch = AnswerCollator(paligemma, train_on="last answer")([ONE, TWO, split(LONG)])
    assert learnt(paligemma, batch) == ["A star.</s>", "A star.</s>", "Red, and a star.</s>"]
    assert torch.equal(batch["token_type_ids"] == 1, batch["labels"] != -100)
    for given, ids, labels in zip([ONE, TWO, LONG], batch["input_ids"], batch["labels"]):
        asked = paligemma.apply_chat_template(
            given["messages"][:-1], add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt", processor_kwargs={"images": given["images"]},
        )["input_ids"][0]  # fmt: skip
        assert torch.equal(ids[: (labels != -100).nonzero()[0]], asked)
    everything = AnswerCollator(paligemma, train_on="everything")([TWO])
    (said,) = learnt(paligemma, everything)
    assert said.startswith("Which colour?</s>") and said.endswith("assistant\nA star.</s>")
    assert torch.equal(everything["token_type_ids"] == 1, everything["labels"] != -100)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([row(("What?", "A star."), pictures=0)], "Row 0: PaliGemma's processor takes no text"),
        ([ONE, row(("What?", "A star."), pictures=0)], "Row 1: PaliGemma's processor takes no"),
        ([ONE, TWO], "Row 1: it has 2 answers, and PaliGemma .* set train_on='last answer'"),
    ],
)
def test_what_paligemma_cannot_learn_is_said(paligemma, rows, says):
    with pytest.raises(RowError, match=says):
        AnswerCollator(paligemma)(rows)


# --- what is learnt -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TEMPLATES)
def test_answers_and_their_ends_are_learnt_and_nothing_else(llava, name):
    template, answer = TEMPLATES[name]
    processor = dressed(llava, template, pad="</s>")
    text = learnt(processor, AnswerCollator(processor)([ONE, TWO]))
    first = answer.replace("A star.", "Red, and a star.")
    if name == "an end only after the last":
        first = first.removesuffix("\n</s>")
    assert text == [answer, first + answer]


def test_every_family_of_processors(any_processor):
    processor = dressed(any_processor, TEMPLATES["vicuna"][0], pad="</s>")
    batch = AnswerCollator(processor)([ONE, LONG])
    assert learnt(processor, batch) == [" A star.</s>", " Red, and a star.</s>"]
    assert batch["attention_mask"][0, 0] == 1  # padded on the right
    everything = AnswerCollator(processor, train_on="everything")([ONE, LONG])
    pictures = processor.tokenizer.convert_tokens_to_ids(
        [processor.image_token, processor.tokenizer.image_token]
    )
    assert not torch.isin(everything["labels"], torch.tensor(pictures)).any()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("name", ["vicuna", "chatml", "llama-2, no generation prompt"])
def test_random_conversations(tmp_path_factory, seed, name):
    processor = dressed(PROCESSORS["llava_next"](tmp_path_factory.mktemp("p")), TEMPLATES[name][0])
    rows = random_rows(seed)
    batch = AnswerCollator(processor)(rows)
    shape = TEMPLATES[name][1]
    for given, text in zip(rows, learnt(processor, batch)):
        said = [m["content"][0]["text"] for m in given["messages"] if m["role"] == "assistant"]
        assert text == "".join(shape.replace("A star.", answer) for answer in said)
    last = learnt(processor, AnswerCollator(processor, train_on="last answer")(rows))
    said = [given["messages"][-1]["content"][0]["text"] for given in rows]
    assert last == [shape.replace("A star.", answer) for answer in said]


BARE = (
    "{% for m in messages %}{{ m.role }}: {% if m.role == 'assistant' %}{% generation %}" + PARTS
    + "{% endgeneration %}{% else %}" + PARTS + "{% endif %}{% endfor %}"
    "{{ 'assistant: ' if add_generation_prompt }}"
)  # fmt: skip


@pytest.mark.parametrize("form", [lambda talk: talk, split], ids=["messages", "completion"])
def test_an_answer_that_ends_in_a_character_of_several_tokens(any_processor, form):
    """The template writes nothing after it, so that its last byte is the last thing learnt."""
    processor = dressed(any_processor, BARE)
    for answer in ("Two stars 🌟", "星", "café", "Да", "👩‍🔬", "é"):
        (said,) = learnt(processor, AnswerCollator(processor)([form(row(("What?", answer)))]))
        assert said.removesuffix("</s>") == answer


def test_bytes_of_a_character_in_other_tokenizers():
    """SentencePiece's byte fallback, and a token that holds the end of one and the start of two."""
    words = ["<unk>", *(f"<0x{i:02X}>" for i in range(256)), "▁", *"answer:"]
    backend = tokenizers.Tokenizer(
        tokenizers.models.BPE({w: i for i, w in enumerate(words)}, [], byte_fallback=True,
                              unk_token="<unk>")
    )  # fmt: skip
    backend.normalizer = tokenizers.normalizers.Replace(" ", "▁")
    text = "answer: 星🌟"
    encoding = backend.encode(text)
    assert encoding.tokens[tokens(encoding, (8, 10)).start] == "<0xE6>"
    assert tokens(encoding, (8, 10)) == range(8, 15)
    assert tokens(encoding, (8, 9)) == range(8, 11)
    assert tokens(encoding, (3, 3)) == range(0)


def test_an_answer_that_the_question_and_the_header_contain(llava):
    processor = dressed(llava, TEMPLATES["header without generation prompt"][0])
    batch = AnswerCollator(processor)([row(("A says A?", "A"), ("A", "says"))])
    assert learnt(processor, batch) == ["A</s>says</s>"]


def test_the_pocket_model_learns_as_it_is_asked():
    vlm = vh.load()
    rows = [vh.scenes.sample(seed).messages() for seed in range(3)]
    batch = AnswerCollator(vlm.processor)(rows)
    for given, labels, ids in zip(rows, batch["labels"], batch["input_ids"]):
        asked = vlm.processor.apply_chat_template(
            given["messages"][:1], add_generation_prompt=True, tokenize=True, return_dict=True,
            return_tensors="pt", processor_kwargs={"images": given["images"]},
        )["input_ids"][0]  # fmt: skip
        first = (labels != -100).nonzero()[0].item()
        assert torch.equal(ids[:first], asked)


def test_a_batch_trains_a_model(tmp_path):
    folder = tiny.llava(tmp_path)
    model = transformers.AutoModelForImageTextToText.from_pretrained(folder)
    batch = AnswerCollator(transformers.AutoProcessor.from_pretrained(folder))([ONE, TWO])
    model(**batch).loss.backward()
    assert torch.isfinite(model.lm_head.weight.grad).all()


# --- rows -----------------------------------------------------------------------------------------


def test_rows_are_not_changed_and_can_be_collated_again(llava):
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    for rows in ([ONE, TWO], [split(ONE), split(TWO)]):
        before = copy.deepcopy(rows)
        batches = [AnswerCollator(processor, max_length=60)(rows) for _ in range(2)]
        assert torch.equal(batches[0]["labels"], batches[1]["labels"])
        assert [list(r) for r in rows] == [list(r) for r in before]
        for r, b in zip(rows, before):
            assert {k: v for k, v in r.items() if k != "images"} == {
                k: v for k, v in b.items() if k != "images"
            }
            assert r["images"] == b["images"]


def test_every_form_of_a_row_gives_the_same(llava):
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    data = tiny_png()
    inside = copy.deepcopy(ONE["messages"])
    inside[0]["content"][0] = {"type": "image", "image": picture(), "text": None}
    unmarked = [
        {"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A star."},
    ]  # fmt: skip
    forms = [
        ONE,
        {"messages": ONE["messages"], "image": picture()},
        {"messages": inside},
        {"messages": unmarked, "images": [picture()]},
        {"messages": ONE["messages"], "images": [{"bytes": data, "path": None}]},
        split(ONE),
        {"prompt": "USER: <image>What is it? ASSISTANT:", "completion": " A star.",
         "image": picture()},
    ]  # fmt: skip
    collator = AnswerCollator(processor)
    expected = collator([ONE])
    for form in forms:
        batch = collator([form])
        for key in expected:
            assert torch.equal(batch[key], expected[key])


def tiny_png():
    import io

    data = io.BytesIO()
    picture().save(data, "png")
    return data.getvalue()


def test_rows_without_pictures_stand_beside_rows_with(llava):
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    plain = row(("Who are you?", "A model."), pictures=0)
    del plain["images"]
    several = row(("Which is red?", "Both."), pictures=2)
    batch = AnswerCollator(processor)([plain, several, ONE])
    assert batch["pixel_values"].shape[0] == 3
    assert learnt(processor, batch) == [" A model.</s>", " Both.</s>", " A star.</s>"]
    assert "pixel_values" not in AnswerCollator(processor)([plain])


STARTING = "{{ bos_token }}" + TEMPLATES["vicuna"][0]


def test_every_row_has_one_start_token_whatever_stands_beside_it(llava):
    """Of some rows the template writes it, to others the tokenizer adds it."""
    processor = dressed(llava, STARTING)
    processor.tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", processor.tokenizer.bos_token_id)]
    )
    plain = {"prompt": "USER: <image>What is it? ASSISTANT:", "completion": " A star, or two.",
             "image": picture()}  # fmt: skip
    collator = AnswerCollator(processor)
    for rows in ([plain, ONE], [ONE, plain], [TWO, plain, ONE, split(ONE)], [plain], [ONE]):
        batch = collator(rows)
        assert (batch["input_ids"] == processor.tokenizer.bos_token_id).sum(1).eq(1).all()
        assert batch["attention_mask"].any(0).all()  # no column that no row needs
        for i, one in enumerate(rows):
            alone, length = collator([one]), batch["attention_mask"][i].sum()
            for name in ("input_ids", "labels"):
                assert torch.equal(batch[name][i, :length], alone[name][0])
                assert (batch["labels"][i, length:] == -100).all()


def test_max_length_counts_no_second_start_token(llava):
    processor = dressed(llava, STARTING)
    length = AnswerCollator(processor)([ONE])["labels"].shape[1]
    collator = AnswerCollator(processor, max_length=length, too_long="raise")
    short = {"prompt": "<image>?", "completion": "A star.", "image": picture()}
    assert collator([short, ONE])["labels"].shape == (2, length)


# --- threads --------------------------------------------------------------------------------------


def test_one_thread_at_a_time_makes_tokens(llava, monkeypatch):
    """A tokenizer keeps a call's padding inside, so that two calls at once disturb each other."""
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    at_once, inside = [], threading.Semaphore(0)
    kind = type(processor.tokenizer)
    make = kind._encode_plus

    def slowly(self, *args, **options):
        inside.release()
        at_once.append(inside._value)
        time.sleep(0.002)
        found = make(self, *args, **options)
        inside.acquire()
        return found

    monkeypatch.setattr(kind, "_encode_plus", slowly)
    rows = [ONE, row(("What is it? " * 5, "A star."))]
    wanted = AnswerCollator(processor)(rows)["labels"]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: AnswerCollator(processor)(rows)["labels"], range(8)))
    assert max(at_once) == 1
    assert all(torch.equal(labels, wanted) for labels in found)


# --- too long -------------------------------------------------------------------------------------


def test_whole_turns_are_dropped_from_the_front_and_pictures_stay(llava):
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    long = row(("one " * 9, "first"), ("two " * 9, "second"), ("three?", "third"))
    long["messages"].insert(0, message("system", "Be kind."))
    whole = AnswerCollator(processor)([long, ONE])
    length = whole["attention_mask"].sum(1)[0].item()
    for limit, kept in ((length, 3), (length - 1, 2), (length - 70, 1)):
        batch = AnswerCollator(processor, max_length=limit)([long, ONE])
        assert batch["input_ids"].shape[1] <= limit
        said = [" first</s>", " second</s>", " third</s>"][-kept:]
        assert learnt(processor, batch) == ["".join(said), " A star.</s>"]
        assert (batch["input_ids"][0] == processor.image_token_id).sum() == 16
        assert processor.decode(batch["input_ids"][0]).startswith("SYSTEM: Be kind. USER: <image>")
        assert batch["pixel_values"].shape[0] == 2


def test_kept_turns_keep_their_pictures_where_they_are(llava):
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    messages = []
    for i in range(3):
        messages += [message("user", f"q{i}?", 1), message("assistant", f"a{i}")]
    three = {"messages": messages, "images": [picture(color=(i * 90, 0, 0)) for i in range(3)]}
    whole = AnswerCollator(processor)([three])
    length = whole["input_ids"].shape[1]
    one = "<image>" * 16
    for limit, text in (
        (length - 1, f"USER: {one * 2}q1? ASSISTANT: a1</s>USER: {one}q2? ASSISTANT: a2</s>"),
        (length - 40, f"USER: {one * 3}q2? ASSISTANT: a2</s>"),
    ):
        batch = AnswerCollator(processor, max_length=limit)([three])
        assert processor.decode(batch["input_ids"][0]) == text
        assert torch.equal(batch["pixel_values"], whole["pixel_values"])


@pytest.mark.parametrize(
    ("rows", "options"),
    [
        ([ONE, TWO], {"too_long": "raise", "max_length": 70}),
        ([ONE, row(("What is all this? " * 9, "A star."))], {"max_length": 70}),
        ([ONE, split(row(("What is all this? " * 9, "A star.")))], {"max_length": 70}),
    ],
)
def test_what_cannot_be_shortened_is_refused_by_row(llava, rows, options):
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    with pytest.raises(RowError, match=r"^Row 1: it has \d+ tokens.* max_length is 70") as caught:
        AnswerCollator(processor, **options)(rows)
    assert caught.value.row == 1


@pytest.mark.parametrize("rows", [[], ONE])
def test_a_batch_that_is_none(llava, rows):
    with pytest.raises(ValueError, match="A batch is a list of one row or more, not"):
        AnswerCollator(llava)(rows)


def test_an_empty_column_beside_a_filled_one(llava):
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    batch = AnswerCollator(processor)([{"messages": ONE["messages"], "images": [],
                                        "image": picture()}])  # fmt: skip
    assert learnt(processor, batch) == [" A star.</s>"]


# --- what is refused ------------------------------------------------------------------------------


def changed(**columns):
    return {**copy.deepcopy(ONE), **columns}


def cut_short():
    """A file that is opened and not yet read: what `datasets` gives."""
    import io

    return Image.open(io.BytesIO(tiny_png()[:60]))


def with_message(index, **values):
    messages = copy.deepcopy(TWO["messages"])
    messages[index].update(values)
    return {**TWO, "messages": messages}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (changed(images=[]), "place for a picture in message 1 .* but no picture left"),
        (changed(images=[picture(), picture()]), "2 pictures came with 1 place for them"),
        (changed(images=["missing.png"]), "no picture file 'missing.png'"),
        (
            changed(images=[{"bytes": tiny_png()[:50], "path": "a.png"}]),
            "'a.png' is a damaged or .*: replace",
        ),
        (with_message(1, content=" "), "text in message 2 .*, of the assistant, is empty"),
        (with_message(1, role="user"), "assistant's turn in message 2 .* another of the user"),
        (with_message(0, role="assistant"), "user's turn in message 1|of the assistant"),
        (with_message(2, role="bot"), "role of message 3 .* is 'bot': use 'system', 'user' or"),
        (with_message(2, role="system"), "message 3 .* is of the system"),
        (with_message(2, content=None), "content of message 3 .* must be text or a list of parts"),
        (with_message(2, content=[{"type": "video"}]), "a part of type 'video' in message 3"),
        (with_message(2, content="<image> again"), "the text of message 3 .* stands '<image>'"),
        (with_message(1, content=[{"type": "image"}]), "picture in message 2 .*, of the assistant"),
        ({**TWO, "messages": TWO["messages"][:-1]}, "ends with the user"),
        (changed(messages=[]), "conversation is empty"),
        (changed(messages="What?"), "'messages' must be a list of messages"),
        ({"conversations": [], "images": []}, "LLaVA's own form, make each .'from': 'human'"),
        (
            changed(messages=[{"from": "human", "value": "?"}]),
            "LLaVA's own form in message 1 .*: make",
        ),
        (changed(images=[None]), r"Row 1: picture 1 of 1 is missing \(None\): put it there"),
        (changed(images=[{"bytes": None, "path": None}]), "neither bytes nor a path: replace it"),
        (
            changed(images=[{"bytes": b"", "path": None}]),
            "picture in bytes is empty: replace it",
        ),
        (
            changed(images=[{"bytes": b"text", "path": None}]),
            "bytes is no picture that can be",
        ),
        (
            changed(images=[cut_short()]),
            r"the picture is a damaged .*: replace it",
        ),
        ({"prompt": "a", "images": []}, "columns are 'prompt' and 'images'; needed is"),
        ({"prompt": "<image>a", "completion": " "}, "completion is empty"),
        (
            {"prompt": "a", "completion": "b", "image": picture()},
            "1 picture, and the prompt has",
        ),
        ("a text", "a row must be a dict"),
    ],
)
def test_a_bad_row_is_named_with_its_fault_and_remedy(llava, bad, says):
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    with pytest.raises(RowError, match=says) as caught:
        AnswerCollator(processor)([ONE, bad])
    assert caught.value.row == 1 and str(caught.value).startswith("Row 1: ")


def test_a_row_with_an_id_is_named_by_it(llava):
    processor = dressed(llava, TEMPLATES["vicuna"][0])
    with pytest.raises(RowError, match=r"^Row 0 \(id 'x7'\): "):
        AnswerCollator(processor)([changed(images=[], id="x7")])


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% for m in messages %}{{ m.content[-1].text }}{% endfor %}", "no place for pictures"),
        ("<image>", "no place for answers"),
        ("{% for m in messages %}", "cannot be rendered"),
        (
            "{% for m in messages %}{{ m.role + ': ' + m['content'] }}{% endfor %}",
            r"cannot be rendered with a picture \(TypeError: .*set another, for instance",
        ),
        ("{{ raise_exception('no pictures') }}", "no pictures.*set another, for instance"),
    ],
)
def test_a_template_that_cannot_do_it_is_refused_before_any_row(llava, template, says):
    with pytest.raises(ValueError, match=says):
        AnswerCollator(dressed(llava, template))


def test_a_template_that_changes_answers_is_refused(llava):
    template = TEMPLATES["vicuna"][0].replace("p.text", "p.text[:20]")
    collator = AnswerCollator(dressed(llava, template))
    with pytest.raises(RowError, match="changes the answer in message 2"):
        collator([row(("What?", "Green, and much more than that."))])


def test_processors_that_cannot_do_it_are_refused(llava):
    with pytest.raises(TypeError, match="is a tokenizer, .* pass the processor"):
        AnswerCollator(llava.tokenizer)
    with pytest.raises(TypeError, match="A processor with a tokenizer .* not CLIPImageProcessor"):
        AnswerCollator(llava.image_processor)
    bare = copy.deepcopy(llava)
    bare.chat_template = None
    with pytest.raises(ValueError, match="has no chat template: set"):
        AnswerCollator(bare)
    unpadded = copy.deepcopy(llava)
    unpadded.tokenizer.pad_token = None
    with pytest.raises(ValueError, match="no padding token: set one"):
        AnswerCollator(unpadded)


@pytest.mark.parametrize(
    "options", [{"train_on": "all"}, {"too_long": "cut"}, {"max_length": 0}, {"max_length": 1.5},
                {"max_length": True}],
)  # fmt: skip
def test_options_that_cannot_be_are_refused(llava, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        AnswerCollator(llava, **options)


def test_max_length_is_any_whole_number(llava):
    assert AnswerCollator(llava, max_length=np.int64(500))([ONE])["labels"].shape[0] == 1
