from collections import defaultdict
from collections.abc import Iterable


class Tree:
    """The ids of a conversation's messages and of their parents. Without text, so a long conversation costs little."""

    def __init__(self, rows: Iterable[tuple[int, int | None]]) -> None:
        self._parents = dict(rows)
        self._children: dict[int | None, list[int]] = defaultdict(list)
        for pk, parent in self._parents.items():
            self._children[parent].append(pk)

    @property
    def ids(self) -> list[int]:
        """The ids of all messages, oldest first."""
        return list(self._parents)

    def path_to(self, pk: int | None) -> list[int]:
        """Return the ids from the first prompt to this message, in order."""
        path = []
        while pk in self._parents:
            path.append(pk)
            pk = self._parents[pk]
        return path[::-1]

    def versions(self, pk: int) -> list[int]:
        """Return all versions of this message, itself included, oldest first."""
        return self._children[self._parents[pk]]

    def turns(self, pks: Iterable[int]) -> dict[int, int]:
        """Return the number of the question, from 1, that each of these messages is or answers."""
        depths: dict[int | None, int] = {None: 0}
        for pk in pks:
            path = []
            at: int | None = pk
            while at is not None and at not in depths:
                path.append(at)
                at = self._parents[at]
            depths |= {each: depth for depth, each in enumerate(reversed(path), depths[at] + 1)}
        return {pk: (depths[pk] + 1) // 2 for pk in pks}

    def below(self, pk: int) -> list[int]:
        """Return this message and everything below it, in all versions."""
        found = [pk]
        for message in found:
            found += self._children.get(message, [])
        return found

    def newest_answer(self, prompt: int) -> int | None:
        """Return the newest version of the answer to a prompt."""
        answers = self._children.get(prompt)
        return answers[-1] if answers else None

    def newest_leaf(self, pk: int | None) -> int | None:
        """Follow the newest version at each step below this message, or from the root if None; return the last one."""
        while newer := self._children.get(pk):
            pk = newer[-1]
        return pk
