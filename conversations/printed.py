"""A conversation as one HTML document without scripts: to print it, and for archives."""

from collections.abc import Callable, Generator

from django.template.loader import render_to_string

from conversations.export import heading, messages_of, particulars
from conversations.models import Attachment, Conversation, Role
from conversations.rendering import message_state

FileUrl = Callable[[Attachment], str]


def stream_html(
    conversation: Conversation,
    *,
    reasoning: bool,
    versions: bool,
    file_url: FileUrl,
    style_url: str,
    back_url: str,
    is_file: bool = False,
) -> Generator[str, None, None]:
    """Yield the parts of an HTML document: the messages that are shown or, with `versions`, all.

    `file_url` returns the address of an attached file. With `is_file`, the document is not served by the site, whose
    security policy it then names itself.
    """
    context = {"conversation": conversation, "style_url": style_url, "back_url": back_url, "is_file": is_file}
    yield render_to_string("conversations/_printed_head.html", context)
    for message in messages_of(conversation, versions=versions):
        thought, content = message.current_text()
        is_answer = message.role != Role.USER
        yield render_to_string(
            "conversations/_printed_message.html",
            {
                "message": message,
                "heading": heading(message),
                "particulars": particulars(message),
                "thought": thought if reasoning else "",
                "html": message_state.answer_html(message, content) if is_answer else "",
                "content": content,
                "files": [(attachment.name, file_url(attachment)) for attachment in message.files],
            },
        )
    yield "</main></body></html>\n"
