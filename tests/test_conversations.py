"""One reader for every door: what is taken, and what is refused with the same sentence."""

import base64
import copy
import io
import threading

import datasets
import numpy as np
import pandas
import pytest
import transformers
from PIL import Image

import vlm_helpers as vh
from tests import tiny
from tests.test_collators import PROCESSORS, TEMPLATES, dressed
from vlm_helpers import conversations
from vlm_helpers.collators import AnswerCollator, RowError
from vlm_helpers.training import PreflightError, preflight

ANSWER = {"role": "assistant", "content": "A star."}


def picture(color="red"):
    return Image.new("RGB", (20, 20), color)


def user(*parts):
    parts = [{"type": "text", "text": p} if isinstance(p, str) else p for p in parts]
    return {"role": "user", "content": parts}


def image(**more):
    return {"type": "image", **more}


def png(color="red"):
    file = io.BytesIO()
    picture(color).save(file, "png")
    return file.getvalue()


def column(*values):
    """A list as pandas keeps it."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.fixture(scope="module")
def vlm(tmp_path_factory):
    return vh.load(tiny.llava(tmp_path_factory.mktemp("llava")), device="cpu")


@pytest.fixture(scope="module")
def collator(vlm):
    return AnswerCollator(vlm.processor)


@pytest.fixture(scope="module")
def doors(vlm, collator):
    """Every way in, as a function of messages that end with the user, and of images."""

    def row(messages, images):
        return {"messages": [*messages, ANSWER], "images": images}

    return {
        "chat": lambda messages, images: vlm.chat(messages, images, max_new_tokens=1),
        "stream": lambda messages, images: list(vlm.stream(messages, images, max_new_tokens=1)),
        "render": lambda messages, images: vh.prompts.render(messages, "llava-1.5", images=images),
        "collator": lambda messages, images: collator([row(messages, images)]),
        "preflight": lambda messages, images: preflight(
            [row(messages, images)], collator, progress=False
        ),
    }


# --- what every door takes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "images"),
    [
        ([user("What?")], None),
        ([{"role": "user", "content": "What?"}], [picture()]),  # as TRL: before the question
        ([user(image(), "What?")], [picture()]),
        ([user(image(), "What?")], picture()),
        ([user(image(image=picture()), "What?")], None),
        ([user(image(image=png()), "")], None),
        ([user("\n", image(image=picture()), "\n", image(), "Compare.")], [picture()]),
        ([user(image(url="data:image/png;base64," + base64.b64encode(png()).decode()))], None),
        ([user(image(base64=base64.b64encode(png()).decode()))], []),
        ([user({"type": "image_url", "image_url": {"url": png(), "detail": "low"}})], None),
        ([user({"type": "image_url", "image_url": png(), "text": None})], None),
        ([user(image(image={"bytes": png(), "path": None}, text="", index=None))], None),
        ([user(image(index=1), image(index=0), "Which?")], [picture(), picture()]),
        (({"role": "system", "content": "Be brief.", "tool_calls": None}, user("What?")), None),
        (column(user(image(), "What?")), column(picture())),
        ([{"role": "user", "content": np.array(user(image(), "x")["content"])}], (picture(),)),
        ([user("What?"), ANSWER, user(image(), "And this?")], [picture()]),
    ],
)
def test_every_door_takes_it(doors, messages, images):
    for door in doors.values():
        before = copy.deepcopy(messages)
        door(messages, images)
        assert str(before) == str(messages) or any("Image" in str(m) for m in messages)


def test_the_picture_stands_where_it_was_put(vlm, collator):
    red, blue = picture("red"), picture("blue")
    straight = [user(image(image=red), image(image=blue), "Which?")]
    same = [
        ([user(image(), image(), "Which?")], [red, blue]),
        ([user(image(index=0), image(index=1), "Which?")], [red, blue]),
        ([user(image(index=1), image(index=0), "Which?")], [blue, red]),
        ([user(image(image=red), image(), "Which?")], [blue]),
        ([user(image(index=np.int64(1)), image(index=0.0), "Which?")], [blue, red]),
    ]
    expected = collator([{"messages": [*straight, ANSWER]}])
    swapped = collator([{"messages": [*same[0][0], ANSWER], "images": [blue, red]}])
    assert not (swapped["pixel_values"] == expected["pixel_values"]).all()
    for messages, images in same:
        batch = collator([{"messages": [*messages, ANSWER], "images": images}])
        assert (batch["pixel_values"] == expected["pixel_values"]).all()
        assert vlm.chat(messages, images, max_new_tokens=6) == vlm.chat(straight, max_new_tokens=6)


def test_an_index_may_name_a_picture_twice():
    red, blue = picture("red"), picture("blue")
    messages = [user(image(index=1), image(index=0), image(index=1), "Odd one out?")]
    assert conversations.read(messages, [red, blue]).pictures == [blue, red, blue]
    several = [user(image(index=1), "One?"), ANSWER, user(image(index=0), "Other?")]
    assert conversations.read(several, [red, blue]).pictures == [blue, red]


# --- what every door refuses ----------------------------------------------------------------------

CALL = {"type": "function", "function": {"name": "zoom", "arguments": "{}"}}
REFUSED = {
    "empty": ([user(" \n")], None, r"text in message 1 \(messages\[0\]\), of the user, is empty"),
    "no parts": ([user()], None, r"content of message 1 \(messages\[0\]\), of the user, is empty"),
    "empty answer": ([user("a"), {**ANSWER, "content": ""}, user("b")], None, "message 2 .*empty"),
    "empty system": ([{"role": "system", "content": ""}, user("a")], None, "message 1 .*empty"),
    "assistant first": ([ANSWER, user("a")], None, "message 1 .*begins with the assistant"),
    "twice": ([user("a"), user("b")], None, "assistant's turn in message 2 .*another of the user"),
    "late system": ([user("a"), {"role": "system", "content": "x"}, user("b")], None,
                    "system text must come first, but message 2"),
    "assistant's picture": ([user("a"), {**ANSWER, "content": [image(image=png())]}, user("b")],
                            None, "picture in message 2 .*of the assistant"),
    "system's picture": ([{"role": "system", "content": [image(image=png())]}, user("b")],
                         None, "picture in message 1 .*of the system"),
    "role": ([{"role": "tool", "content": "a"}], None, "role of message 1 .*'tool'"),
    "no message": (["a"], None, "no message in message 1 .*not str"),
    "number": ([{"role": "user", "content": 3}], None, "content of message 1 .*not int"),
    "text number": ([user({"type": "text", "text": 3})], None, "text in message 1 .*type int"),
    "no text": ([user({"type": "text", "text": None})], None, "text in message 1 .*NoneType"),
    "bare part": ([{"role": "user", "content": ["a"]}], None, "a part 'a' in message 1"),
    "video": ([user({"type": "video", "video": "a.mp4"})], None, "part of type 'video'"),
    "LLaVA": ([{"from": "human", "value": "a"}], None, "'from' of LLaVA's own form in message 1"),
    "tool_calls": ([user("a"), {**ANSWER, "tool_calls": [CALL]}, user("b")], None,
                   "key 'tool_calls' in message 2"),
    "only tool_calls": ([user("a"), {"role": "assistant", "tool_calls": [CALL]}, user("b")], None,
                        "key 'tool_calls' in message 2"),
    "reasoning": ([user("a"), {**ANSWER, "reasoning_content": "Hm."}, user("b")], None,
                  "key 'reasoning_content' in message 2"),
    "weight": ([user("a"), {**ANSWER, "weight": 0}, user("b")], None, "key 'weight' in message 2"),
    "part's key": ([user(image(image=png(), max_pixels=99), "a")], None,
                   "key 'max_pixels' in a picture in message 1"),
    "two in one": ([user(image(image=png(), text="What?"))], None,
                   "key 'text' in a picture in message 1"),
    "text's key": ([user({"type": "text", "text": "a", "index": 0})], None,
                   "key 'index' in a text in message 1"),
    "too few": ([user(image(), image(), "a")], [png()], "place for a picture in message 1 .*no"),
    "half filled": ([user(image(image=png()), image(), "a")], None,
                    "message 1 .*no picture left for it, while other places have theirs"),
    "too many": ([user(image(), "a")], [png(), png()], "2 pictures came with 1 place for them"),
    "none": ([user(image(), image(), "a")], [png(), None], r"picture 2 of 2 is missing \(None\)"),
    "index too high": ([user(image(index=1), "a")], [png()], "index 1 in message 1"),
    "index below": ([user(image(index=-1), "a")], [png()], "index -1 in message 1"),
    "index as text": ([user(image(index="0"), "a")], [png()], "index '0' in message 1"),
    "index for some": ([user(image(index=0), image(), "a")], [png()] * 2, "without an index in me"),
    "unused": ([user(image(index=0), "a")], [png()] * 2, "no image part has the index 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_every_door_refuses_it_with_the_same_sentence(doors, case):
    messages, images, says = REFUSED[case]
    sentences = set()
    for door in doors.values():
        with pytest.raises((TypeError, ValueError), match=f"(?i){says}") as caught:
            door(messages, images)
        assert "\n" not in str(caught.value) or caught.type is PreflightError
        text = str(caught.value.faults[0] if caught.type is PreflightError else caught.value)
        sentences.add(text.removeprefix("Row 0: ").lower())
    assert len(sentences) == 1


def test_the_sentence_begins_as_it_should(doors):
    with pytest.raises(ValueError, match="^The text in message 1"):
        doors["chat"]([user(" ")], None)
    with pytest.raises(RowError, match="^Row 0: the text in message 1"):
        doors["collator"]([user(" ")], None)


def test_an_address_that_is_empty_is_none(vlm):
    with pytest.raises(ValueError, match="place for a picture in message 1 .*no picture left"):
        vlm.chat([user(image(image_url={"url": ""}), "a")])


def test_a_conversation_ends_where_the_door_wants_it(vlm, collator):
    with pytest.raises(ValueError, match="last message is the assistant's already"):
        vlm.chat([user("a"), ANSWER])
    with pytest.raises(RowError, match="ends with the user, so the last question has no answer"):
        collator([{"messages": [user("a")]}])
    assert vh.prompts.render([user("a"), ANSWER], "llava-1.5").endswith("A star.</s>")


# --- pictures -------------------------------------------------------------------------------------


def test_of_several_pictures_the_bad_one_is_named(vlm, collator):
    bad = [png(), png()[:60], png()]
    messages = [user(image(), image(), image(), "Which?")]
    says = "icture 2 of 3 cannot be opened: The picture in bytes is a damaged"
    with pytest.raises(ValueError, match=f"^P{says}"):
        vlm.chat(messages, bad)
    with pytest.raises(ValueError, match=f"^P{says}"):
        vlm.ask(bad, "Which?")
    with pytest.raises(RowError, match=f"^Row 0: p{says}"):
        collator([{"messages": [*messages, ANSWER], "images": bad}])
    with pytest.raises(FileNotFoundError, match="^Picture 1 of 2 cannot be opened: .*'a.png'"):
        vlm.ask(["a.png", png()], "Which?")


def test_ask_opens_no_more_pictures_than_a_batch_has(vlm, monkeypatch):
    opened, at = [], []

    class File(io.BytesIO):
        def read(self, *size):
            opened.append(self)
            return super().read(*size)

    generate = vlm.model.generate
    monkeypatch.setattr(
        vlm.model, "generate", lambda **o: (at.append(len(opened)), generate(**o))[1]
    )
    pictures = [[File(png())], File(png()), None, File(png()), File(png())]
    vlm.ask(pictures, ["What?"] * 5, batch_size=2, max_new_tokens=1)
    assert at == [2, 3, 4]
    vlm.ask(File(png()), ["What?"] * 5, batch_size=2, max_new_tokens=1)
    assert at[3:] == [5, 5, 5]  # one picture for all is opened once


def test_threads_may_ask_about_one_opened_picture(vlm):
    file = io.BytesIO()
    Image.effect_noise((300, 300), 90).convert("RGB").save(file, "jpeg")
    expected = vlm.ask(file, "What?", max_new_tokens=4)
    shared, found = Image.open(io.BytesIO(file.getvalue())), []

    def work():
        found.append(vlm.ask(shared, "What?", max_new_tokens=4))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 8


# --- tokens of pictures in texts ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("llava", {"<image>", "<border>"}),
        ("paligemma", {"<image>", "<border>"}),
        ("gemma3", {"<start_of_image>", "<image_soft_token>", "<end_of_image>"}),
        ("idefics3", {"<image>", "<fake_token_around_image>", "<fake>", "<global-img>"}),
        ("mllama", {"<|image|>"}),
        ("deepseek_vl", {"<image_placeholder>"}),
    ],
)
def test_a_processors_marks(name, wanted, tmp_path):
    processor = PROCESSORS[name](tmp_path)
    marks = conversations.marks(processor)
    assert set(marks) == wanted | {"<pad>", "<s>", "</s>"}
    assert conversations.image_token(marks) == processor.image_token


@pytest.mark.parametrize("mark", ["<start_of_image>", "<image_soft_token>", "<end_of_image>"])
def test_no_text_holds_a_mark_at_any_door(mark):
    processor = dressed(PROCESSORS["gemma3"](None), TEMPLATES["chatml"][0])
    collator = AnswerCollator(processor)
    text = f"see {mark} here"
    says = f"stands '{mark}', which the model reads as a picture"
    for row in (
        {"messages": [user(text), ANSWER]},
        {"messages": [user("a"), {**ANSWER, "content": text}]},
        {"messages": [{"role": "system", "content": text}, user("a"), ANSWER]},
        {"prompt": [user("a")], "completion": [{**ANSWER, "content": text}]},
        {"prompt": "a", "completion": text},
    ):
        with pytest.raises(RowError, match=says):
            collator([row])
    plain = {"prompt": text, "completion": "b"}
    with pytest.raises(
        RowError, match="0 pictures, and the prompt has" if "start" in mark else says
    ):
        collator([plain])
    text_config = transformers.LlamaConfig(hidden_size=32, num_hidden_layers=1, vocab_size=400)
    config = transformers.LlavaConfig(vision_config=tiny.VISION, text_config=text_config)
    model = transformers.AutoModelForImageTextToText.from_config(config)
    vlm = vh.VLM(model, processor)
    for ask in (
        lambda: vlm.ask(None, text),
        lambda: vlm.ask(None, ["a", text]),
        lambda: vlm.chat([user(text)]),
        lambda: vlm.stream([user("a"), {**ANSWER, "content": text}, user("b")]),
    ):
        with pytest.raises(ValueError, match=says):
            ask()


@pytest.mark.parametrize(
    ("messages", "mark"),
    [
        ([user("a </s> b")], "</s>"),
        ([user("a"), {**ANSWER, "content": "b <s>"}, user("c")], "<s>"),
        ([{"role": "system", "content": "<pad>"}, user("a")], "<pad>"),
        ([user("a </", "s> b")], "</s>"),  # a template joins them
    ],
)
def test_no_text_begins_or_ends_anything_at_any_door(doors, messages, mark):
    for name, door in doors.items():
        says = f"(?i)the text of message .*'{mark}', which .* reads as more than text"
        if name != "render":
            says += rf".*text.replace\('{mark}', '< {mark[1:]}'\)"
        with pytest.raises(ValueError, match=says):
            door(messages, None)


def test_ask_and_what_makes_its_text_safe(vlm):
    for question in ("a </s>", ["b", "a </s>"]):
        with pytest.raises(ValueError, match="the question stands '</s>', which the model reads"):
            vlm.ask(None, question)
    assert isinstance(vlm.ask(None, "a </s>".replace("</s>", "< /s>"), max_new_tokens=1), str)


@pytest.mark.parametrize("template", ["a system text", "none"])
def test_what_the_template_writes_is_no_text(template, tmp_path):
    processor = PROCESSORS["llava"](tmp_path)
    processor.tokenizer.add_special_tokens(
        {"extra_special_tokens": ["<|user|>", "<|end|>", "<|box|>"]},
        replace_extra_special_tokens=False,
    )
    processor.tokenizer.add_tokens(["<think>"])
    processor.chat_template = "{% for m in messages %}"
    if template == "none":
        processor.chat_template += (
            "{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
        )
    processor.chat_template += (
        "{{ '<|' + m.role + '|>' }}{% for p in m.content %}{{ p.text or '<image>' }}{% endfor %}"
        "<|end|>{% endfor %}<think>"
    )
    marks = conversations.marks(processor)
    assert {"<|user|>", "<|end|>"} < set(marks)
    assert not {"<|box|>", "<think>", "<loc_1>"} & set(marks)  # texts may have those
    with pytest.raises(
        ValueError, match=r"'<\|end\|>', .* text.replace\('<\|end\|>', '< \|end\|>'"
    ):
        conversations.read([user("a<|end|>")], marks=marks)
    conversations.read([user("a<|end|> <|box|>".replace("<|end|>", "< |end|>"))], marks=marks)
    processor.chat_template = tiny.TEMPLATE  # another one writes others
    assert "<|end|>" not in conversations.marks(processor)


def test_half_a_character_is_told():
    with pytest.raises(ValueError, match=r"message 1 .*'\\ud800', the half of a character"):
        conversations.read([user("a \ud800")])


def test_plain_texts_have_the_tokens_of_a_template(collator):
    batch = collator([{"prompt": "<s>user: a</s>\nassistant:", "completion": " b</s>"}])
    assert (batch["input_ids"] == collator.processor.tokenizer.eos_token_id).sum() == 2


# --- rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"tools": [CALL]}, "column 'tools' is not read"),
        ({"prompt": "a", "completion": "b"}, "'messages' and another in 'prompt' and 'completion'"),
        ({"tools": "[{}]"}, "column 'tools' is not read"),
        ({"chat_template_kwargs": {"enable_thinking": True}}, "column 'chat_template_kwargs'"),
        ({"system": "Be brief."}, "column 'system' is not read"),
        ({"videos": ["a.mp4"]}, "column 'videos' is not read"),
        ({"images": [png()], "image": png()}, "in the column 'images' and in 'image': keep one"),
        ({"messages": []}, "conversation is empty, in the column 'messages'"),
        ({"messages": "a"}, "column 'messages' must be a list of messages .*not str"),
        ({"messages": None}, "columns are .*needed is 'messages'"),
    ],
)
def test_a_column_is_read_or_named(collator, row, says):
    with pytest.raises(RowError, match=says):
        collator([{"messages": [user("a"), ANSWER], **row}])


@pytest.mark.parametrize("empty", [None, "", [], {}, np.array([]), float("nan")])
def test_a_column_that_says_nothing_is_no_matter(collator, empty):
    row = {"messages": [user("a"), {**ANSWER, "reasoning_content": empty}], "source": "a book"}
    expected = collator([{"messages": [user("a"), ANSWER]}])["input_ids"].tolist()
    row |= dict.fromkeys(("tools", "system", "videos", "chat_template_kwargs"), empty)
    assert collator([{**row, "images": None}])["input_ids"].tolist() == expected


def test_rows_of_other_makers_are_told_what_to_do(collator):
    talk = [user("a"), ANSWER]
    with pytest.raises(RowError, match=r"rename_column\('conversations', 'messages'\)"):
        collator([{"conversations": talk}])
    with pytest.raises(RowError, match="in rows of LLaVA's own form, make each"):
        collator([{"conversations": [{"from": "human", "value": "a"}]}])
    with pytest.raises(
        RowError, match="'skip_prepare_dataset': True}, remove_unused_columns=False"
    ):
        collator([{"input_ids": [1, 2], "labels": [1, 2]}])


def test_places_in_a_row_of_prompt_and_completion(collator):
    row = {"prompt": [user("a")], "completion": [{**ANSWER, "content": " "}]}
    with pytest.raises(RowError, match=r"text in message 2 \(completion\[0\]\)"):
        collator([row])
    with pytest.raises(RowError, match=r"picture in message 1 \(prompt\[0\]\)"):
        collator([{"prompt": [user(image(), "a")], "completion": [ANSWER]}])
    with pytest.raises(RowError, match="conversation is empty, in the column 'prompt'"):
        collator([{"prompt": [], "completion": [ANSWER]}])


def test_rows_as_datasets_and_pandas_keep_them(collator):
    rows = [
        {"messages": [user(image(index=1), image(index=0), "Which?"), ANSWER],
         "images": [picture("red"), picture("blue")]},
        {"messages": [user("What?"), {**ANSWER, "content": [{"type": "text", "text": "A star."}]}],
         "images": []},
    ]  # fmt: skip
    rows[0]["messages"][1] = rows[1]["messages"][1]
    expected = collator(rows)
    table = datasets.Dataset.from_list(rows)
    frame = pandas.DataFrame(rows)
    frame.loc[1, "images"] = np.nan
    for form in (
        list(table),
        table.cast_column("images", datasets.List(datasets.Image(decode=False))).to_list(),
        table.to_pandas().to_dict("records"),
        frame.to_dict("records"),
    ):
        batch = collator(form)
        for key in expected:
            assert (batch[key] == expected[key]).all()
    with pytest.raises(RowError, match=r"a row must be a dict of columns, as row.to_dict\(\)"):
        collator([frame.iloc[0]])


# --- where a text stands --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "texts"),
    [
        ("{{ p.text }}", [" a ", "b", "a"]),
        ("{{ p.text | trim }}", ["a", "b", "a"]),
        ("{{ p.text[:1] }}", None),
        ("{{ p.text | upper }}", [" A ", "B", "A"]),
    ],
)
def test_a_text_is_found_by_its_place(written, texts):
    template = (
        "{% for m in messages %}a {{ m.role }}: {% for p in m.content %}" + written
        + "{% endfor %}\n{% endfor %}"
    )  # fmt: skip
    processor = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tiny.tokenizer().backend_tokenizer
    )

    def render(messages):
        return processor.apply_chat_template(messages, chat_template=template, tokenize=False)

    messages = conversations.read([user(" a ", "b"), {**ANSWER, "content": "a"}]).messages
    whole = render(messages)
    found = conversations.texts_in(messages, whole, render)
    if texts is None:
        assert found is None
    else:
        assert [whole[start:end] for start, end, _ in found] == texts
        assert [number for *_, number in found] == [0, 0, 1]
        assert conversations.texts_in(messages, whole, render, only=1) == found[2:]


def test_a_text_that_is_stripped_as_a_whole():
    text = "{% set text = m.content | map(attribute='text') | join %}{{ text.strip() }}"
    template = "{% for m in messages %}[" + text + "]{% endfor %}"
    processor = tiny.tokenizer()
    messages = conversations.read([user(" a ", " b ")]).messages

    def render(messages):
        return processor.apply_chat_template(messages, chat_template=template, tokenize=False)

    found = conversations.texts_in(messages, "[a  b]", render)
    assert ["[a  b]"[start:end] for start, end, _ in found] == ["a ", " b"]
