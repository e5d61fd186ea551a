"""What SQL alone shows of threads: their rows."""

from __future__ import annotations

from sqlalchemy import select

from celeriac.database import connect, reading
from celeriac.platform.agents.threads import Entry
from celeriac.platform.store.thread_tables import threads
from threads.conftest import opened


def titled(*texts: str) -> list[Entry]:
    return [Entry(id=f"m{n}", kind="user", data={"text": text}, checksum="") for n, text in enumerate(texts)]


def test_a_thread_has_the_beginning_of_its_first_message_as_its_title(database_url: str) -> None:
    with opened(database_url) as kept:
        kept.open("ten_a", "t", user_id="ann")
        kept.append("ten_a", "t", [Entry(id="r", kind="agent", agent="A", data={"messages": []}, checksum="")])
        kept.append("ten_a", "t", titled("How  do I\n" + "x" * 99, "never this"))
        kept.append("ten_a", "t", titled("nor this"))
    engine = connect(database_url)
    with reading(engine) as connection:
        row = connection.execute(select(threads)).one()
    engine.dispose()
    assert (row.title, row.user_id) == ("How do I " + "x" * 41, "ann")
    assert row.updated_at >= row.created_at
