"""Errors of the SDK become errors of ours; anything else stays what it is."""

import openai
import pytest

from conversations.inference import errors


def test_an_unknown_error_is_not_translated():
    with pytest.raises(KeyError):
        errors.translate(KeyError())
    assert isinstance(errors.translate(openai.OpenAIError()), errors.EndpointFailed)
