from datetime import datetime, timedelta

from django import template
from django.utils import formats, timezone

register = template.Library()


@register.filter
def duration(seconds: int) -> str:
    """Return whole seconds as people say them: "12 s", "5 min 12 s"; static/js/clock.js counts on in the same form."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


@register.filter
def ago(moment: datetime) -> str:
    """Return how long ago that was: "just now", "5 minutes ago", "yesterday"; after a week the day itself.

    static/js/clock.js goes on in the same words while it is of today.
    """
    now = timezone.now()
    minutes = int((now - moment).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    for unit, length, most in (("minute", 1, 60), ("hour", 60, 24 * 60)):
        if minutes < most:
            number = minutes // length
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    days = (timezone.localdate(now) - timezone.localdate(moment)).days
    if days > 7:
        return formats.date_format(timezone.localtime(moment), "j F Y")
    return "yesterday" if days == 1 else f"{days} days ago"


@register.filter
def is_of_today(moment: datetime) -> bool:
    """Tell whether `ago` counts hours or less."""
    return timezone.now() - moment < timedelta(days=1)
