"""Which model answers a question, and how deeply it thinks."""

from typing import Any, NamedTuple, Self

from django.conf import settings

from conversations.inference.registry import NORMAL, Models
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


def choose(asked: Choice, *remembered: Choice, models: Models | None = None) -> Choice:
    """Return the model and the depth for a question: those asked for, or the first remembered that are still offered.

    The first of the `models`, which are those of the registry if they are not given, and its normal depth are the last
    resort. The depth is "" if the model offers no choice, and the model is "" if there is none. Raises `NotOffered` if
    what was asked for is not available.
    """
    everything: Models = settings.MODELS
    models = everything if models is None else models
    if asked.model and asked.model not in models:
        why = "to you" if asked.model in everything else "any more"
        raise NotOffered(f"This model is not available {why}. Choose another one, then send your question again.")
    if not models:
        return Choice()
    found = (models[each.model] for each in (asked, *remembered) if each.model in models)
    model = next(found, next(iter(models.values())))
    if asked.depth not in ("", NORMAL, *model.depths):
        name = f"“{Depth(asked.depth).label}”" if asked.depth in Depth.values else "what you have chosen"
        offered = " or ".join(Depth(depth).label for depth in model.depths) or Depth.NORMAL.label
        raise NotOffered(f"{model.label} does not offer {name}. Choose {offered}, then send your question again.")
    depths = (each.depth for each in (asked, *remembered) if each.depth in model.depths)
    return Choice(model.id, next(depths, NORMAL if model.depths else ""))
