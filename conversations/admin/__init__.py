from conversations.admin import audit, conversation, queue, retention, user

__all__ = ["audit", "conversation", "queue", "retention", "user"]
