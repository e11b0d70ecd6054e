from datetime import datetime, timedelta

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
def ago(moment: datetime) -> SafeString:
    """Return the element that says how long ago `moment` was. static/js/clock.js updates it within the first day.

    Django's `date` filter would take ten times as long, and a page shows many.
    """
    local = timezone.localtime(moment)
    recent = " data-ago" if timezone.now() - moment < timedelta(days=1) else ""
    full = f"{local.day} {local:%B %Y, %H:%M:%S %Z}"
    return format_html('<time datetime="{}" title="{}"{}>{}</time>', local.isoformat(), full, recent, since(moment))


def since(moment: datetime) -> str:
    """Return the time since `moment`: "just now", "5 minutes ago", "yesterday"; after a week, the date."""
    now = timezone.now()
    minutes = int((now - moment).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    for unit, length, limit in (("minute", 1, 60), ("hour", 60, 24 * 60)):
        if minutes < limit:
            number = minutes // length
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    days = (timezone.localdate(now) - timezone.localdate(moment)).days
    if days > 7:
        local = timezone.localtime(moment)
        return f"{local.day} {local:%B %Y}"
    return "yesterday" if days == 1 else f"{days} days ago"
