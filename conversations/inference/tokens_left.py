"""The notice near the composer when somebody's tokens of the day are nearly used up."""

from chatsite.time_zones import describe_moment, site_day, start_of_next_day
from conversations.models import DailyUsage
from conversations.models.access import Member, allowed_models, daily_limits

NOTICE_BELOW = 0.1  # of a limit


def tokens_left(user_id: int, member: Member) -> str | None:
    """Return what is left of each limit of which little is left, and until when; "" if there is none.

    None if nothing limits what this person, who is `member` too, may use. Otherwise one query, and one for groups.
    """
    if not (limits := daily_limits(member, allowed_models(member).values())):
        return None
    used = DailyUsage.objects.on(site_day()).filter(user=user_id).by_model()
    sentences = []
    for limit in limits:
        left = max(0, limit.tokens - (used.get(limit.model, 0) if limit.model else sum(used.values())))
        if not left:
            sentences.append(f"You've used today's {limit.tokens:,} tokens{limit.suffix}.")
        elif left < NOTICE_BELOW * limit.tokens:
            sentences.append(f"You have {left:,} of today's {limit.tokens:,} tokens left{limit.suffix}.")
    if sentences:
        resets = "The counts reset" if len(sentences) > 1 else "The count resets"
        sentences.append(f"{resets} at {describe_moment(start_of_next_day())}.")
    return " ".join(sentences)
