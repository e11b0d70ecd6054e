"""Questions for models that this process does not know, because the registry is being changed, or was.

Other processes may know them, so their generations are left in the queue. What nobody has claimed after a while ends.
"""

import logging
import time

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from conversations.generation.recovery import Ids
from conversations.inference.errors import notice
from conversations.models import Generation, Status
from conversations.models.generation import UNKNOWN_MODEL_MINUTES
from conversations.rendering import outcomes
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

CHECK_SECONDS = 10.0
# Much longer than it takes to replace all processes, and to set back a registry that was changed by mistake.
WAIT_SECONDS = UNKNOWN_MODEL_MINUTES * 60.0
ADVICE = "Try again with another model."


class UnknownModels:
    """Ends generations that could have been claimed all the time, if their models were known."""

    def __init__(self) -> None:
        self._checked_at = 0.0
        self._since: dict[int, float] = {}  # when each generation was first found
        self._logged: set[str] = set()

    async def check(self) -> list[Ids]:
        """End what has waited for too long; return the ids of those."""
        now = time.monotonic()
        if not settings.MODELS or now - self._checked_at < CHECK_SECONDS:
            return []  # without any model, questions wait until one is connected
        self._checked_at = now
        found = await run_in_thread(_unclaimable)
        for model in set(found.values()) - self._logged:
            logger.warning(
                "a question waits for the model %r, which this process does not know; it ends after %.0f minutes",
                model,
                WAIT_SECONDS / 60,
            )
        self._logged |= set(found.values())
        self._since = {pk: self._since.get(pk, now) for pk in found}
        late = {pk: model for pk, model in found.items() if now - self._since[pk] >= WAIT_SECONDS}
        return await run_in_thread(_end, late) if late else []


def waiting_notices(ids: list[int]) -> dict[int, str]:
    """Return what pages say of those of these generations that wait for unknown models; usually of none."""
    found = Generation.objects.filter(pk__in=ids, status=Status.QUEUED).exclude(model__in=("", *settings.MODELS))
    return {generation.pk: outcomes.waiting_notice(generation) for generation in found}


def _unclaimable() -> dict[int, str]:
    # Usually there is none, and this costs a fraction of the second query.
    if not Generation.objects.filter(status=Status.QUEUED).exclude(model__in=("", *settings.MODELS)).exists():
        return {}
    return dict(Generation.objects.unclaimable().values_list("pk", "model"))


def _end(late: dict[int, str]) -> list[Ids]:
    ended: list[Ids] = []
    for pk, model in late.items():
        error = notice(f"The model {model} is not available on this site any more.", ADVICE, has_text=False)
        with transaction.atomic():
            queued = Generation.objects.filter(pk=pk, status=Status.QUEUED)
            if queued.update(status=Status.FAILED, error=error, finished_at=timezone.now()):
                ended += Generation.objects.filter(pk=pk).values_list("owner_id", "conversation_id")
    return ended
