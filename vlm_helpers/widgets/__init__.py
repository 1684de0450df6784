"""Widgets: what is used with the mouse in a notebook.

    vh.widgets.arena({"pocket-llava": vlm, "blind": blind}, items)    vote on pairs of answers

Each is made of ipywidgets' own parts, so that Colab shows it too, and what it does is done by
something that needs no browser.
"""

from vlm_helpers.widgets._arena import ArenaView, arena

__all__ = ["ArenaView", "arena"]
