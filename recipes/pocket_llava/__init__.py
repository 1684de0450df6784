"""How pocket-llava was trained: `python -m recipes.pocket_llava.train`."""
