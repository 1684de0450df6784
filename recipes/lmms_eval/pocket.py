"""Prompts and scores of the pocket tasks: lmms-eval's own code wherever it has some.

Each score is one number a question, `score`, so that every task's samples read alike. Used by the
task files in this folder, in lmms-eval's environment; the course is not needed in it.
"""

import ast
import re

from lmms_eval.api.metrics import exact_match_hf_evaluate
from lmms_eval.tasks._task_utils.mcq_extract import extract_mcq_answer
from lmms_eval.tasks.ai2d.utils import MultiChoiceRegexFilter, ai2d_doc_to_target
from lmms_eval.tasks.mathvista.mathvista_evals import MathVistaEvaluator
from lmms_eval.tasks.mmmu.utils import evaluate_mmmu, mmmu_process_results
from lmms_eval.tasks.ocrbench.utils import ocrbench_process_results
from lmms_eval.tasks.pope.utils import pope_process_results
from lmms_eval.tasks.scienceqa.utils import sqa_process_results

LETTERS = "ABCD"


def mmbench_text(doc, lmms_eval_specific_kwargs):
    """As the pocket models learnt it: lmms-eval's own has "There are several options:" there."""
    lines = [f"{letter}. {doc[letter]}" for letter in LETTERS if doc[letter] is not None]
    return "\n".join((doc["question"], *lines)) + lmms_eval_specific_kwargs["post_prompt"]


def mmbench_score(doc, results):
    """By letters alone: lmms-eval's own asks a model for those that it cannot read."""
    letters = [letter for letter in LETTERS if doc[letter] is not None]
    return {"score": float(extract_mcq_answer(results[0], letters) == doc["answer"])}


def mathvista_score(doc, results):
    """The answer stands for what a language model would take out of it."""
    own, precision = MathVistaEvaluator(), doc["precision"]
    given = own.normalize_extracted_answer(
        results[0].strip(),
        doc["choices"],
        doc["question_type"],
        doc["answer_type"],
        precision and int(precision),  # a float of MathVista's own fails there: docs/upstream.md
    )
    return {"score": float(own.safe_equal(given, doc["answer"]))}


def ai2d_score(doc, results):
    letter = MultiChoiceRegexFilter().apply([results], [doc])
    right = [ai2d_doc_to_target(doc, "mcq")]
    flags = {"ignore_case": True, "ignore_punctuation": True}
    return {"score": float(exact_match_hf_evaluate(letter, right, **flags)["exact_match"])}


def with_picture(docs):
    """lmms-eval's `llava_hf` fails on the others, and counts them as wrong: docs/upstream.md."""
    return docs.filter(lambda picture: picture is not None, input_columns=["image"])


def scienceqa_score(doc, results):
    return {"score": sqa_process_results(doc, results)["exact_match"]}


def ocrbench_score(doc, results):
    return {"score": float(ocrbench_process_results(doc, results)["ocrbench_accuracy"]["score"])}


def mmmu_text(doc, lmms_eval_specific_kwargs):
    """The pictures stand in front, and are named in the text."""
    lines, request = [doc["question"]], lmms_eval_specific_kwargs["post_prompt"]
    options = ast.literal_eval(doc["options"])
    lines += [f"{letter}. {option}" for letter, option in zip(LETTERS, options)]
    text = "\n".join(lines) + (request if options else "")
    return re.sub(r"<image (\d)>", r"picture \1", text)


def mmmu_score(doc, results):
    judged, _ = evaluate_mmmu([mmmu_process_results(doc, results)["mmmu_acc"]])
    return {"score": float(judged[doc["id"]] == "Correct")}


def pope_score(doc, results):
    return {"score": pope_process_results(doc, results)["pope_accuracy"]["score"]}
