from datetime import datetime, timedelta

from django import template
from django.utils import formats, timezone

register = template.Library()


@register.filter
def duration(seconds: int) -> str:
    """Return whole seconds as "12 s" or "5 min 12 s", as static/js/clock.js does."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@register.filter
def ago(moment: datetime) -> str:
    """Return the time since `moment`: "just now", "5 minutes ago", "yesterday"; after a week, the date.

    static/js/clock.js updates it in the same words while `is_within_a_day`.
    """
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
        return formats.date_format(timezone.localtime(moment), "j F Y")
    return "yesterday" if days == 1 else f"{days} days ago"


@register.filter
def is_within_a_day(moment: datetime) -> bool:
    """Return whether `ago` is still in minutes or hours."""
    return timezone.now() - moment < timedelta(days=1)
