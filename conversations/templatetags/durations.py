from django import template

register = template.Library()


@register.filter
def duration(seconds: int) -> str:
    """Return whole seconds as people say them: "12 s", "5 min 12 s"; static/js/clock.js counts on in the same form."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
