"""The fields of a form by which people choose a model and a depth; none where there is nothing to choose."""

from typing import Any

from django.http import QueryDict

from conversations.inference.choice import AS_BEFORE, Choice, choose
from conversations.inference.registry import NORMAL, Models
from conversations.models import Conversation, Depth, User
from conversations.models.access import allowed_models


def choice_fields(user: User, conversation: Conversation | None, posted: QueryDict) -> dict[str, Any]:
    """Return the models and depths that a person can choose from, with what is selected.

    That is what was posted, or was chosen before. Depths are those of any model: without a script, the form cannot
    change with the model.
    """
    remembered = (Choice(posted.get("model", ""), posted.get("depth", "")), conversation, user)
    choices = (each if isinstance(each, Choice) else Choice.of(each) for each in remembered if each is not None)
    models: Models = allowed_models(user)
    selected = choose(AS_BEFORE, *choices, models=models)
    offered = {depth for model in models.values() for depth in model.depths}
    return {
        "models": [
            {
                "model": model,
                "depths": " ".join(model.depths or (NORMAL,)),
                "selected": model.id == selected.model,
            }
            for model in models.values()
        ]
        if len(models) > 1
        else [],
        "depths": [
            {"depth": depth, "selected": depth == (selected.depth or NORMAL)} for depth in Depth if depth in offered
        ],
        "model": models.get(selected.model),
    }
