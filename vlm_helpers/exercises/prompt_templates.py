"""Exercises of notebook 03, prompt templates."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from vlm_helpers._words import first_line
from vlm_helpers.exercises._engine import Exercise, Wrong, call, pocket

# --- prompt_templates.repair_template -------------------------------------------------------------

BROKEN = (
    "{% for message in messages %}"
    "{{ message.role }}: "
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %} "
    "{% endfor %}ASSISTANT:"
)


def template():
    return (
        # what a message says: a text, or parts of which some are pictures
        "{% macro said(content) %}"
        "{% if content is string %}{{ content }}{% else %}"
        "{% for part in content %}"
        "{% if part.type == 'image' %}<image>\n{% else %}{{ part.text }}{% endif %}"
        "{% endfor %}{% endif %}{% endmacro %}"
        "{% for message in messages %}"
        "{{ message.role | upper }}:"
        # an answer and its end token, which is what training learns; a question ends with a space
        "{% if message.role == 'assistant' %}"
        "{% generation %} {{ said(message.content) }}</s>{% endgeneration %}"
        "{% else %} {{ said(message.content) }} {% endif %}"
        "{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
    )


def _user(text: str, pictures: int = 0) -> dict:
    parts = [{"type": "image"}] * pictures + [{"type": "text", "text": text}]
    return {"role": "user", "content": parts}


def _assistant(text: str) -> dict:
    return {"role": "assistant", "content": [{"type": "text", "text": text}]}


@dataclass(frozen=True)
class Case:
    """A conversation, whether it is left open for an answer, and the prompt that is right."""

    messages: list
    open_end: bool
    prompt: str


def _render(text: str, case: Case) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    (prompt,), _ = render_jinja_template(
        conversations=[case.messages],
        chat_template=text,
        add_generation_prompt=case.open_end,
        bos_token="<s>",
        eos_token="</s>",
    )
    return prompt


def _cases() -> tuple[Case, ...]:
    right = template()
    talks = (
        ([_user("What is this?", 1)], True),
        ([_user("What is this?", 1), _assistant("A star.")], False),
        ([_user("Two?", 2), _assistant("Yes."), _user("And now?")], True),
    )
    return tuple(
        Case(talk, open_end, _render(right, Case(talk, open_end, ""))) for talk, open_end in talks
    )


# What is wrong with a prompt: (a test of prompt and case, words)
_FAULTS: tuple[tuple[Callable[[str, Case], bool], str], ...] = (
    (
        lambda text, case: "<s>" in text,
        "Your template writes `<s>`, and the tokenizer writes it too: the model would see two. "
        "Leave it to the tokenizer.",
    ),
    (
        lambda text, case: "user:" in text or "assistant:" in text,
        "The roles are spelt otherwise: the model was trained on `USER` and `ASSISTANT`, and your "
        "template writes them small. Jinja has a filter, `| upper`.",
    ),
    (
        lambda text, case: "USER: " in case.prompt and not re.match("USER:", text),
        "The prompt must begin with `USER:`, the role of its first message.",
    ),
    (
        lambda text, case: "USER:<" in text or "ASSISTANT:A" in text or "ASSISTANT:Y" in text,
        "Between the colon and the text stands a space.",
    ),
    (
        lambda text, case: "What is this?<image>" in text,
        "The picture stands after the question: keep the parts in the order of the message.",
    ),
    (
        lambda text, case: text.count("<image>") != case.prompt.count("<image>"),
        "There are not as many `<image>` marks as pictures: write one for each image part.",
    ),
    (
        lambda text, case: re.search("<image>(?!\n)", text) is not None,
        "After `<image>` the model expects a line break: `<image>\\n`.",
    ),
    (
        lambda text, case: text.replace("</s> ", "</s>") == case.prompt and "</s> " in text,
        "There is a space after `</s>`, where the next turn should follow at once.",
    ),
    (
        lambda text, case: text.count("</s>") < case.prompt.count("</s>"),
        "An answer must end with `</s>`: a model trained without it never learns to stop.",
    ),
    (
        lambda text, case: text.count("</s>") > case.prompt.count("</s>"),
        "`</s>` ends answers only: after a question nothing is over yet.",
    ),
    (
        lambda text, case: not case.open_end and text.endswith("ASSISTANT:"),
        "The conversation is complete, and your template opens another answer: write `ASSISTANT:` "
        "at the end only `{% if add_generation_prompt %}`.",
    ),
    (
        lambda text, case: case.open_end and text + "ASSISTANT:" == case.prompt,
        "With `add_generation_prompt` the prompt must end with `ASSISTANT:`, where the answer "
        "begins.",
    ),
    (
        lambda text, case: case.open_end and text == case.prompt + " ",
        "There is a space after the last `ASSISTANT:`. The answer's first token brings its own.",
    ),
)


def examine_template(answer, cases: tuple[Case, ...]) -> None:
    """Render each conversation and say what differs."""
    import jinja2

    if not isinstance(answer, str):
        raise Wrong(f"A template is a text; this is of type {type(answer).__name__}.")
    for case in cases:
        try:
            got = _render(answer, case)
        except jinja2.TemplateSyntaxError as error:
            raise Wrong(
                f"Jinja cannot read it (line {error.lineno}): {first_line(error)}"
            ) from None
        except Exception as error:  # what a template calls can raise anything
            raise Wrong(f"Jinja cannot render it: {first_line(error)}") from None
        if got == case.prompt:
            continue
        for is_so, diagnosis in _FAULTS:
            if is_so(got, case):
                raise Wrong(diagnosis)
        raise Wrong(f"It renders {got!r}; right is {case.prompt!r}.")


# --- prompt_templates.follows ---------------------------------------------------------------------


def follows(tokenizer, prompt, answer):
    first = tokenizer(prompt)["input_ids"]
    whole = tokenizer(prompt + answer)["input_ids"]
    return whole[: len(first)] == first


PAIRS = (
    ("USER: What color is the star? ASSISTANT:", " orange"),
    ("USER: What color is the star? ASSISTANT: ", "orange"),
    ("USER: What color is the star? ASSISTANT:", "orange"),
    ("USER: What color is the st", "ar? ASSISTANT:"),
    ("USER: Read the number. ASSISTANT:", " 42"),
)


def examine_follows(answer, tokenizer) -> None:
    for prompt, rest in PAIRS:
        right = follows(tokenizer, prompt, rest)
        found = call(answer, tokenizer, prompt, rest)
        one = found.item() if getattr(found, "ndim", None) == 0 else found  # of numpy or torch
        said = one if isinstance(one, bool) else None
        if said == right:
            continue
        case = f"for the prompt {prompt[-18:]!r} and the answer {rest!r}"
        if said is None:
            raise Wrong(f"It gives {found!r} {case}: give True or False.")
        if said:
            raise Wrong(
                f"It gives True {case}, and the tokens differ: {tokenizer.tokenize(prompt)[-3:]} "
                f"at the end of the prompt, {tokenizer.tokenize(prompt + rest)[-4:]} at the end of "
                "both. The texts do follow; compare the tokens."
            )
        raise Wrong(
            f"It gives False {case}, whose tokens do follow. Does your comparison add an end or a "
            "start token on one side, or expect the answer's own tokens to be the same?"
        )


EXERCISES = (
    Exercise(
        name="prompt_templates.repair_template",
        title="Repair a template",
        difficulty=2,
        minutes=12,
        takeaway=(
            "It renders what the model was trained on, letter for letter, open and closed. That "
            "is what a template is for, and how you test one. The solution does two things more: "
            "it takes contents that are plain texts, and it marks with `{% generation %}` what "
            "training is to learn."
        ),
        hints=(
            "Render it and compare with what the pocket model's own template gives, one "
            "difference at a time.",
            "There are four faults: the roles, the line break after the picture, the end of an "
            "answer, and the last line.",
        ),
        start=BROKEN,
        solved=template,
        materials=_cases,
        examine=examine_template,
    ),
    Exercise(
        name="prompt_templates.follows",
        title="Does the answer follow?",
        difficulty=2,
        minutes=8,
        takeaway=(
            "A model continues tokens, not letters. Run this over a template and a few "
            "answers before you train or ask: it finds the space at the end in a second."
        ),
        hints=(
            '`tokenizer(text)["input_ids"]` gives the tokens of a text.',
            "Take as many tokens from the front of prompt and answer together as the prompt has.",
        ),
        solved=follows,
        materials=lambda: pocket().processor.tokenizer,
        examine=examine_follows,
    ),
)
