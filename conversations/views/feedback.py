"""What a person says of an answer, and whether reviewers may know."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from conversations.forms import FeedbackForm
from conversations.models import Feedback, Message, Role
from conversations.review import queue


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    answers = Message.objects.visible_to(request.user).filter(role=Role.ASSISTANT)
    message = get_object_or_404(answers.select_related("conversation"), pk=pk)
    given = Feedback.objects.filter(message=message).first()
    form = FeedbackForm(request.POST or None, instance=given)
    if request.method == "POST" and form.is_valid():
        feedback = queue.give_feedback(message=message, **form.cleaned_data)
        kept = "Thank you. Reviewers can read this conversation now." if feedback.shared else "Thank you. It is kept."
        messages.success(request, kept)
        return redirect(message.conversation)
    return render(request, "conversations/feedback.html", {"form": form, "message": message})
