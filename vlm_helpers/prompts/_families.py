"""The prompt families: what each is called, where it was read, and what its tokens are.

The template of a family is the file `templates/NAME.jinja` beside this module. Checkpoints that
were trained on one format share a file.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "templates"
_GITHUB, _HUB = "https://github.com/", "https://huggingface.co/"


@dataclass(frozen=True, kw_only=True)
class Family:
    """How the checkpoints of one family want their prompts.

    Attributes:
        name: the name that `render` and `template` take.
        about: one line about it.
        template: the chat template, Jinja as transformers reads it.
        bos, eos: the strings of the tokens that begin a sequence and end an answer; "" where the
            family has none. Only the templates of Gemma 3, SmolVLM and Idefics3 write `bos`; else
            the tokenizer adds it, if the checkpoint has one.
        image: what stands for a picture in the prompt; "" where the processor places it.
        system: the system text where a conversation brings none; None where there is none.
        takes_system: whether a conversation may bring a system text.
        conversation: "turns" (any number), "last" (only the last question goes into the prompt),
            "one" (a question and its answer) or "prompt" (a question only).
        pictures: the most pictures that a conversation may have; None for any number.
        special: strings that a message must not contain, for the tokenizer, or the code that reads
            the prompt, takes them for a turn, a picture or an end. Tokens for places and tasks,
            which people write on purpose, are not among them.
        source: the address of the published code or template.
        notes: what else is good to know.
    """

    name: str
    about: str
    template: str
    bos: str
    eos: str
    image: str
    system: str | None
    takes_system: bool
    conversation: str
    pictures: int | None
    special: tuple[str, ...]
    source: str
    notes: str


_LLAMA = ("<s>", "</s>", "<unk>", "<pad>")
_YI_TOKENS = ("<|startoftext|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<unk>")
_INST = ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>")
_CHATML = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
_QWEN = _CHATML + tuple(
    f"<|{name}|>" for name in ("vision_start", "vision_end", "vision_pad", "image_pad", "video_pad")
)
_DEEPSEEK = ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")
_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
_YI = (
    "This is a chat between an inquisitive human and an AI assistant. Assume the role of the AI "
    "assistant. Read all the images carefully, and respond to the human's questions with "
    "informative, helpful, detailed and polite answers. "
    "这是一个好奇的人类和一个人工智能助手之间的对话。假设你扮演这个AI助手的角色。"
    "仔细阅读所有的图像，并对人类的问题做出信息丰富、有帮助、详细的和礼貌的回答。"
)
_INTERN = (
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的"
    "多模态大语言模型。"
)

_LLAVA_CODE = _GITHUB + "haotian-liu/LLaVA/blob/main/llava/conversation.py"
_COGVLM_CODE = _GITHUB + "THUDM/CogVLM/blob/main/utils/utils/language.py"
_QWEN_NOTES = (
    "A picture is its path or URL, from the part's 'image', 'url' or 'path'; without one the text "
    "PATH_OR_URL stands there. Pictures are numbered through the conversation, as the README says "
    "and web_demo_mm.py does; tokenizer.from_list_format, called for one message, begins at 1."
)


def _family(
    name: str,
    about: str,
    source: str,
    *,
    file: str | None = None,
    bos: str = "<s>",
    eos: str = "</s>",
    image: str = "<image>",
    system: str | None = None,
    takes_system: bool = True,
    conversation: str = "turns",
    pictures: int | None = None,
    special: tuple[str, ...],
    notes: str = "",
) -> Family:
    template = (_FOLDER / f"{file or name}.jinja").read_text(encoding="utf-8")
    return Family(
        name=name,
        about=about,
        template=template.removesuffix("\n"),
        bos=bos,
        eos=eos,
        image=image,
        system=system,
        takes_system=takes_system,
        conversation=conversation,
        pictures=pictures,
        special=special,
        source=source,
        notes=notes,
    )


@cache
def all_families() -> dict[str, Family]:
    """Every family by its name, the article's models first."""
    return {family.name: family for family in (*_llava(), *_article(), *_successors())}


def _llava() -> tuple[Family, ...]:
    llama = {"special": ("<image>", *_LLAMA)}
    return (
        _family(
            "llava-1.5",
            "LLaVA-1.5 as its own code renders it (vicuna_v1)",
            _LLAVA_CODE,
            system=_VICUNA,
            **llama,
        ),
        _family(
            "llava-1.5-hf",
            "the template that the llava-hf/llava-1.5 checkpoints carry",
            _HUB + "llava-hf/llava-1.5-7b-hf/blob/main/chat_template.jinja",
            notes="It writes no end token after an answer: a model trained with it does not learn "
            "to stop. A space follows every text part.",
            **llama,
        ),
        _family(
            "llava-article",
            'LLAVA_CHAT_TEMPLATE of the article "Vision Language Models Explained"',
            _HUB + "blog/vlms",
            system=_VICUNA,
            takes_system=False,
            notes="No line break after the picture, and a space after the last 'ASSISTANT:', "
            "unlike LLaVA's own code.",
            **llama,
        ),
        _family(
            "llava-1.6-mistral",
            "LLaVA-1.6 on Mistral 7B (mistral_instruct)",
            _LLAVA_CODE,
            special=("<image>", *_LLAMA, *_INST),
            notes="The generation prompt is empty: ' [/INST]' already closes the question.",
        ),
        _family(
            "llava-1.6-vicuna",
            "LLaVA-1.6 on Vicuna 7B and 13B (vicuna_v1)",
            _LLAVA_CODE,
            file="llava-1.5",
            system=_VICUNA,
            **llama,
        ),
        _family(
            "llava-1.6-34b",
            "LLaVA-1.6 on Nous Hermes 2 Yi 34B (chatml_direct)",
            _LLAVA_CODE,
            bos="<|startoftext|>",
            eos="<|im_end|>",
            system="Answer the questions.",
            special=("<image>", *_YI_TOKENS, *_LLAMA),
            notes="ChatML, but without line breaks between the messages.",
        ),
    )


def _article() -> tuple[Family, ...]:
    deepseek = _GITHUB + "deepseek-ai/DeepSeek-VL/blob/main/deepseek_vl/utils/conversation.py"
    deepseek_tokens = {"bos": _DEEPSEEK[0], "image": "<image_placeholder>"}
    cogvlm = {
        "image": "<EOI>",
        "takes_system": False,
        "pictures": 1,
        "special": ("<EOI>", *_LLAMA),
        "notes": "The picture's tokens stand before <EOI>, 'end of image', which the code writes "
        "whatever the conversation holds.",
    }
    kosmos = {
        "image": "",
        "takes_system": False,
        "conversation": "one",
        "pictures": 1,
        "special": ("<image>", "</image>", "<grounding>", *_LLAMA),
        "source": _HUB + "microsoft/kosmos-2-patch14-224",
        "notes": "A base model: write the beginning of its sentence, such as 'An image of'. "
        "Kosmos2Processor writes <s> and the picture before the prompt.",
    }
    extras = tuple(f"<|extra_{i}|>" for i in range(205))
    images = ("<img>", "</img>", "<imgpad>")
    qwen = {"image": "<img>", "bos": "", "special": (*_CHATML, *images, *extras)}
    return (
        _family(
            "deepseek-vl-base",
            "DeepSeek-VL base models, text without roles (plain)",
            deepseek,
            eos="",
            takes_system=False,
            special=("<image_placeholder>", *_DEEPSEEK),
            notes="Nothing separates the messages, and nothing ends an answer.",
            **deepseek_tokens,
        ),
        _family(
            "deepseek-vl-chat",
            "DeepSeek-VL chat models (deepseek)",
            deepseek,
            eos=_DEEPSEEK[1],
            special=("<image_placeholder>", *_DEEPSEEK),
            notes="Rendered as get_prompt of conversation.py does; VLChatProcessor also strips the "
            "end of the prompt. It sets a system text on top: 'You are a helpful language and "
            "vision assistant. You are able to understand the visual content that the user "
            "provides, and assist the user with a variety of tasks using natural language.' Give "
            "it as a system message to have it here.",
            **deepseek_tokens,
        ),
        _family(
            "deepseek-vl2",
            "DeepSeek-VL2 (deepseek)",
            _GITHUB + "deepseek-ai/DeepSeek-VL2/blob/main/deepseek_vl2/models/conversation.py",
            bos=_DEEPSEEK[0],
            eos=_DEEPSEEK[1],
            special=("<image>", "<|User|>", "<|Assistant|>", *_DEEPSEEK),
        ),
        _family(
            "yi-vl",
            "Yi-VL 6B and 34B (mm_default)",
            _GITHUB + "01-ai/Yi/blob/main/VL/llava/conversation.py",
            bos="<|startoftext|>",
            eos="###",
            image="<image_placeholder>",
            system=_YI,
            special=("<image_placeholder>", "###", *_YI_TOKENS, *_LLAMA),
            notes="'###' is text, not a token; the code stops an answer there, so it is refused "
            "in texts.",
        ),
        _family(
            "cogvlm-base",
            "CogVLM base models, the bare text (base)",
            _COGVLM_CODE,
            conversation="last",
            **cogvlm,
        ),
        _family(
            "cogvlm-chat",
            "CogVLM chat models (chat)",
            _COGVLM_CODE,
            **cogvlm | {"special": ("<EOI>", *_LLAMA, *_INST)},
        ),
        _family(
            "cogvlm-vqa",
            "CogVLM asked for short answers (vqa)",
            _COGVLM_CODE,
            conversation="last",
            **cogvlm,
        ),
        _family(
            "qwen-vl",
            "Qwen-VL, the base model",
            _HUB + "Qwen/Qwen-VL/blob/main/tokenization_qwen.py",
            eos="<|endoftext|>",
            takes_system=False,
            notes=_QWEN_NOTES,
            **qwen,
        ),
        _family(
            "qwen-vl-chat",
            "Qwen-VL-Chat",
            _GITHUB + "QwenLM/Qwen-VL/blob/master/finetune.py",
            eos="<|im_end|>",
            system="You are a helpful assistant.",
            notes=_QWEN_NOTES,
            **qwen,
        ),
        _family("kosmos-2", "KOSMOS-2, plain text", **kosmos),
        _family("kosmos-2-grounded", "KOSMOS-2, asked for boxes as well", **kosmos),
        _family(
            "fuyu",
            "Fuyu-8B",
            _HUB + "adept/fuyu-8b",
            eos="|ENDOFTEXT|",
            image="",
            takes_system=False,
            conversation="prompt",
            pictures=1,
            special=("|ENDOFTEXT|", "|SPEAKER|", "|NEWLINE|", "<s>")
            + tuple(f"<0x0{i}>" for i in range(5)),
            notes="A base model. FuyuProcessor writes the picture and <s> before the prompt, and "
            "<0x04>, 'the answer begins', after it.",
        ),
        _family(
            "moondream2",
            "moondream2, as of 2024",
            _GITHUB + "vikhyat/moondream/blob/main/sample.py",
            bos="<|endoftext|>",
            eos="<|endoftext|>",
            takes_system=False,
            pictures=1,
            special=("<image>", "<|endoftext|>"),
            notes="<image> is written whatever the conversation holds.",
        ),
    )


def _successors() -> tuple[Family, ...]:
    qwen = {"bos": "", "eos": "<|im_end|>", "image": "<|image_pad|>", "special": _QWEN}
    utterance = {"eos": "<end_of_utterance>"}
    marks = ("<image>", "<end_of_utterance>", "<fake_token_around_image>", "<global-img>")
    marks += tuple(f"<row_{y}_col_{x}>" for y in range(1, 7) for x in range(1, 7))
    return (
        _family(
            "qwen2-vl",
            "Qwen2-VL",
            _HUB + "Qwen/Qwen2-VL-7B-Instruct/blob/main/chat_template.json",
            system="You are a helpful assistant.",
            **qwen,
        ),
        _family(
            "qwen2.5-vl",
            "Qwen2.5-VL",
            _HUB + "Qwen/Qwen2.5-VL-7B-Instruct/blob/main/chat_template.json",
            file="qwen2-vl",
            system="You are a helpful assistant.",
            **qwen,
        ),
        _family(
            "qwen3-vl",
            "Qwen3-VL, instruct",
            _HUB + "Qwen/Qwen3-VL-8B-Instruct/blob/main/chat_template.json",
            notes="Without a system message there is none.",
            **qwen,
        ),
        _family(
            "paligemma",
            "PaliGemma and PaliGemma 2, tasks such as 'caption en'",
            _GITHUB + "google-research/big_vision/blob/main/big_vision/configs/proj/paligemma/"
            "README.md",
            bos="<bos>",
            eos="<eos>",
            takes_system=False,
            conversation="one",
            special=("<image>", "<bos>", "<eos>", "<pad>", "<unk>"),
            notes="PaliGemmaProcessor puts <bos> after the pictures and ends the prompt with a "
            "line break; for training it takes the answer as suffix=.",
        ),
        _family(
            "florence-2",
            "Florence-2, tasks such as <OD>",
            _HUB + "microsoft/Florence-2-large/blob/main/processing_florence2.py",
            image="",
            takes_system=False,
            conversation="prompt",
            pictures=1,
            special=("<image>", "<mask>", *_LLAMA),
            notes="An encoder reads the prompt and a decoder writes the answer, so no answer "
            "stands in the prompt. The processor turns a task such as <OD> into words.",
        ),
        _family(
            "smolvlm",
            "SmolVLM and SmolVLM2",
            _HUB + "HuggingFaceTB/SmolVLM-Instruct/blob/main/chat_template.json",
            bos="<|im_start|>",
            special=(*marks, *_CHATML),
            **utterance,
        ),
        _family(
            "internvl3",
            "InternVL2.5 and InternVL3 as their own code renders it (internvl2_5)",
            _HUB + "OpenGVLab/InternVL3-8B/blob/main/conversation.py",
            bos="",
            eos="<|im_end|>",
            system=_INTERN,
            special=("<image>", "<img>", "</img>", "<IMG_CONTEXT>", *_CHATML),
            notes="The -hf checkpoints carry a template of their own, with <IMG_CONTEXT> for a "
            "picture and without a system text.",
        ),
        _family(
            "gemma-3",
            "Gemma 3, instruction-tuned",
            _HUB + "google/gemma-3-4b-it/blob/main/chat_template.json",
            bos="<bos>",
            eos="<end_of_turn>",
            image="<start_of_image>",
            special=(
                "<bos>",
                "<eos>",
                "<pad>",
                "<unk>",
                "<start_of_turn>",
                "<end_of_turn>",
                "<start_of_image>",
                "<end_of_image>",
                "<image_soft_token>",
            ),  # fmt: skip
        ),
        _family(
            "idefics3",
            "Idefics3 on Llama 3",
            _HUB + "HuggingFaceM4/Idefics3-8B-Llama3/blob/main/chat_template.json",
            bos="<|begin_of_text|>",
            special=(
                *marks,
                "<|begin_of_text|>",
                "<|end_of_text|>",
                "<|start_header_id|>",
                "<|end_header_id|>",
                "<|eot_id|>",
            ),  # fmt: skip
            **utterance,
        ),
        _family(
            "pocket-llava",
            "the course's own small model",
            _GITHUB + "haotian-liu/LLaVA/blob/main/llava/conversation.py",
            special=("<image>", *_LLAMA),
            notes="LLaVA-1.5's format without the system sentence; data/pocket-llava/"
            "chat_template.jinja says the same in one line.",
        ),
    )


def find(name: str) -> Family:
    """The family of that name.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    families = all_families()
    if isinstance(name, str) and name in families:
        return families[name]
    near = difflib.get_close_matches(str(name).lower(), families, n=3, cutoff=0)
    close = difflib.get_close_matches(str(name).lower(), near, n=3, cutoff=0.4) or near
    raise ValueError(
        f"There is no prompt family {name!r}; did you mean {' or '.join(map(repr, close))}?"
    )
