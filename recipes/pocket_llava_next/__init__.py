"""How pocket-llava-next is trained: `python -m recipes.pocket_llava_next.train`."""
