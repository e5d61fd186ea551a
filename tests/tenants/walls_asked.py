"""All that the rooms behind the second wall can be asked for one tenant, each asked with what is another's.

`ASKED` is what `test_row_security.py` removes the filters from. A public method of one of these rooms stands in it, or
in `BESIDE` with the reason why not; a new one that stands in neither fails a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from inspect import isfunction, signature
from typing import Any

from sqlalchemy import Engine
from walls_stage import CANARIES, CIPHER, EMBEDDER, KEY_OF, SHARED_ADDRESS, THREAD, World, given, said, unanswered

from celeriac.database import reading
from celeriac.platform.durable.rerun import Wish
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.memory.scope import Scope, qualified
from celeriac.platform.memory.sql_vectors import SqlVectors
from celeriac.platform.store.sql_operations import SqlOperations
from celeriac.platform.store.sql_reads import SqlReads
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.sql_threads import SqlThreads
from celeriac.platform.store.sql_usage import SqlUsages
from celeriac.tenants.audit import Audit
from celeriac.tenants.idempotency import GivenAnswers
from celeriac.tenants.invitations import Invitations
from celeriac.tenants.keys import Keys
from celeriac.tenants.people import People
from celeriac.tenants.roles import permissions
from celeriac.tenants.secrets import Secrets
from celeriac.tenants.signing import SigningKeys

#: the rooms, and of the store, which is mostly the engine's, what is asked for one tenant
ROOMS = (
    SqlReads,
    SqlOperations,
    SqlUsages,
    SqlThreads,
    SqlVectors,
    Keys,
    SigningKeys,
    Secrets,
    People,
    Invitations,
    Audit,
    GivenAnswers,
    SqlStore,
)

_INSERTS = "makes what is the caller's own: that a row of another's is refused has a test of its own"
_FLEET = "the fleet's, for all tenants in turn"
_OPERATORS = "an operator's, for the whole installation"
_PROOF = "whose it is, is known only by this"
_OF_USERS = "a user is no tenant's"

#: what is asked beside the wall or needs no wall, and why
BESIDE = {
    "SqlReads.loads": _OPERATORS,
    "SqlReads.workers": "workers are no tenant's",
    "SqlOperations.begin": _INSERTS,
    **dict.fromkeys(
        (
            f"SqlOperations.{name}"
            for name in ("running", "advance", "count_ended", "delete_runs", "delete_events", "delete_actions")
        ),
        _FLEET,
    ),
    **dict.fromkeys(
        (f"SqlOperations.{name}" for name in ("declare", "declared", "schemas", "pause")), "a part of the store's"
    ),
    "SqlOperations.delete_free_keys": "sweeps what stands for nobody any more, of all tenants",
    "SqlStore.ingest": "the intake is the engine's, as nothing is matched twice",
    "SqlUsages.today": "no tenant's day differs",
    "SqlUsages.roll": _FLEET,
    "SqlThreads.open": _INSERTS,
    "SqlVectors.insert": _INSERTS,
    **dict.fromkeys(
        (f"SqlVectors.{name}" for name in ("keyword_search", "create_col", "list_cols", "col_info", "delete_col")),
        "asks no database",
    ),
    "SqlVectors.reset": "asks no database",
    "Keys.create": _INSERTS,
    **dict.fromkeys(("Keys.verify", "Keys.active"), _PROOF),
    "SigningKeys.read_channel_token": "looks as `check` does, for the tenant that the token names",
    "SigningKeys.keep": "a part of `Keys.create`",
    "SigningKeys.forget": "asks no database",
    **dict.fromkeys(("Secrets.rotate", "Secrets.keys_in_use"), _OPERATORS),
    **dict.fromkeys(("People.sign_in", "People.session", "People.places"), _PROOF),
    **dict.fromkeys(
        (f"People.{name}" for name in ("users", "named", "create", "set_password", "disable", "enable")), _OF_USERS
    ),
    **dict.fromkeys(("Invitations.opened", "Invitations.accept"), _PROOF),
    "Audit.note": _INSERTS,
    "Audit.delete_before": _FLEET,
    "GivenAnswers.delete_old": _FLEET,
}


def asked_for_a_tenant() -> Iterator[str]:
    """Name each public method of the rooms; of the store those that name a tenant."""
    for room in ROOMS:
        for name in dir(room):
            method = getattr(room, name)
            is_meant = isfunction(method) and not name.startswith("_")
            if is_meant and (room is not SqlStore or _names_a_tenant(method)):
                yield f"{room.__name__}.{name}"


def _names_a_tenant(method: Callable[..., Any]) -> bool:
    return "tenant_id" in signature(method).parameters


def _vectors(engine: Engine) -> SqlVectors:
    """Return the store of memories, without the check that Mem0's answers go through."""
    return SqlVectors(engine, EMBEDDER.name)


def _keys(w: World, e: Engine) -> Keys:
    return Keys(w.engine, lambda: CIPHER, walled=e)


def _signing(e: Engine) -> SigningKeys:
    return SigningKeys(e, lambda: CIPHER)


def _secrets(w: World, e: Engine) -> Secrets:
    return Secrets(w.engine, lambda: CIPHER, walled=e)


def _people(w: World, e: Engine) -> People:
    return People(w.engine, walled=e)


def _invitations(w: World, e: Engine) -> Invitations:
    return Invitations(w.engine, _people(w, e), walled=e)


def _answers(w: World, e: Engine) -> GivenAnswers:
    return GivenAnswers(w.engine, walled=e)


def _usages(w: World, e: Engine) -> SqlUsages:
    return SqlUsages(w.engine, walled=e)


def _store(w: World, e: Engine) -> SqlStore:
    return SqlStore(w.engine, walled=e)


def _their_rows(w: World, table: str, act: Callable[[], object]) -> Any:
    """Do it, and return the sum over the other tenant's rows; no filter that is removed names them."""
    act()
    rows = f"SELECT md5(string_agg(row::text, ' ' ORDER BY row::text)) FROM {table} AS row"
    with reading(w.engine) as connection:
        return connection.exec_driver_sql(f"{rows} WHERE tenant_id LIKE '{w.other}'").scalar_one()


def _today() -> Any:
    return datetime.now(UTC).date()


#: all that people ask of the database for one tenant, here with the ids of another
ASKED: dict[str, Callable[[World, Engine], Any]] = {
    "SqlReads.runs": lambda w, e: SqlReads(e).runs(w.me, RunFilter()),
    "SqlReads.runs chosen": lambda w, e: SqlReads(e).runs(w.me, RunFilter(if_="event.data.canary == true")),
    "SqlReads.runs of an event": lambda w, e: SqlReads(e).runs(w.me, RunFilter(event_name="bank/day.ended")),
    "SqlReads.run": lambda w, e: SqlReads(e).run(w.me, w.runs.run),
    "SqlReads.view": lambda w, e: SqlReads(e).view(w.me, w.runs.run),
    "SqlReads.reasons": lambda w, e: SqlReads(e).reasons(
        w.me, [run.id for run in SqlReads(w.engine).runs(w.other, RunFilter()).runs]
    ),
    "SqlReads.approvals": lambda w, e: SqlReads(e).approvals(w.me),
    "SqlReads.approvals of a run": lambda w, e: SqlReads(e).approvals(w.me, run_id=w.runs.asking),
    "SqlReads.event_runs": lambda w, e: SqlReads(e).event_runs(w.me, w.runs.event),
    "SqlReads.functions": lambda w, e: SqlReads(e).functions(w.me),
    "SqlReads.declared": lambda w, e: [(one.name, one.is_paused) for one in SqlReads(e).declared(w.me)],
    "SqlReads.queued_runs": lambda w, e: SqlReads(e).queued_runs(w.me),
    "SqlOperations.count": lambda w, e: SqlOperations(e).count(w.me, "rerun", RunFilter()),
    "SqlOperations.actions": lambda w, e: SqlOperations(e).actions(w.me),
    "SqlOperations.action": lambda w, e: SqlOperations(e).action(w.me, w.runs.action),
    "SqlOperations.abort": lambda w, e: SqlOperations(e).abort(w.me, w.runs.action),
    "SqlOperations.rerun": lambda w, e: SqlOperations(e).rerun(w.me, w.runs.run, Wish()),
    "SqlUsages.usage": lambda w, e: _usages(w, e).usage(w.me, _today(), _today()),
    "SqlUsages.spent": lambda w, e: _usages(w, e).spent(w.me, _today()),
    "SqlUsages.spent_now": lambda w, e: _usages(w, e).spent_now(w.me),
    "SqlThreads.entries": lambda w, e: SqlThreads(e).entries(w.me, THREAD, last=9),
    "SqlThreads.append": lambda w, e: SqlThreads(e).append(w.me, THREAD, [said("budgies")]),
    "SqlThreads.delete": lambda w, e: SqlThreads(e).delete(w.me, THREAD),
    "SqlVectors.list": lambda w, e: _vectors(e).list({"user_id": Scope.of(w.me, "ada").key}),
    "SqlVectors.search": lambda w, e: _vectors(e).search("", CANARIES, 5, {"user_id": Scope.of(w.me, "ada").key}),
    "SqlVectors.get": lambda w, e: _vectors(e).get(qualified(w.me, w.memory)),
    "SqlVectors.update": lambda w, e: _vectors(e).update(qualified(w.me, w.memory), CANARIES, {"data": "budgies"}),
    "SqlVectors.delete": lambda w, e: _vectors(e).delete(qualified(w.me, w.memory)),
    "Keys.list": lambda w, e: _keys(w, e).list(w.me),
    "Keys.get": lambda w, e: _keys(w, e).get(w.me, w.others.key),
    "Keys.rotate": lambda w, e: _keys(w, e).rotate(w.others.key, tenant_id=w.me),
    "Keys.revoke": lambda w, e: _keys(w, e).revoke(w.others.key, tenant_id=w.me),
    "SigningKeys.sign": lambda w, e: _signing(e).sign(w.me, b""),
    "SigningKeys.check": lambda w, e: _signing(e).check(w.me, b"", _signing(w.engine).sign(w.other, b"")),
    "SigningKeys.channel_token": lambda w, e: _signing(e).channel_token(w.me, "run", ["told"]),
    "Secrets.list": lambda w, e: _secrets(w, e).list(w.me),
    "Secrets.key_of": lambda w, e: _secrets(w, e).key_of(w.me, KEY_OF),
    "Secrets.put": lambda w, e: _their_rows(
        w, "tenant_secrets", lambda: _secrets(w, e).put(w.me, "main", "budgies", actor="cli:me")
    ),
    "Secrets.remove": lambda w, e: _secrets(w, e).remove(w.me, "spare", actor="cli:me"),
    "People.members": lambda w, e: _people(w, e).members(w.me),
    "People.set_role": lambda w, e: _their_rows(
        w, "memberships", lambda: _people(w, e).set_role(w.me, w.others.of_both, "operator")
    ),
    "People.change_role": lambda w, e: _their_rows(
        w,
        "memberships",
        lambda: _people(w, e).change_role(w.me, w.others.member, "operator", may=permissions("owner")),
    ),
    "People.remove": lambda w, e: _people(w, e).remove(w.me, w.others.member),
    "Invitations.open_ones": lambda w, e: _invitations(w, e).open_ones(w.me),
    "Invitations.get": lambda w, e: _invitations(w, e).get(w.me, w.others.invitation),
    "Invitations.create": lambda w, e: _their_rows(
        w, "invitations", lambda: _invitations(w, e).create(w.me, SHARED_ADDRESS, "viewer")
    ),
    "Invitations.take_back": lambda w, e: _invitations(w, e).take_back(w.me, w.others.invitation),
    "Audit.entries": lambda w, e: Audit(w.engine, walled=e).entries(w.me),
    "GivenAnswers.begin": lambda w, e: vars(_answers(w, e).begin(given(w.me))),
    "GivenAnswers.answer": lambda w, e: _their_rows(
        w, "given_answers", lambda: _answers(w, e).answer(unanswered(w.me), w.others.seed, 200, {})
    ),
    "GivenAnswers.let_go": lambda w, e: _their_rows(
        w, "given_answers", lambda: _answers(w, e).let_go(unanswered(w.me), w.others.seed, is_done=False)
    ),
    "SqlStore.cancel": lambda w, e: _store(w, e).cancel(w.me, w.runs.waiting).status,
    "SqlStore.signal": lambda w, e: _store(w, e).signal(w.me, "canary", None).is_awaited,
    "SqlStore.pause": lambda w, e: _their_rows(
        w, "pauses", lambda: _store(w, e).pause(w.me, "bank", "support", is_paused=False)
    ),
}

#: what would change the other tenant's data for the tests that follow
CHANGING = (
    "SqlOperations.abort",
    "SqlOperations.rerun",
    "SqlThreads.append",
    "SqlThreads.delete",
    "SqlVectors.update",
    "SqlVectors.delete",
    "Keys.rotate",
    "Keys.revoke",
    "Secrets.put",
    "Secrets.remove",
    "People.set_role",
    "People.change_role",
    "People.remove",
    "Invitations.create",
    "Invitations.take_back",
    "GivenAnswers.answer",
    "GivenAnswers.let_go",
    "SqlStore.cancel",
    "SqlStore.signal",
    "SqlStore.pause",
)


def answer(world: World, name: str, engine: Engine) -> str:
    """Return what somebody gets, or which error."""
    try:
        return repr(ASKED[name](world, engine))
    except Exception as error:  # noqa: BLE001  # a database without filters may fail in any way
        return f"{type(error).__name__}: {error}"
