"""What does a wrong prompt template cost?

The same questions to pocket-llava under its own template and under others, six skills apart, beside
the floor of the commonest answer and the blind score. The model is not trained here, so there is no
seed to vary but that of the pictures: three sets of pictures that share none.
"""

from __future__ import annotations

import functools

import vlm_helpers as vh

TEMPLATES = {
    "right": "USER: <image>\n{q} ASSISTANT:",
    "space at the end": "USER: <image>\n{q} ASSISTANT: ",
    "lower-case roles": "user: <image>\n{q} assistant:",
    "no line break": "USER: <image>{q} ASSISTANT:",
    "no generation prompt": "USER: <image>\n{q} ",
    "start token twice": "<s>USER: <image>\n{q} ASSISTANT:",
    "question first": "USER: {q}\n<image> ASSISTANT:",
    "Mistral's": "[INST] <image>\n{q} [/INST]",
    "no template": "<image>{q}",
}
SKILLS = ("color", "shape", "count", "exists", "relation", "number")
EACH = 50  # questions of a skill, in each set of pictures
FIRST_SEEDS = (20_000, 30_000, 40_000)


def settings() -> list[dict]:
    prompts = [*TEMPLATES, "right, but blind"]
    return [{"template": name, "first_seed": seed} for seed in FIRST_SEEDS for name in prompts]


@functools.cache
def _model():
    return vh.load()


def ask(template: str, pictures, questions) -> list[str]:
    """Answers under a template given as text, by plain `generate`."""
    vlm = _model()
    texts = [template.format(q=question) for question in questions]
    batch = vlm.processor(
        text=texts, images=pictures, padding=True, padding_side="left", return_tensors="pt"
    )
    out = vlm.model.generate(**batch, max_new_tokens=8, do_sample=False)
    new = out[:, batch["input_ids"].shape[1] :]
    return [a.strip() for a in vlm.processor.batch_decode(new, skip_special_tokens=True)]


def run(template: str, first_seed: int) -> list[dict]:
    exam = vh.evaluation.exam(vh.scenes, SKILLS, EACH, first_seed=first_seed)
    blind = template == "right, but blind"
    text = TEMPLATES["right" if blind else template]
    quiz = vh.evaluation.blind if blind else vh.evaluation.quiz
    table = quiz(functools.partial(ask, text), exam).by("skill")
    floors = vh.evaluation.floors(exam)
    return [
        {
            "skill": skill,
            "right": round(table.loc[skill, "score"] * EACH),
            "n": EACH,
            "majority": floors.loc[skill, "majority"],
        }
        for skill in SKILLS
    ]
