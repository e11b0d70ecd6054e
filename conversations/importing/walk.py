from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any


def walk(parents: Mapping[str, Any], order: Mapping[str, Any], omitted: Counter[str]) -> Iterator[tuple[str, Any]]:
    """Yield (key, parent) of each message of a tree, parents first; the parent is None if it is not in the file.

    `order` has lists of children, which only decide in which order these come. Messages in a cycle cannot be
    reached: they are left out, and counted in `omitted`.
    """
    children: dict[str | None, list[str]] = {}
    for key, given in parents.items():
        parent = given if isinstance(given, str) and given in parents else None
        children.setdefault(parent, []).append(key)
    for parent, found in children.items():
        listed = order.get(parent) if parent is not None else None
        if len(found) > 1 and isinstance(listed, list):
            indexes = {key: index for index, key in enumerate(listed) if isinstance(key, str)}
            found.sort(key=lambda key: indexes.get(key, len(indexes)))
    left = len(parents)
    waiting: list[tuple[str, str | None]] = [(key, None) for key in reversed(children.get(None, []))]
    while waiting:
        key, parent = waiting.pop()
        left -= 1
        yield key, parent
        waiting += [(child, key) for child in reversed(children.get(key, []))]
    if left:
        omitted["messages in a cycle"] += left
