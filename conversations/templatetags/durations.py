from datetime import datetime

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def duration(seconds: int) -> str:
    """Return whole seconds as "12 s" or "5 min 12 s", as static/js/clock.js does."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@register.simple_tag
def when(moment: datetime) -> SafeString:
    """Return the element that says when something was: "14:05", "yesterday, 14:05" or "3 May 2026".

    Django's `date` filter would take ten times as long, and a page shows many.
    """
    local = timezone.localtime(moment)
    date, time = f"{local.day} {local:%B %Y}", f"{local:%H:%M}"
    days = (timezone.localdate() - local.date()).days
    shown = {0: time, 1: f"yesterday, {time}"}.get(days, date)
    full = f"{date}, {local:%H:%M:%S %Z}"
    return format_html('<time datetime="{}" title="{}">{}</time>', local.isoformat(), full, shown)
