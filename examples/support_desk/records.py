"""What the desk looks things up in: tickets, the knowledge base, release notes. Stands for databases of your own."""

from __future__ import annotations

from pydantic import BaseModel


class Ticket(BaseModel):
    """What a customer asked."""

    id: str
    title: str
    priority: str


class Article(BaseModel):
    """Something that is written down."""

    title: str
    content: str


TICKETS = {
    ticket.id: ticket
    for ticket in (
        Ticket(id="T123", title="Cannot login", priority="medium"),
        Ticket(id="T124", title="How can I upvote an item?", priority="low"),
        Ticket(id="T125", title="the /api/v1/users endpoint is not working and crashes my app", priority="critical"),
    )
}

KNOWLEDGE_BASE = [
    Article(title="Login", content="Reset your password under Account, then sign in again; sessions last 30 days."),
    Article(title="Voting", content="To upvote an item, press the arrow beside it. Press again to take it back."),
    Article(title="Exports", content="Reports are exported as CSV from their menu."),
    Article(title="Billing", content="Invoices are sent on the first of each month."),
]

RELEASE_NOTES = [
    Article(title="2.3", content="Rewrote the /api/v1/users endpoint; it answers in pages now."),
    Article(title="2.2", content="Faster search over items."),
    Article(title="2.1", content="Dark mode, and votes that can be taken back."),
]


def find_ticket(ticket_id: str) -> Ticket | None:
    """Return a ticket, or None."""
    return TICKETS.get(ticket_id)


def search_articles(keyword: str) -> list[Article]:
    """Return the articles of the knowledge base that have the keyword in them."""
    return _having(KNOWLEDGE_BASE, keyword)


def search_releases(query: str) -> list[Article]:
    """Return the release notes that have the words in them."""
    return _having(RELEASE_NOTES, query)


def _having(articles: list[Article], words: str) -> list[Article]:
    return [article for article in articles if words.lower() in f"{article.title} {article.content}".lower()]
