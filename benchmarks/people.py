"""Create users directly in a site's database, by a command of `manage.py shell` that calls `create`.

Signing up and in through the site is limited to 20 and 30 requests per minute. Each user gets a session, as after
signing in, and a conversation with one finished answer.
"""

import json
from importlib import import_module

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import transaction

from conversations.models import Conversation, Generation, Message, Role, Status, User


def create(count: int) -> None:
    """Create so many users, and print their sessions and the paths of their conversations as JSON."""
    sessions = import_module(settings.SESSION_ENGINE)
    people = []
    with transaction.atomic():
        for number in range(count):
            user = User(username=f"reader{number}")
            user.set_unusable_password()
            user.save()
            session = sessions.SessionStore()
            session[SESSION_KEY] = str(user.pk)
            session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
            session[HASH_SESSION_KEY] = user.get_session_auth_hash()
            session.save()
            conversation = Conversation.objects.create(owner=user, title="An earlier question")
            prompt = Message.objects.create(conversation=conversation, role=Role.USER, content="An earlier question")
            answer = Message.objects.create(
                conversation=conversation, parent=prompt, role=Role.ASSISTANT, content="An answer."
            )
            Generation.objects.create(message=answer, conversation=conversation, owner=user, status=Status.COMPLETE)
            conversation.leaf = answer
            conversation.save()
            people.append({"session": session.session_key, "conversation": conversation.get_absolute_url()})
    print(json.dumps(people))
