"""Responses with attached files, for their owner and for reviewers. Callers have checked who asks."""

from django.http import FileResponse, Http404, HttpResponse

from conversations import storage
from conversations.models import Archive, Attachment

# Opened by itself, what is served can load and run nothing.
HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-store",  # else a browser would keep it after its deletion
}
UNAVAILABLE = "The file cannot be read: the site's storage is not available. Try again in a moment."


class Download(FileResponse):
    block_size = 256 * 1024  # each block is read in a thread


def download(attachment: Attachment) -> HttpResponse | Download:
    """Return the file as it was uploaded, to be saved and not to be shown."""
    try:
        file = storage.open_file(attachment.stored.file_name)
    except storage.StorageError:
        return _unavailable()
    # No type that a browser would show, whatever it contains.
    kind = "application/octet-stream"
    response = Download(file, as_attachment=True, filename=attachment.name, content_type=kind, headers=HEADERS)
    response["Content-Length"] = str(attachment.stored.size)
    return response


def archive(ready: Archive, name: str) -> HttpResponse | Download:
    """Return an archive that is ready, to be saved under this name. Raises `Http404` if the storage has lost it."""
    try:
        if storage.file_size(ready.file_name) is None:  # backups do not have archives
            raise Http404
        file = storage.open_file(ready.file_name)
    except storage.StorageError:
        return _unavailable()
    response = Download(file, as_attachment=True, filename=name, content_type="application/zip", headers=HEADERS)
    response["Content-Length"] = str(ready.size)
    return response


def picture(attachment: Attachment) -> HttpResponse:
    """Return an image as it was decoded and encoded again. Raises `Http404` for other files."""
    if not attachment.is_image:
        raise Http404
    try:
        data = storage.read_picture(attachment.stored)
    except storage.StorageError:
        return _unavailable()
    return HttpResponse(data, content_type=attachment.stored.picture_type, headers=HEADERS)


def _unavailable() -> HttpResponse:
    return HttpResponse(UNAVAILABLE, status=503, content_type="text/plain; charset=utf-8", headers={"Retry-After": "5"})
