from django import template
from django.conf import settings
from django.templatetags.static import static
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from chatsite.static_files import BUNDLES, is_module

register = template.Library()


@register.simple_tag
def bundle(name: str) -> SafeString:
    """Return the element that loads a bundle; with DEBUG, those that load its files."""
    files = BUNDLES[name] if settings.DEBUG else (name,)
    return format_html_join("\n  ", "{}", ((_element(file),) for file in files))


def _element(file: str) -> SafeString:
    if file.endswith(".css"):
        return format_html('<link rel="stylesheet" href="{}">', static(file))
    return format_html('<script {} src="{}"></script>', "type=module" if is_module(file) else "defer", static(file))
