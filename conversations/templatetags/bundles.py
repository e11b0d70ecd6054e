from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from chatsite.static_files import BUNDLES

register = template.Library()

STYLES = '<link rel="stylesheet" href="{}">'
SCRIPT = '<script type="module" src="{}"></script>'


@register.simple_tag
def bundle(name: str) -> SafeString:
    """Return the element that loads a bundle; with DEBUG, those that load its files."""
    files = BUNDLES[name] if settings.DEBUG else (name,)
    return format_html_join("\n  ", STYLES if name.endswith(".css") else SCRIPT, ((static(file),) for file in files))
