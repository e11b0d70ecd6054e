from django.db import models


class DayOfUse(models.Model):
    """What was counted of a day that is over, for the figures: numbers alone, of nobody in particular.

    `zone` is the time zone whose day it is; `counts` is what `review.figures` counted, an empty object where nothing
    was asked.
    """

    zone = models.CharField(max_length=64)
    day = models.DateField()
    counts = models.JSONField(default=dict)

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["zone", "day"], name="one_count_of_a_day")]

    def __str__(self) -> str:
        return f"Use on {self.day}"
