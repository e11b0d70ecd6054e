"""Static files: those that a page needs together are served as one file, so that it is shown after few requests.

They are joined by `collectstatic`. With DEBUG, pages name the single files.
"""

from collections.abc import Iterator
from typing import Any, Final

from django.core.files.base import ContentFile
from whitenoise.storage import CompressedManifestStaticFilesStorage

SITE_CSS: Final = ("css/tokens.css", "css/base.css", "css/notice.css")
HTMX: Final = ("django_htmx/htmx-2.min.js", "django_htmx/ext/hx-ws-2.min.js")
# Style sheets and scripts in the order in which they apply. Our own scripts are modules that import nothing.
BUNDLES: Final = {
    "bundles/site.css": SITE_CSS,
    "bundles/site.js": ("js/time-zone.js", "js/copy-field.js"),
    "bundles/conversation.css": (
        *SITE_CSS,
        "css/sidebar.css",
        "css/thread.css",
        "css/message.css",
        "css/thought.css",
        "css/prose.css",
        "css/composer.css",
        "css/palette.css",
        "css/choice.css",
        "css/files.css",
    ),
    "bundles/conversation.js": (
        *HTMX,
        "js/time-zone.js",
        "js/composer.js",
        "js/choice.js",
        "js/attachments.js",
        "js/drafts.js",
        "js/panels.js",
        "js/list.js",
        "js/options.js",
        "js/shortcuts.js",
        "js/articles.js",
        "js/versions.js",
        "js/reasoning.js",
        "js/socket.js",
        "js/clock.js",
        "js/scroll.js",
        "js/copy.js",
        "js/edit.js",
        "js/palette.js",
        "js/found.js",
        "js/tab-stops.js",
    ),
    # Of pages beside the list of conversations on which nobody can ask.
    "bundles/beside.js": (
        *HTMX,
        "js/time-zone.js",
        "js/drafts.js",
        "js/panels.js",
        "js/list.js",
        "js/options.js",
        "js/shortcuts.js",
        "js/palette.js",
        "js/found.js",
    ),
}


class BundledStorage(CompressedManifestStaticFilesStorage):
    """WhiteNoise's storage of compressed files with hashes in their names, and with the bundles."""

    def post_process(self, paths: dict[str, Any], dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Join the bundles' files, then process everything. `paths` has a storage and a path for each name."""
        if not dry_run:
            for name, sources in BUNDLES.items():
                content = join({source: _read(*paths[source]) for source in sources})
                self.delete(name)
                self.save(name, ContentFile(content))
                paths[name] = (self, name)
        yield from super().post_process(paths, dry_run, **options)


def is_module(source: str) -> bool:
    return source.startswith("js/")


def join(contents: dict[str, str]) -> str:
    """Return the content of a bundle. Each of our scripts keeps names of its own, as in a module."""
    wrapped = (
        f'(() => {{\n"use strict";\n{content}}})();\n' if is_module(source) else f"{content}\n"
        for source, content in contents.items()
    )
    return "".join(wrapped)


def _read(storage: Any, path: str) -> str:
    with storage.open(path) as file:
        return str(file.read().decode())
