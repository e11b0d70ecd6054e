from conversations.review.admin import audit, conversation, legal_holds, queue

__all__ = ["audit", "conversation", "legal_holds", "queue"]
