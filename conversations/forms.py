import uuid
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError

from conversations.actions.shares import DAYS
from conversations.inference.choice import Choice
from conversations.inference.registry import Models
from conversations.models import Audience, Depth, Feedback, Instructions, Rating, User, folder, saved_prompt
from conversations.models.access import allowed_models
from conversations.models.conversation import TITLE_CHARACTERS
from conversations.models.instructions import INSTRUCTIONS_CHARACTERS

DEFAULT_DAYS = 30  # until a link expires
DAY_NAMES = {1: "1 day", 365: "1 year"}


class ChoiceForm(forms.Form):
    """Which model is to answer and how deeply it is to think; both optional. `choose` says whether they are offered."""

    model = forms.CharField(required=False, max_length=200)
    depth = forms.CharField(required=False, max_length=20)

    def clean(self) -> dict[str, Any]:
        """Replace both by `choice`."""
        found = self.cleaned_data
        return found | {"choice": Choice(found.pop("model", ""), found.pop("depth", ""))}


class IdsField(forms.Field):
    """The ids of attachments, each once, in the order in which they were given."""

    widget = forms.MultipleHiddenInput

    def to_python(self, value: Any) -> list[uuid.UUID]:
        try:
            return list(dict.fromkeys(uuid.UUID(str(each)) for each in value or ()))
        except ValueError as error:
            raise ValidationError("not an id") from error


class ComposerForm(forms.Form):
    """The composer in which an uploaded file waits: the id of a conversation; none for a new conversation."""

    composer = forms.UUIDField(required=False)


class PromptForm(ChoiceForm):
    """A prompt: `content`, with leading and trailing white space, and the `key` that makes a resend harmless.

    Files that it uploads are attached before: see `views.attached.take_files`.
    """

    content = forms.CharField(
        strip=False,
        max_length=settings.PROMPT_CHARACTERS,
        error_messages={
            "required": "Enter a question.",
            "max_length": "Your question has %(show_value)d characters. Shorten it to %(limit_value)d or fewer.",
            "null_characters_not_allowed": "Remove the NUL characters from your question: they cannot be stored.",
        },
    )
    key = forms.UUIDField(
        required=False, error_messages={"invalid": "There is a problem with this form. Reload the page and try again."}
    )

    def clean_content(self) -> str:
        content: str = self.cleaned_data["content"].replace("\r\n", "\n")
        if not content.strip():
            raise ValidationError(self.fields["content"].error_messages["required"])
        return content

    @property
    def first_error(self) -> str:
        return next(str(message) for messages in self.errors.values() for message in messages)


class KeyForm(forms.Form):
    """The `key` that makes a resend harmless, for actions without other fields."""

    key = forms.UUIDField(required=False)


class RegenerateForm(ChoiceForm, KeyForm):
    pass


class PreferencesForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ("theme", "reasoning", "model", "depth", "single_keys")
        widgets = {"theme": forms.RadioSelect, "reasoning": forms.RadioSelect}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Offer the models that the person may use, and depths; leave out the fields without a choice."""
        super().__init__(*args, **kwargs)
        models: Models = allowed_models(self.instance)
        offered = {depth for model in models.values() for depth in model.depths}
        labels = [(model.id, model.label) for model in models.values()]
        depths = [(depth.value, depth.label) for depth in Depth if depth in offered]
        for name, label, first, choices in (
            ("model", "Model for new conversations", labels[0][1] if labels else "", labels if len(labels) > 1 else []),
            ("depth", "Depth of thought for new conversations", Depth.NORMAL.label, depths),
        ):
            if not choices:
                del self.fields[name]
                continue
            options = [("", f"The site's choice ({first})"), *choices]
            widget = forms.RadioSelect
            self.fields[name] = forms.ChoiceField(label=label, choices=options, required=False, widget=widget)


class ThemeForm(forms.ModelForm):
    class Meta:
        model = User
        fields = ("theme",)


class LinesField(forms.CharField):
    """A text of several lines. Browsers send two characters for the end of each, and count one."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


class InstructionsForm(forms.Form):
    """Instructions for the model; empty ones switch them off."""

    content = LinesField(
        required=False,
        max_length=INSTRUCTIONS_CHARACTERS,
        error_messages={
            "max_length": "The instructions have %(show_value)d characters. Shorten them to %(limit_value)d or fewer.",
            "null_characters_not_allowed": "Remove the NUL characters: they cannot be stored.",
        },
    )

    def __init__(self, data: Any = None, *, instructions: Instructions | None = None) -> None:
        super().__init__(data, initial={"content": instructions.content if instructions else ""})


class RatingForm(forms.Form):
    """A rating by one of the two buttons below an answer."""

    rating = forms.ChoiceField(choices=[(Rating.GOOD, "Good"), (Rating.BAD, "Poor")])


class FeedbackForm(forms.ModelForm):
    rating = forms.ChoiceField(choices=Rating.choices, widget=forms.RadioSelect)

    class Meta:
        model = Feedback
        fields = ("rating", "comment", "shared")
        widgets = {"comment": forms.Textarea(attrs={"rows": 4})}


class RenameForm(forms.Form):
    title = forms.CharField(max_length=TITLE_CHARACTERS)


class PinForm(forms.Form):
    """Whether to pin a conversation or to unpin it: said, not toggled, so that a resend changes nothing."""

    pinned = forms.TypedChoiceField(choices=[("1", "Pin"), ("0", "Unpin")], coerce="1".__eq__)


class ArchiveForm(forms.Form):
    archived = forms.TypedChoiceField(choices=[("1", "Archive"), ("0", "Unarchive")], coerce="1".__eq__)


class ShareForm(forms.Form):
    """Who can read what, and for how long. By default members, no reasoning, no files, `DEFAULT_DAYS`."""

    audience = forms.ChoiceField(choices=Audience, required=False, widget=forms.RadioSelect)
    with_reasoning = forms.BooleanField(required=False, label="Include the reasoning")
    with_files = forms.BooleanField(required=False, label="Include the files")
    days = forms.ChoiceField(
        choices=[(days, DAY_NAMES.get(days, f"{days} days")) for days in DAYS],
        required=False,
        label="The link works for",
    )

    def __init__(self, data: Any = None) -> None:
        """Offer the audiences that the site allows."""
        super().__init__(data, initial={"audience": Audience.MEMBERS, "days": DEFAULT_DAYS})
        if settings.SHARING != "public":
            members = [(Audience.MEMBERS.value, Audience.MEMBERS.label)]
            self.fields["audience"] = forms.ChoiceField(choices=members, required=False, widget=forms.RadioSelect)

    def clean_audience(self) -> str:
        return self.cleaned_data["audience"] or Audience.MEMBERS

    def clean_days(self) -> int:
        return int(self.cleaned_data["days"] or DEFAULT_DAYS)


class PageForm(forms.Form):
    page = forms.IntegerField(required=False, min_value=1, max_value=1_000)


class ListForm(forms.Form):
    """What a page of the list shows: a folder, by its id, and what comes after a cursor; with all of it selected."""

    folder = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)
    before = forms.CharField(required=False)
    select = forms.CharField(required=False)


class NameField(forms.CharField):
    """A name in one line, without white space around it or repeated in it."""

    def to_python(self, value: Any) -> str:
        return " ".join(str(super().to_python(value)).split())


NAME_ERRORS = {
    "required": "Enter a name.",
    "max_length": "Use %(limit_value)d characters or fewer.",
    "null_characters_not_allowed": "Remove the NUL characters: they cannot be stored.",
}


class FolderForm(forms.Form):
    name = NameField(max_length=folder.NAME_CHARACTERS, error_messages=NAME_ERRORS)


class SavedPromptForm(forms.Form):
    name = NameField(max_length=saved_prompt.NAME_CHARACTERS, error_messages=NAME_ERRORS)
    text = LinesField(
        max_length=saved_prompt.PROMPT_CHARACTERS,
        error_messages={
            "required": "Enter a text.",
            "max_length": "The text has %(show_value)d characters. Shorten it to %(limit_value)d or fewer.",
            "null_characters_not_allowed": "Remove the NUL characters: they cannot be stored.",
        },
    )


class PromptChoiceForm(forms.Form):
    """The id of a saved prompt for the composer."""

    prompt = forms.IntegerField(required=False, min_value=1, max_value=2**63 - 1)


class SelectedForm(forms.Form):
    """Selected conversations, and what to do with them."""

    conversation = IdsField(required=False)
    do = forms.ChoiceField(choices=[(name, name) for name in ("archive", "unarchive", "move", "export", "delete")])


MAX_WORDS = 20  # of a search: each is looked up by itself


class SearchForm(forms.Form):
    """Search terms, and the key of the last result on the page before."""

    q = forms.CharField(
        max_length=200,
        error_messages={"required": "Enter a search term.", "max_length": "Use 200 characters or fewer."},
    )
    before = forms.IntegerField(required=False, min_value=1)

    def clean_q(self) -> str:
        query: str = self.cleaned_data["q"]
        if len(query.split()) > MAX_WORDS:
            raise ValidationError(f"Use {MAX_WORDS} words or fewer.")
        return query


class FindForm(forms.Form):
    """Words to find in one text."""

    q = forms.CharField(max_length=200, required=False)


class PositionForm(forms.Form):
    """The position of a page of messages: before a message, or around one. Both are ids.

    The words of `find` are marked in the message with the id `found`.
    """

    before = forms.IntegerField(required=False, min_value=1)
    message = forms.IntegerField(required=False, min_value=1)
    found = forms.IntegerField(required=False, min_value=1)
    find = forms.CharField(max_length=200, required=False)
