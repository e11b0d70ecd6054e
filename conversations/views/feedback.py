"""The owner's feedback on an answer."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, HttpResponseBadRequest
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from conversations import actions
from conversations.forms import FeedbackForm, RatingForm
from conversations.models import Feedback, Message
from conversations.rendering.plain_text import beginning
from conversations.request import SignedInRequest
from conversations.views.lookups import get_answer
from conversations.views.refusals import explain_refusals


@login_required
@require_POST
@explain_refusals
def rate(request: SignedInRequest, pk: int) -> HttpResponse:
    """Save a rating and offer a form for a comment; the current rating again deletes the feedback."""
    message = get_answer(request, pk)
    form = RatingForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest()
    feedback = actions.rate(message=message, rating=form.cleaned_data["rating"])
    if request.htmx:
        return _rating(request, message, feedback, form=FeedbackForm(instance=feedback) if feedback else None)
    return redirect("feedback", pk) if feedback else redirect(message.conversation)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
@explain_refusals
def edit(request: SignedInRequest, pk: int) -> HttpResponse:
    message = get_answer(request, pk)
    feedback = Feedback.objects.filter(message=message).first()
    form = FeedbackForm(request.POST or None, instance=feedback)
    if request.method == "POST" and form.is_valid():
        feedback = actions.give_feedback(message=message, **form.cleaned_data)
        result = "Reviewers can now read this conversation." if feedback.shared else "Feedback saved."
        confirmation = f"Thank you. {result}"
        if request.htmx:
            return _rating(request, message, feedback, confirmation=confirmation)
        messages.success(request, confirmation)
        return redirect(message.conversation)
    if request.htmx:
        return _rating(request, message, feedback, form=form)
    return render(
        request, "conversations/feedback.html", {"form": form, "message": message, "quoted": beginning(message.content)}
    )


def _rating(request: SignedInRequest, message: Message, feedback: Feedback | None, **context: object) -> HttpResponse:
    """Return the element below the answer that shows its rating."""
    context |= {"message": message, "rating": feedback.rating if feedback else ""}
    return render(request, "conversations/_rating.html", context)
