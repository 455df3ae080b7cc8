"""A cache that is bounded in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Item = TypeVar("Item")


class BoundedCache(Generic[Key, Item]):
    """Keeps what was used last, up to ``limit`` bytes in all; safe to share between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._items: OrderedDict[Key, tuple[Item, int]] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def get(self, key: Key) -> Item | None:
        """Return the item, or None."""
        with self._lock:
            found = self._items.get(key)
            if found is None:
                return None
            self._items.move_to_end(key)
            return found[0]

    def put(self, key: Key, item: Item, size: int) -> None:
        """Keep an item of ``size`` bytes, unless it alone is over the limit."""
        with self._lock:
            if key in self._items or size > self._limit:
                return
            self._items[key] = (item, size)
            self._size += size
            while self._size > self._limit:
                _, (_, freed) = self._items.popitem(last=False)
                self._size -= freed

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._items.clear()
            self._size = 0
