"""What a person says of an answer, and whether reviewers may know."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from conversations import actions
from conversations.forms import FeedbackForm, RatingForm
from conversations.models import Feedback, Message, Role


@login_required
@require_POST
def rate(request: HttpRequest, pk: int) -> HttpResponse:
    """Keep a rating and ask for a comment, which nobody needs to give; the same rating once more takes it back."""
    message = _answer(request, pk)
    form = RatingForm(request.POST)
    if not form.is_valid():
        return HttpResponseBadRequest()
    given = actions.rate(message=message, rating=form.cleaned_data["rating"])
    if request.htmx:
        return _rating(request, message, given, form=FeedbackForm(instance=given) if given else None)
    return redirect("feedback", pk) if given else redirect(message.conversation)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    message = _answer(request, pk)
    given = Feedback.objects.filter(message=message).first()
    form = FeedbackForm(request.POST or None, instance=given)
    if request.method == "POST" and form.is_valid():
        feedback = actions.give_feedback(message=message, **form.cleaned_data)
        kept = (
            "Thank you. Reviewers can now read this conversation." if feedback.shared else "Thank you. Feedback saved."
        )
        if request.htmx:
            return _rating(request, message, feedback, said=kept)
        messages.success(request, kept)
        return redirect(message.conversation)
    if request.htmx:
        return _rating(request, message, given, form=form)
    return render(request, "conversations/feedback.html", {"form": form, "message": message})


def _answer(request: HttpRequest, pk: int) -> Message:
    answers = Message.objects.visible_to(request.user).filter(role=Role.ASSISTANT)
    return get_object_or_404(answers.select_related("conversation"), pk=pk)


def _rating(request: HttpRequest, message: Message, given: Feedback | None, **context: object) -> HttpResponse:
    """Return what stands below the answer now."""
    return render(
        request, "conversations/_rating.html", {"message": message, "rating": given.rating if given else "", **context}
    )
