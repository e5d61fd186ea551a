"""The tables of this room: tenants, their keys and people, the audit log, answers given.

Secrets are kept as hashes, or encrypted where they have to be used.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, false, text

from celeriac.database import Moment, metadata
from celeriac.row_security import ENGINE_ONLY, TENANT, owned_by, seen_by

tenants = Table(
    "tenants",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    #: JSON of the limits that are its own; the others are those of its plan, or the defaults
    Column("limits", Text, nullable=False, server_default=text("'{}'")),
    #: the plan's name
    Column("plan", Text),
    #: while it is set, nothing of the tenant starts
    Column("paused_at", Moment),
    #: when its limits or its plan were changed
    Column("changed_at", Moment),
    Column("created_at", Moment, nullable=False),
    Index(
        "ix_tenants_paused",
        "id",
        sqlite_where=text("paused_at IS NOT NULL"),
        postgresql_where=text("paused_at IS NOT NULL"),
    ),
    Index("ix_tenants_changed_at", "changed_at"),
    # a row is locked only by who may change some column of it, and into another id than its own none can be changed
    info=owned_by("id", web_may="SELECT, UPDATE (id)"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey(tenants.c.id), nullable=False),
    Column("kind", Text, nullable=False),
    #: hex of SHA-256 over the whole key, whose secret part has 190 random bits: too many to guess, so no salt is needed
    Column("secret_hash", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    #: written at most once a minute
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    Column("name", Text, nullable=False, server_default=""),
    #: what the key may do, with spaces between; NULL: all that its kind may
    Column("scopes", Text),
    #: refused from then on; NULL: never
    Column("expires_at", Moment),
    #: the key that this one was made to replace
    Column("successor_of", Text),
    #: who made it, as in the audit log
    Column("created_by", Text),
    Index("ix_api_keys_tenant_id", "tenant_id"),
)

plans = Table(
    "plans",
    metadata,
    Column("name", Text, primary_key=True),
    #: JSON
    Column("limits", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    info=ENGINE_ONLY,
)

#: rows are added, and deleted when they are old by the engine alone; see `audit.py`
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Text, primary_key=True),
    #: whose it was; NULL: the installation's
    Column("tenant_id", Text),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    #: JSON
    Column("detail", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Index("ix_audit_log_tenant_id_at", "tenant_id", "at", "id"),
    #: what is oldest, of all tenants
    Index("ix_audit_log_at", "at"),
    info=owned_by("tenant_id", web_may="SELECT, INSERT"),
)

#: what tenants entrust to the installation, encrypted
tenant_secrets = Table(
    "tenant_secrets",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    #: the provider of models whose key it is
    Column("provider", Text),
    #: which key of the operator's encrypted it
    Column("key_id", Text, nullable=False),
    #: the nonce, and what was encrypted with it
    Column("box", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    #: written at most once a minute
    Column("last_used_at", Moment),
    Index("ix_tenant_secrets_key_id", "key_id"),
)

#: signing keys, encrypted: they have to be in the clear where something is signed
signing_secrets = Table(
    "signing_secrets",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    #: the key's, in `api_keys`
    Column("id", Text, primary_key=True),
    #: which key of the operator's encrypted it
    Column("key_id", Text, nullable=False),
    #: the nonce, and what was encrypted with it
    Column("box", LargeBinary, nullable=False),
    Index("ix_signing_secrets_key_id", "key_id"),
    info=owned_by("tenant_id", web_may="SELECT, INSERT"),
)

#: what a tenant may see of a user who belongs to it: all but the hash of the password
SHOWN_OF_USERS = ("id", "email", "is_platform_admin", "session_stamp", "created_at", "disabled_at")

#: rows are no tenant's; each sees those who belong to it
users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    #: in lower case
    Column("email", Text, nullable=False, unique=True),
    #: as argon2 writes it, with its parameters
    Column("password_hash", Text, nullable=False),
    Column("is_platform_admin", Boolean, nullable=False, server_default=false()),
    #: random; a session is good for as long as it carries the same
    Column("session_stamp", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("disabled_at", Moment),
    info=seen_by(
        f"EXISTS (SELECT 1 FROM memberships AS mine WHERE mine.user_id = users.id AND mine.tenant_id = {TENANT})",
        columns=SHOWN_OF_USERS,
    ),
)

memberships = Table(
    "memberships",
    metadata,
    Column("tenant_id", Text, ForeignKey(tenants.c.id), primary_key=True),
    Column("user_id", Text, ForeignKey(users.c.id), primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("ix_memberships_user_id", "user_id"),
)

invitations = Table(
    "invitations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey(tenants.c.id), nullable=False),
    Column("email", Text, nullable=False),
    Column("role", Text, nullable=False),
    #: hex of SHA-256; the token is random enough to need no salt
    Column("token_hash", Text, nullable=False, unique=True),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    #: when it was accepted or taken back; it is good for nothing from then on
    Column("used_at", Moment),
    Index("ix_invitations_tenant_id", "tenant_id"),
)

#: answers that were given to requests with an `Idempotency-Key`; see `idempotency.py`
given_answers = Table(
    "given_answers",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    #: method and path
    Column("route", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    #: hex of SHA-256 over the body
    Column("request_hash", Text, nullable=False),
    #: random; the ids of what the request makes are derived from it
    Column("seed", Text, nullable=False),
    #: until then somebody is at it, unless there is an answer
    Column("held_until", Moment, nullable=False),
    #: NULL: not answered yet
    Column("status", Integer),
    Column("body", Text),
    Column("created_at", Moment, nullable=False),
    Index("ix_given_answers_created_at", "tenant_id", "created_at"),
)
