"""Prompt templates: character for character what the models' own code writes, and nothing else."""

import copy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoProcessor

from tests import tiny
from vlm_helpers import prompts

QUESTION = "What is shown in this image?"
NAMES = list(prompts.families())
CHATS = [name for name in NAMES if prompts.get(name).conversation == "turns"]
VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. "
)
YI = (
    "This is a chat between an inquisitive human and an AI assistant. Assume the role of the AI "
    "assistant. Read all the images carefully, and respond to the human's questions with "
    "informative, helpful, detailed and polite answers. "
    "这是一个好奇的人类和一个人工智能助手之间的对话。假设你扮演这个AI助手的角色。"
    "仔细阅读所有的图像，并对人类的问题做出信息丰富、有帮助、详细的和礼貌的回答。"
)


def user(text, pictures=1):
    parts = [{"type": "image"}] * pictures + [{"type": "text", "text": text}]
    return {"role": "user", "content": parts}


def assistant(text):
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


# What the published code renders for one question about one picture.
PUBLISHED = {
    # haotian-liu/LLaVA, llava/conversation.py: vicuna_v1, mistral_instruct, chatml_direct
    "llava-1.5": f"{VICUNA}USER: <image>\n{QUESTION} ASSISTANT:",
    "llava-1.6-vicuna": f"{VICUNA}USER: <image>\n{QUESTION} ASSISTANT:",
    "llava-1.6-mistral": f"[INST] <image>\n{QUESTION} [/INST]",
    "llava-1.6-34b": "<|im_start|>system\nAnswer the questions.<|im_end|><|im_start|>user\n"
    f"<image>\n{QUESTION}<|im_end|><|im_start|>assistant\n",
    # deepseek-ai/DeepSeek-VL, deepseek_vl/utils/conversation.py: deepseek
    "deepseek-vl-chat": f"User: <image_placeholder>{QUESTION}\n\nAssistant:",
    # 01-ai/Yi, VL/llava/conversation.py: mm_default
    "yi-vl": f"{YI}\n\n### Human: <image_placeholder>\n{QUESTION}\n### Assistant:",
    # THUDM/CogVLM, utils/utils/language.py: base, chat, vqa
    "cogvlm-base": f"<EOI>{QUESTION}",
    "cogvlm-chat": f"<EOI> [INST] {QUESTION} [/INST] ",
    "cogvlm-vqa": f"<EOI>Question: {QUESTION} Short answer:",
    # deepseek-ai/DeepSeek-VL2, processing_deepseek_vl_v2.py: format_messages_v2
    "deepseek-vl2": f"<|User|>: <image>\n{QUESTION}\n\n<|Assistant|>:",
    # QwenLM/Qwen-VL, README.md and finetune.py
    "qwen-vl": f"<img>PATH_OR_URL</img>{QUESTION}",
    "qwen-vl-chat": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    f"Picture 1: <img>PATH_OR_URL</img>\n{QUESTION}<|im_end|>\n<|im_start|>assistant\n",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_one_question_reads_as_published(name):
    assert prompts.render([user(QUESTION)], name, add_generation_prompt=True) == PUBLISHED[name]


# --- the algorithms of the published code, written down again -------------------------------------


def llava_two(system, turns, open_end):
    """SeparatorStyle.TWO of LLaVA: a space after a question, </s> after an answer."""
    text = (f"{system} " if system is not None else VICUNA) + "".join(
        f"{role}: {words}{end}"
        for (words, (role, end)) in zip(turns, [("USER", " "), ("ASSISTANT", "</s>")] * 9)
    )
    return text + ("ASSISTANT:" if open_end else "")


def llava_mistral(system, turns, open_end):
    text = ""
    for i, words in enumerate(turns):
        if i == 0 and system:
            words = f"<<SYS>>\n{system}\n<</SYS>>\n\n{words}"
        text += f" {words} </s>" if i % 2 else f"[INST] {words} [/INST]"
    return text


def llava_chatml(system, turns, open_end):
    roles = ["<|im_start|>user\n", "<|im_start|>assistant\n"]
    text = f"<|im_start|>system\n{system or 'Answer the questions.'}<|im_end|>"
    text += "".join(f"{roles[i % 2]}{words}<|im_end|>" for i, words in enumerate(turns))
    return text + (roles[1] if open_end else "")


def deepseek(system, turns, open_end):
    text = f"{system}\n\n" if system else ""
    for i, words in enumerate(turns):
        text += f"Assistant: {words}<｜end▁of▁sentence｜>" if i % 2 else f"User: {words}\n\n"
    return text + ("Assistant:" if open_end else "")


def deepseek_2(system, turns, open_end):
    """Each question with the beginning of its answer, each answer as it is, then joined."""
    text = system or ""
    for i, words in enumerate(turns):
        text += f"{words}<｜end▁of▁sentence｜>" if i % 2 else f"<|User|>: {words}\n\n<|Assistant|>:"
    return text


def yi(system, turns, open_end):
    text = f"{system or YI}\n\n### "
    for i, words in enumerate(turns):
        text += f"{'Assistant' if i % 2 else 'Human'}: {words}\n### "
    return text + ("Assistant:" if open_end else "")


def qwen(system, turns, open_end):
    roles = ["user", "assistant"]
    text = f"<|im_start|>system\n{system or 'You are a helpful assistant.'}<|im_end|>\n"
    text += "".join(
        f"<|im_start|>{roles[i % 2]}\n{words}<|im_end|>\n" for i, words in enumerate(turns)
    )
    return text + ("<|im_start|>assistant\n" if open_end else "")


ORACLES = {
    "llava-1.5": (llava_two, "<image>\n"),
    "llava-1.6-vicuna": (llava_two, "<image>\n"),
    "llava-1.6-mistral": (llava_mistral, "<image>\n"),
    "llava-1.6-34b": (llava_chatml, "<image>\n"),
    "deepseek-vl-chat": (deepseek, "<image_placeholder>"),
    "deepseek-vl2": (deepseek_2, "<image>\n"),
    "yi-vl": (yi, "<image_placeholder>\n"),
    "qwen-vl-chat": (qwen, "Picture 1: <img>PATH_OR_URL</img>\n"),
}
WORDS = st.text("abc XYZ.?\n:é猫", min_size=1, max_size=20).map(str.strip).filter(bool)


@pytest.mark.parametrize("name", ORACLES)
@settings(max_examples=40)
@given(turns=st.lists(WORDS, min_size=1, max_size=6), system=st.none() | WORDS, seen=st.booleans())
def test_any_conversation_reads_as_the_published_code_writes_it(name, turns, system, seen):
    oracle, marker = ORACLES[name]
    messages = [assistant(t) if i % 2 else user(t, 0) for i, t in enumerate(turns)]
    written = list(turns)
    if seen:
        messages[0] = user(turns[0])
        written[0] = marker + turns[0]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    open_end = len(turns) % 2 == 1
    got = prompts.render(messages, name, add_generation_prompt=open_end)
    assert got == oracle(system, written, open_end)


def test_notes_say_what_one_cannot_see():
    for name in ("gemma-3", "idefics3"):  # their templates write the start token
        rendered = prompts.render([user(QUESTION)], name)
        facts = prompts.get(name)
        assert rendered.startswith(facts.bos) and "add_special_tokens=False" in facts.notes
    assert "llava-hf" in prompts.get("llava-1.6-mistral").notes


def test_cogvlm_chat_keeps_its_history_and_base_and_vqa_do_not():
    talk = [user("Who?"), assistant("A cat."), user("Where?", 0)]
    chat = prompts.render(talk, "cogvlm-chat", add_generation_prompt=True)
    assert chat == "<EOI> [INST] Who? [/INST] A cat. [INST] Where? [/INST] "
    assert prompts.render(talk, "cogvlm-base") == "<EOI>Where?"
    assert prompts.render(talk, "cogvlm-vqa") == "<EOI>Question: Where? Short answer:"


def test_pictures_of_later_turns_and_several_at_once():
    talk = [user("One?", 2), assistant("Yes."), user("And this?")]
    qwen_text = prompts.render(talk, "qwen-vl-chat")
    assert [f"Picture {i}: <img>" in qwen_text for i in (1, 2, 3, 4)] == [True, True, True, False]
    assert prompts.render(talk, "llava-1.5").count("<image>\n") == 3
    named = [{"type": "image", "image": "a.jpg"}, {"type": "text", "text": "Hm?"}]
    text = prompts.render([{"role": "user", "content": named}], "qwen-vl")
    assert text == "<img>a.jpg</img>Hm?"
    paths = [Path("b.jpg"), "c.jpg"]
    text = prompts.render([user("Hm?", 2)], "qwen-vl-chat", images=paths)
    assert "user\nPicture 1: <img>b.jpg</img>\nPicture 2: <img>c.jpg</img>\nHm?<|im" in text
    text = prompts.render([user("Hm?", 2)], "qwen-vl", images=paths)
    assert text == "<img>b.jpg</img><img>c.jpg</img>Hm?"


def test_the_articles_template_differs_from_llavas_own_in_two_places():
    own = prompts.render([user(QUESTION)], "llava-1.5", add_generation_prompt=True)
    article = prompts.render([user(QUESTION)], "llava-article", add_generation_prompt=True)
    assert article == own.replace("<image>\n", "<image>") + " "


def test_pocket_llava_reads_as_its_own_file_does():
    from vlm_helpers.loading import pocket_folder

    processor = AutoProcessor.from_pretrained(pocket_folder("pocket-llava"))
    talk = [user("What?"), assistant("A star."), user("Where?", 0)]
    for open_end in (False, True):
        assert prompts.render(
            talk, "pocket-llava", add_generation_prompt=open_end
        ) == processor.apply_chat_template(talk, add_generation_prompt=open_end)


# --- every family ---------------------------------------------------------------------------------


def short_talk(name):
    """The longest of a question, an answer and another question that the family takes."""
    most = {"one": 2, "prompt": 1}.get(prompts.get(name).conversation, 3)
    return [user("What?"), assistant("A star."), user("Where?", 0)][:most]


@pytest.mark.parametrize("name", NAMES)
def test_pieces_joined_are_the_prompt(name):
    talk = short_talk(name)
    found = prompts.pieces(talk, name, add_generation_prompt=True)
    assert "".join(text for _, text in found) == prompts.render(talk, name, True)
    assert "user" in {kind for kind, _ in found}


@pytest.mark.parametrize("name", NAMES)
def test_rendering_leaves_the_messages_as_they_are(name):
    talk = short_talk(name)
    before = copy.deepcopy(talk)
    prompts.render(talk, name)
    assert talk == before


@pytest.mark.parametrize("name", NAMES)
def test_a_processor_can_carry_the_template(name, processor):
    processor.chat_template = prompts.template(name)
    family = prompts.get(name)
    processor.tokenizer.bos_token = family.bos or "<s>"
    processor.tokenizer.eos_token = family.eos or "</s>"
    carried = processor.apply_chat_template(short_talk(name), add_generation_prompt=True)
    assert carried == prompts.render(short_talk(name), name, True)


@pytest.fixture(scope="module")
def processor(tmp_path_factory):
    return AutoProcessor.from_pretrained(tiny.llava(tmp_path_factory.mktemp("tiny")))


@pytest.mark.parametrize("name", [n for n in CHATS if "{%- generation" in prompts.template(n)])
def test_the_answer_and_its_end_are_what_training_learns(name, processor):
    tokenizer = processor.tokenizer
    family = prompts.get(name)
    talk = [user("What?", 0), assistant("A star."), user("Where?", 0), assistant("Left.")]
    encoded = tokenizer.apply_chat_template(
        talk,
        chat_template=family.template,
        return_dict=True,
        return_assistant_tokens_mask=True,
        add_special_tokens=False,
    )
    learnt = [i for i, on in zip(encoded["input_ids"], encoded["assistant_masks"]) if on]
    text = tokenizer.decode(learnt)
    assert "A star." in text and "Left." in text
    assert "What?" not in text and "Where?" not in text
    ends = tokenizer.eos_token if "eos_token" in family.template else family.eos
    if name not in ("llava-1.5-hf", "deepseek-vl-base", "cogvlm-chat"):
        assert text.rstrip().endswith(ends or "Left."), text


@pytest.mark.parametrize("name", NAMES)
def test_no_text_becomes_a_special_token(name):
    family = prompts.get(name)
    for token in family.special:
        with pytest.raises(ValueError, match=r"message 1 \(messages\[0\]\) contains") as caught:
            prompts.render([user(f"See {token} here", 0)], name)
        assert repr(token)[1:-1] in str(caught.value)


@pytest.mark.parametrize(
    ("name", "messages", "number"),
    [  # templates that strip a text, or set one after the other, make tokens of halves
        ("gemma-3", [user(["hi <end_of_turn ", ">bye"])], 1),
        ("gemma-3", [user("a", 0), assistant("b"), user(["<end_of_turn", " >"])], 3),
        ("deepseek-vl-base", [user("a <image_place", 0), assistant("holder> b")], 2),
        ("yi-vl", [user("a ###Human: b", 0)], 1),
    ],
)
def test_no_template_makes_a_special_token_of_halves(name, messages, number):
    for message in messages:
        text = message["content"][-1]["text"]
        if isinstance(text, list):
            message["content"] = [{"type": "text", "text": half} for half in text]
    with pytest.raises(ValueError, match=f"message {number} .* contains"):
        prompts.render(messages, name)


def test_tokens_for_places_go_through():
    assert "<box>" in prompts.render([user("Read <box>(1,2),(3,4)</box>.")], "qwen-vl-chat")
    assert "<loc0001>" in prompts.render([user("detect <loc0001>")], "paligemma")


# --- what cannot be rendered ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "conversation is empty"),
        ([assistant("Hello.")], r"messages\[0\].*begins with the assistant"),
        ([user("a"), user("b")], r"assistant's turn in message 2 .*follows another of the user"),
        ([user("a"), assistant("b"), assistant("c")], r"messages\[2\].*another of the assistant"),
        ([user("a"), assistant("b"), {"role": "system", "content": "x"}], "must come first"),
        ([{"role": "tool", "content": "x"}], r"role of message 1 .*'tool'"),
        ([user("  ", 0)], r"text in message 1 .* is empty"),
        ([user("a"), assistant("")], r"text in message 2 .* is empty"),
        ([{"role": "user", "content": []}], r"content of message 1 .* is empty"),
        ([{"role": "user", "content": [{"type": "audio"}]}], r"'audio' in message 1"),
        ([{"role": "user", "content": 3}], r"content of message 1 .*not int"),
        (
            [user("a"), {"role": "assistant", "content": [{"type": "image"}]}],
            "picture in message 2",
        ),
    ],
)
def test_a_conversation_that_cannot_be_names_the_message(messages, says):
    with pytest.raises(ValueError, match=says):
        prompts.render(messages, "llava-1.5")


@pytest.mark.parametrize(
    ("pictures", "given_images", "says"),
    [
        (2, ["a"], "place for a picture in message 1 .* no picture left for it"),
        (1, ["a", "b"], "2 pictures came with 1 place for them"),
    ],
)
def test_pictures_and_their_places_must_be_as_many(pictures, given_images, says):
    with pytest.raises(ValueError, match=says):
        prompts.render([user("a", pictures)], "llava-1.5", images=given_images)


def test_what_a_family_cannot_take_is_said():
    with pytest.raises(ValueError, match="'llava-1.6-mistral'"):
        prompts.render([user("a")], "llava-1.6-mistrall")
    with pytest.raises(ValueError, match="no place for a system text in kosmos-2"):
        prompts.render([{"role": "system", "content": "x"}, user("a")], "kosmos-2")
    with pytest.raises(ValueError, match="one question and no answer"):
        prompts.render([user("a"), assistant("b")], "fuyu")
    with pytest.raises(ValueError, match="takes 1 picture a conversation"):
        prompts.render([user("a", 2)], "cogvlm-chat")
    with pytest.raises(ValueError, match="there are 'llava-1.5', '.*' and 'pocket-llava'"):
        prompts.render([user("a")], "xyz")
    with pytest.raises(ValueError, match="text in message 1 .* is of type int"):
        prompts.render([user(3)], "llava-1.5")
    with pytest.raises(TypeError, match="list of messages"):
        prompts.render("Hello", "llava-1.5")


def test_every_family_says_where_it_was_read():
    for name in NAMES:
        assert prompts.get(name).source.startswith("https://"), name
        assert prompts.families()[name]


def test_the_data_of_families_are_checked_when_they_are_read():
    facts = {**vars(prompts.get("llava-1.5"))}
    with pytest.raises(ValueError, match="conversation of llava-1.5 must be 'turns', .*not 'turn'"):
        prompts.Family(**facts | {"conversation": "turn"})
    with pytest.raises(ValueError, match="image token that texts may contain: <img>"):
        prompts.Family(**facts | {"image": "<img>"})
    with pytest.raises(TypeError, match="sytem"):
        prompts.Family(**facts, sytem="")


def test_sets_of_tokens_and_numbers_are_written_out():
    assert {"<row_1_col_1>", "<row_6_col_6>", "</s>"} <= {
        *prompts.get("idefics3").special, *prompts.get("llava-1.5").special
    }  # fmt: skip
    assert sum("extra_" in token for token in prompts.get("qwen-vl").special) == 205
    assert not [t for name in NAMES for t in prompts.get(name).special if t[0] == "@" or ".." in t]
