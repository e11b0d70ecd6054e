from conversations.models.audit import Act, AuditEntry
from conversations.models.conversation import Conversation
from conversations.models.generation import Chunk, Generation, Kind, Status, Worker
from conversations.models.message import Message, Role
from conversations.models.queue import Feedback, Item, Rating, Rule, Verdict
from conversations.models.retention import LegalHold
from conversations.models.review import Case
from conversations.models.use import DayOfUse
from conversations.models.user import User

__all__ = [
    "Act",
    "AuditEntry",
    "Case",
    "Chunk",
    "Conversation",
    "DayOfUse",
    "Feedback",
    "Generation",
    "Item",
    "Kind",
    "LegalHold",
    "Message",
    "Rating",
    "Role",
    "Rule",
    "Status",
    "User",
    "Verdict",
    "Worker",
]
