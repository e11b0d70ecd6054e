"""Print figures of known answers in the database that the environment names: `python -m tests.review.run_figures`.

In a process of its own, because a test run has one kind of database.
"""

import json
import os
import sys
from datetime import timedelta
from typing import Any

import django

Rows = dict[str, list[list[Any]]]


def figures_of_known_answers() -> Rows:
    """Create answers by two models at several depths, of today and of a past day; return the rows of all figures."""
    from django.db.models import F
    from django.utils import timezone

    from conversations.models import Feedback, Generation, Status
    from conversations.models.usage import add_usage
    from conversations.review import figures
    from tests.factories import person
    from tests.review.factories import answered, make_user

    owner, reviewer = person("owner"), make_user("list-only")
    answers = [answered(owner, seconds, model="one", depth="deep", reasoning_tokens=90) for seconds in (2, 4.3, 20)]
    answers.append(answered(owner, 1, model="one", depth="quick", status=Status.FAILED, first_thought_at=None))
    answers.append(answered(owner, 8, model="Another", depth=None, reasoning_tokens=700, error="No."))
    for number, generation in enumerate(answers):
        add_usage(generation.pk, timezone.now(), (number, None, 30))
        rating = "good" if number % 2 else "bad"
        Feedback.objects.create(message=generation.message, conversation=generation.conversation, rating=rating)
    times = ("created_at", "started_at", "first_thought_at", "finished_at")
    earlier = {field: F(field) - timedelta(days=2) for field in times}
    Generation.objects.filter(pk=answers[0].pk).update(**earlier)
    for _ in range(2):  # the second time, that day is stored
        found = figures.build(reviewer, *figures.last_days(5))
    rows: Rows = json.loads(json.dumps({figure.name: figure.rows for figure in found}))
    return rows


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    django.setup()
    json.dump(figures_of_known_answers(), sys.stdout)


if __name__ == "__main__":
    main()
