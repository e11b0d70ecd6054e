from conversations.models.api_token import ApiToken, Scope
from conversations.models.archive import Archive, ArchiveState
from conversations.models.attachment import Attachment, FileState, StoredFile
from conversations.models.conversation import Conversation, Source
from conversations.models.feedback import Feedback, Rating
from conversations.models.folder import Folder
from conversations.models.generation import Chunk, Depth, Generation, Kind, Status, Worker
from conversations.models.instructions import Instructions
from conversations.models.legal_hold import LegalHold
from conversations.models.message import Message, Role
from conversations.models.saved_prompt import SavedPrompt
from conversations.models.share import Audience, Share, SharedCopy
from conversations.models.site import Site
from conversations.models.stored_text import StoredText
from conversations.models.usage import DailyUsage
from conversations.models.user import User

__all__ = [
    "ApiToken",
    "Archive",
    "ArchiveState",
    "Attachment",
    "Audience",
    "Chunk",
    "Conversation",
    "DailyUsage",
    "Depth",
    "Feedback",
    "FileState",
    "Folder",
    "Generation",
    "Instructions",
    "Kind",
    "LegalHold",
    "Message",
    "Rating",
    "Role",
    "SavedPrompt",
    "Scope",
    "Share",
    "SharedCopy",
    "Site",
    "Source",
    "Status",
    "StoredFile",
    "StoredText",
    "User",
    "Worker",
]
