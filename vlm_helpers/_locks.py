"""A lock for each tokenizer, which threads may share: a model's `ask` and a collator do.

A fast tokenizer keeps its padding and truncation inside and sets them anew with every call, so that
a second thread in between gets the padding of the first.
"""

from __future__ import annotations

import os
import threading
from typing import Any
from weakref import WeakKeyDictionary

_LOCKS: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
if hasattr(os, "register_at_fork"):
    # A lock that another thread held would stay locked for ever in a data loader's process.
    os.register_at_fork(after_in_child=_LOCKS.clear)


def tokenizing(processor: Any) -> Any:
    """The lock to hold while `processor` makes tokens: `with tokenizing(processor): …`.

    One thread may take it several times. A tokenizer, or several processors with one, will do.
    """
    tokenizer = getattr(processor, "tokenizer", processor)
    return _LOCKS.setdefault(tokenizer, threading.RLock())
