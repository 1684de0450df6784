"""What the published scoring rules' own code gives on the cases of `tests/rules.jsonl`.

    pip install numpy pandas loguru Levenshtein pyyaml jiwer==4.0.0
    pip install --no-deps lmms_eval==0.7.3
    python -m recipes.rules CODE

`CODE` is a folder with clones of the repositories in `COMMITS`, which are on GitHub, each under its
own name (`CODE/MMMU`) and at the commit that stands there.

Give all of this an environment of its own; the course is not needed in it. The file's first line
says what made it, every other one is `[kind, case, what the originals give]`: the cases are ours,
the last is written anew. To add a case, add a line with null there. What the originals import and
do not use for scoring (judges, hubs, torch) is left out.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import pickle
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import MagicMock

CASES = Path(__file__).resolve().parent.parent / "tests" / "rules.jsonl"
COMMITS = {
    "MMMU-Benchmark/MMMU": "bb0b95a945998d91dfef37e969e07d49d1139438",
    "open-compass/VLMEvalKit": "e8e78f05f3080fe28154f2130321f17951c3be94",
    "lupantech/MathVista": "53d525874bdde205128e6b160b7357a88277d479",
    "AoiDragon/POPE": "08d957b917e5a378a2f99d35b6293c536a66298b",
    "GT-Vision-Lab/VQA": "a013f0043c1e2cdc995922dfe257f7149aa9af06",
    "salaniz/pycocoevalcap": "ad63453cfab57a81a02b2949b17a91fab1c3df77",
}
PACKAGES = ("lmms_eval", "jiwer")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
DRAWN = "drawn"
UNUSED = (  # what their modules import and their rules do not use
    "datasets", "evaluate", "sacrebleu", "sty", "huggingface_hub", "huggingface_hub.utils",
    "huggingface_hub.utils._cache_manager", "rich", "rich.logging", "pdb",
    "vlmeval.smp.vlm", "openai", "utilities", "models", "evaluation.prompts.ext_ans",
    "lmms_eval.api.model", "lmms_eval.llm_judge", "lmms_eval.verifiers",
    "lmms_eval.verifiers.openai",
)  # fmt: skip


def bare(name: str, folder: Path) -> None:
    """A package without its own `__init__`, which would load far more than the rules."""
    package = ModuleType(name)
    package.__path__ = [str(folder)]
    package.__getattr__ = lambda attribute: MagicMock()
    sys.modules[name] = package


def load(root: Path, dotted: str) -> ModuleType:
    parts = dotted.split(".")
    for n in range(1, len(parts)):
        name = ".".join(parts[:n])
        if name not in sys.modules:
            bare(name, root.joinpath(*parts[:n]))
    return importlib.import_module(dotted)


def script(path: Path, **names) -> dict:
    """A file's names after it ran as it is, but for values put in and Python 2's print."""
    source = re.sub(r"(?m)^(\s*)print (.*)$", r"\1print(\2)", path.read_text())
    for name, value in names.items():
        source = source.replace(f"{name} = ''", f"{name} = {str(value)!r}")
    found = {"__name__": path.stem}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(source, str(path), "exec"), found)
    return found


class Originals:
    """The rules' own code: a method for each kind of case, which gives what the code gives."""

    def __init__(self, code: Path, options: dict[str, list[str]]):
        for name in UNUSED:
            sys.modules[name] = MagicMock()
        site = next(Path(path) for path in sys.path if (Path(path) / "lmms_eval").is_dir())
        kit, self.code, self.options = code / "VLMEvalKit", code, options
        bare("vlmeval", kit / "vlmeval")
        bare("vlmeval.smp", kit / "vlmeval/smp")
        misc = load(kit, "vlmeval.smp.misc")
        for name in ("istype", "listinstr", "process_punctuation"):
            setattr(sys.modules["vlmeval.smp"], name, getattr(misc, name))
        self.can_infer = load(kit, "vlmeval.utils.matching_util").can_infer
        sys.modules["vlmeval.utils"].can_infer = self.can_infer
        self.kit = SimpleNamespace(
            **{
                name: load(kit, f"vlmeval.dataset.utils.{name}")
                for name in ("vqa_eval", "yorn", "multiple_choice")
            }
        )
        self.lmms = SimpleNamespace(
            **{
                name: load(site, f"lmms_eval.tasks.{name}.utils")
                for name in ("ai2d", "scienceqa", "ocrbench", "chartqa", "pope", "vqav2", "textvqa")
            }
        )
        shared = "lmms_eval.tasks._task_utils"
        self.lmms_mmmu = load(site, f"{shared}.mmmu_mcq_utils")
        self.mcq_extract = load(site, f"{shared}.mcq_extract").extract_mcq_answer
        self.metrics = load(site, "lmms_eval.api.metrics")
        self.mmmu = script(code / "MMMU/mmmu/utils/eval_utils.py")
        self.mmmu_pro = script(code / "MMMU/mmmu-pro/evaluate.py")
        for module in (self.mmmu, self.mmmu_pro):
            module["random"] = SimpleNamespace(choice=lambda letters: DRAWN)
        self.lmms_mmmu.random = self.mmmu["random"]
        self.extract = load(code / "MathVista", "evaluation.extract_answer").extract_answer
        self.score = load(code / "MathVista", "evaluation.calculate_score")
        self.cider_scorer = load(code, "pycocoevalcap.cider.cider").Cider
        vqa = script(code / "VQA/PythonEvaluationTools/vqaEvaluation/vqaEval.py")
        self.vqa_scorer = vqa["VQAEval"]

    def letter(self, answer, name):
        texts = self.options[name]
        options = dict(zip(LETTERS, texts))
        drawing = (
            self.mmmu["parse_multi_choice_response"],
            self.mmmu_pro["parse_multi_choice_response"],
            self.lmms_mmmu.parse_mmmu_multi_choice_response,
        )
        return [
            *(parse(answer, list(options), options) for parse in drawing),
            self.mcq_extract(answer, list(options)) or None,
            self.can_infer(answer, dict(options)) or None,
            right_letter(lambda letter: self._scienceqa(answer, letter)),
            right_letter(lambda letter: self._ai2d(answer, letter)),
            LETTERS[texts.index(self._mathvista(answer, texts, "multi_choice", "text", 1))],
        ]

    def _scienceqa(self, answer, letter):
        doc = {"choices": [""] * len(LETTERS), "answer": LETTERS.index(letter)}
        return self.lmms.scienceqa.sqa_process_results(doc, [answer])["exact_match"]

    def _ai2d(self, answer, letter):
        taken = self.lmms.ai2d.MultiChoiceRegexFilter.apply(None, [[answer]], [None])
        flags = {"ignore_case": True, "ignore_punctuation": True}
        return self.metrics.exact_match_hf_evaluate(taken, [letter], **flags)["exact_match"]

    def _mathvista(self, answer, choices, question, kind, precision):
        judge = SimpleNamespace(get_response=lambda user_prompt: answer)  # gives all of it back
        problem = {"question_type": question, "answer_type": kind, "choices": choices}
        taken = self.extract(judge, answer, {**problem, "query": "", "pid": 0}, quick_extract=True)
        return self.score.normalize_extracted_answer(taken, choices, question, kind, precision)

    def mathvista(self, answer, truth, kind, precision):
        number = self._mathvista(answer, [], "free_form", kind, precision)
        return bool(self.score.safe_equal(number, truth))

    def mmmu_open(self, answer, truth):
        return self.mmmu["eval_open"](truth, self.mmmu["parse_open_response"](answer))

    def vqa(self, answer, truth):
        def people():
            return [{"answer": one, "answer_id": n} for n, one in enumerate(truth)]

        asked = {0: {"answers": people(), "question_type": "", "answer_type": ""}}
        said = {0: {"answer": answer}}
        original = self.vqa_scorer(
            SimpleNamespace(qa=asked, getQuesIds=lambda: [0]), SimpleNamespace(qa=said), n=12
        )
        with contextlib.redirect_stdout(io.StringIO()):
            original.evaluate()
        doc = {"question_id": 0, "answers": people()}
        texts = {"question_id": 0, "answers": list(truth)}
        line = {"answer": repr(truth), "prediction": answer}
        kit = self.kit.vqa_eval.process_line(line, method="vqa_score")["match"]
        return [
            original.accuracy["overall"] / 100,
            self.lmms.vqav2.vqav2_process_results(doc, [answer])["exact_match"],
            self.lmms.textvqa.textvqa_process_results(texts, [answer])["exact_match"],
            sum(kit) / len(kit),
        ]

    def anls(self, answer, truth):
        return self.metrics.anls(truth, [answer])["anls"]

    def relaxed(self, answer, truth):
        return bool(self.lmms.chartqa.relaxed_correctness(answer, truth))

    def ocrbench(self, answer, truth, formula):
        doc = {"answer": truth, "dataset": "HME100k" if formula else "", "question_type": ""}
        result = self.lmms.ocrbench.ocrbench_process_results(doc, [answer])
        return bool(result["ocrbench_accuracy"]["score"])

    def yes_no(self, answer):
        doc = {"answer": "yes", "question_id": 0}
        lmms = self.lmms.pope.pope_process_results(doc, [answer])["pope_accuracy"]["prediction"]
        kit = self.kit.yorn.YOrN_Extraction(answer).lower()
        # The second answer is there because precision is not to be taken of nothing.
        pope = self._pope([answer, "yes"], ["yes", "yes"])["answers"][0]["answer"]
        return [one if one in ("yes", "no") else None for one in (pope, lmms, kit)]

    def pope(self, answers, labels):
        found = self._pope(answers, labels)
        return [found[name] for name in ("acc", "precision", "recall", "f1", "yes_ratio")]

    def _pope(self, answers, labels):
        with tempfile.TemporaryDirectory() as folder:
            said, right = Path(folder) / "said", Path(folder) / "right"
            said.write_text("\n".join(json.dumps({"answer": one}) for one in answers))
            right.write_text("\n".join(json.dumps({"label": one}) for one in labels))
            return script(self.code / "POPE/evaluate.py", ans_file=said, label_file=right)

    def errors(self, said, right):
        jiwer = importlib.import_module("jiwer")  # of that environment, not of the course's
        return [jiwer.cer(right, said), jiwer.wer(right, said)]

    def cider(self, captions, people):
        said = {n: [one] for n, one in enumerate(captions)}
        scores = self.cider_scorer().compute_score(dict(enumerate(people)), said)[1]
        return [float(one) for one in scores]

    def circular(self, rows):
        """Which items are hits, of rows (index, right letter, answer) about the colours."""
        import pandas as pd

        kit, texts = self.kit.multiple_choice, dict(zip(LETTERS, self.options["colors"]))
        data = pd.DataFrame(
            [{"index": row[0], "prediction": row[2], "question": "", **texts} for row in rows]
        )
        meta = pd.DataFrame([{"index": row[0], "answer": row[1]} for row in rows])
        kit.dump = lambda one, path: Path(path).write_bytes(pickle.dumps(one))
        kit.load = lambda path: pickle.loads(Path(path).read_bytes())
        kit.istype, kit.timestr, kit.get_pred_file_format = isinstance, lambda: "rules", str
        with tempfile.TemporaryDirectory() as folder:
            main = kit.mcq_circular_eval(None, data, meta, 1, f"{folder}/result.pkl")
        return {str(index): int(hit) for index, hit in zip(main["index"], main["hit"])}


def right_letter(right) -> str | None:
    """The letter that is scored as right, which is what a rule takes from an answer."""
    return next((letter for letter in LETTERS if right(letter)), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("code", type=Path, help="the folder with the other repositories")
    head, *rows = map(json.loads, CASES.read_text(encoding="utf-8").strip().split("\n"))
    originals = Originals(parser.parse_args().code, head["options"])
    head["made with"] = {**COMMITS, **{name: version(name) for name in PACKAGES}}
    for row in rows:
        row[2] = getattr(originals, row[0])(*row[1])
    text = [json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in (head, *rows)]
    CASES.write_text("\n".join(text) + "\n", encoding="utf-8")
    print(f"{len(rows)} cases in {CASES}")


if __name__ == "__main__":
    main()
