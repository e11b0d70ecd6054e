"""Which model answers a question, and how deeply it thinks."""

from typing import Any, NamedTuple, Self

from conversations.inference.registry import NORMAL, default_model, find
from conversations.models import Depth


class NotOffered(Exception):
    """The model or the depth that was asked for is not offered. The message is for the person who asked."""


class Choice(NamedTuple):
    """The id of a model and a depth; "" leaves them to what was chosen before."""

    model: str = ""
    depth: str = ""

    @classmethod
    def of(cls, row: Any) -> Self:
        """Return the choice that a generation, a conversation or a user remembers."""
        return cls(row.model or "", row.depth or "")


AS_BEFORE = Choice()


def choose(asked: Choice, *remembered: Choice) -> Choice:
    """Return the model and the depth for a question: those asked for, or the first remembered that are still offered.

    The first model of the registry and its normal depth are the last resort. The depth is "" if the model offers no
    choice, and the model is "" if there is none. Raises `NotOffered` if what was asked for is not available.
    """
    if asked.model and find(asked.model) is None:
        raise NotOffered("This model is not available any more. Choose another one, then send your question again.")
    models = (find(each.model) for each in (asked, *remembered) if each.model)
    model = next((found for found in models if found), None) or default_model()
    if model is None:
        return Choice()
    if asked.depth not in ("", NORMAL, *model.depths):
        name = f"“{Depth(asked.depth).label}”" if asked.depth in Depth.values else "what you have chosen"
        offered = " or ".join(Depth(depth).label for depth in model.depths) or Depth.NORMAL.label
        raise NotOffered(f"{model.label} does not offer {name}. Choose {offered}, then send your question again.")
    depths = (each.depth for each in (asked, *remembered) if each.depth in model.depths)
    return Choice(model.id, next(depths, NORMAL if model.depths else ""))
