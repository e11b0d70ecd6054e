"""What is known of models by their names. It counts where the operator's variables or TOML say nothing."""

import re
from dataclasses import dataclass

CONTEXT_TOKENS = 131_072  # of DeepSeek's V3 generation


@dataclass(frozen=True, slots=True)
class Profile:
    """What a model can do.

    `thinking` is "always", "switchable" (it thinks, and that can be switched off), "never", or "" if that is not known.
    `efforts` are the values of `reasoning_effort` that it takes, lowest first. `max_output_tokens` is 0 if the endpoint
    sets the limit. An empty `dialect` is recognised by the endpoint's address.
    """

    thinking: str = ""
    efforts: tuple[str, ...] = ()
    images: bool = False
    prefix_completion: bool = False
    context_tokens: int = CONTEXT_TOKENS
    max_output_tokens: int = 0
    dialect: str = ""


# Patterns of whole names, ignoring case; the first that matches counts.
PROFILES: tuple[tuple[str, Profile], ...] = (
    (r"deepseek-v4-(flash|pro)", Profile(thinking="switchable", efforts=("low", "high", "max"))),
)
UNKNOWN = Profile()


def profile_of(name: str) -> Profile:
    """Return what is known of the model with this name at its endpoint."""
    return next((found for pattern, found in PROFILES if re.fullmatch(pattern, name, re.IGNORECASE)), UNKNOWN)
