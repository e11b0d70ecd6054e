from conversations.review.admin import audit, conversation, index, legal_holds, queue

__all__ = ["audit", "conversation", "index", "legal_holds", "queue"]
