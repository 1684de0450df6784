"""Ask about a photograph: `python -m recipes.borrowed photo.jpg "Is there a cat?"`."""

from __future__ import annotations

import argparse

import vlm_helpers as vh
from recipes.borrowed.connector import Connector, tower
from recipes.borrowed.evaluate import NAME


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo")
    parser.add_argument("questions", nargs="*", help="with none: what it is")
    wanted = parser.parse_args()
    questions = wanted.questions or [NAME]
    connector = Connector(tower(), vh.load("pocket-llava-next", dtype="float32"))
    tokens = connector.tokens(connector.features([vh.pictures.to_rgb(wanted.photo)]))
    answers = connector.ask(tokens.expand(len(questions), -1, -1), questions)
    for question, answer in zip(questions, answers):
        print(f"{question} {answer}")


if __name__ == "__main__":
    main()
