"""The words of tickets: subjects and bodies composed of sentences that carry intent and mood."""

from __future__ import annotations

from itertools import product

INTENTS = ("cancel", "complaint", "billing", "bug", "how_to", "praise")
MOODS = ("negative", "neutral", "positive")
CATEGORIES = ("cancellation", "complaint", "billing", "technical", "how_to", "feedback")

_SUBJECTS: dict[str, tuple[str, ...]] = {
    "cancel": (
        "How do we cancel our subscription",
        "Cancelling our account",
        "We want to end the contract",
        "Notice period and cancellation",
    ),
    "complaint": (
        "Unhappy with the service",
        "Complaint about support",
        "Still waiting for an answer",
        "This is not acceptable",
    ),
    "billing": (
        "Question about our invoice",
        "Invoice higher than expected",
        "Payment method",
        "Charge on our account",
    ),
    "bug": (
        "Error when saving a report",
        "Dashboard does not load",
        "Import fails",
        "Wrong totals in the export",
    ),
    "how_to": (
        "How to share a dashboard",
        "Setting up an integration",
        "Question about user roles",
        "How do I schedule a report",
    ),
    "praise": (
        "Thank you",
        "Great update",
        "Kudos to your team",
        "Happy with the new release",
    ),
}

_OPENINGS: dict[str, tuple[str, ...]] = {
    "negative": (
        "We are really disappointed.",
        "I am frustrated with this.",
        "This is the third time I write about it.",
        "Honestly, this has been a terrible week with your product.",
        "My team is annoyed and so am I.",
        "We are losing patience.",
    ),
    "neutral": (
        "Hello,",
        "Hi there,",
        "Good morning,",
        "Dear support team,",
        "A question from our side.",
        "Following up on our account.",
    ),
    "positive": (
        "First of all, we love the product.",
        "Thanks for the quick help last time.",
        "We are very happy so far.",
        "Great work on the new version!",
        "The last update is excellent.",
        "Your team has been wonderful.",
    ),
}

_MATTERS: dict[str, tuple[str, ...]] = {
    "cancel": (
        "We are thinking of cancelling our subscription and need to know the notice period.",
        "Please tell us how to cancel before the next renewal.",
        "We plan to switch to another vendor and want to export our data.",
        "Our management wants to terminate the contract.",
        "We hardly use it any more and want to close our account.",
        "A competitor made us an offer and we are considering leaving.",
    ),
    "complaint": (
        "Nobody answered our last ticket for days.",
        "The support we get is poor and the answers are useless.",
        "The product has become slow and unreliable.",
        "Promises were made to us that were not kept.",
        "Our account manager does not call back.",
        "We were sent from one agent to the next without a solution.",
    ),
    "billing": (
        "The invoice does not match what we agreed.",
        "The price has gone up and nobody explained why.",
        "Our card was declined and we need to update the payment details.",
        "We were charged twice this month and ask for a refund.",
        "Please send the invoice to our accounting department.",
        "Which seats are we paying for at the moment?",
    ),
    "bug": (
        "The export stops with an error message.",
        "The dashboard shows an empty page after login.",
        "Numbers in the report differ from those in the table.",
        "The import of our file crashes halfway.",
        "Alerts are sent twice since yesterday.",
        "The integration loses its connection every night.",
    ),
    "how_to": (
        "How can we share a dashboard with a client?",
        "Where do I set the role of a new colleague?",
        "Is there a way to schedule the weekly report?",
        "How do we connect our data warehouse?",
        "Can we copy a template between workspaces?",
        "What does the segment filter do exactly?",
    ),
    "praise": (
        "The new automation saves us hours every week.",
        "Setting up the integration was easy.",
        "Our colleagues find the reports very helpful.",
        "The forecasts are impressive.",
        "Everything runs smoothly since the update.",
        "We recommended you to a partner company.",
    ),
}

_CLOSINGS: dict[str, tuple[str, ...]] = {
    "negative": (
        "This is unacceptable.",
        "It is a waste of our time and money.",
        "We expect a solution today.",
        "If this stays so bad we will look for something else.",
        "Very poor.",
    ),
    "neutral": (
        "Please let us know.",
        "Looking forward to your answer.",
        "Regards",
        "Could you check this?",
        "Any time this week is fine.",
    ),
    "positive": (
        "Thank you, you are a great help!",
        "Keep up the good work.",
        "Thanks in advance, and no hurry.",
        "We are glad that we chose you.",
        "Best wishes from a happy team.",
    ),
}


def _bodies(intent: str, mood: str) -> tuple[str, ...]:
    """Return every body that an intent and a mood can have."""
    parts = product(_OPENINGS[mood], _MATTERS[intent], _CLOSINGS[mood])
    return tuple(" ".join(sentences) for sentences in parts)


SUBJECTS: tuple[str, ...] = tuple(line for intent in INTENTS for line in _SUBJECTS[intent])
SUBJECTS_PER_INTENT = 4
BODIES: tuple[str, ...] = tuple(
    body for intent in INTENTS for mood in MOODS for body in _bodies(intent, mood)
)
BODIES_PER_MOOD = 180
