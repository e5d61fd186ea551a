"""The settings of an installation, read once from the environment (and `.env`).

Every name here is `CELERIAC_<NAME>` outside; `celeriac doctor` and the docs list them all.
"""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from celeriac.errors import ConfigError

Network = IPv4Network | IPv6Network

#: how an address may be reached, and the port that goes without saying
_PORTS = {"http": 80, "https": 443}


#: the fewest characters of a key that signs what everybody is given, and may guess at in peace
SHORTEST_SECRET_KEY = 32

#: how an operator makes one
NEW_SECRET_KEY = '`python -c "import secrets; print(secrets.token_urlsafe(32))"`'


class Settings(BaseSettings):
    """What an operator may set; the defaults suit a small installation on one host."""

    model_config = SettingsConfigDict(env_prefix="CELERIAC_", env_file=".env", extra="ignore", frozen=True)

    database_url: str = Field("sqlite:///.celeriac/celeriac.db", description="SQLAlchemy URL of the truth")
    redis_url: str = Field("redis://127.0.0.1:6379/0", description="Redis of the gate, the cache and the streams")
    broker_url: str | None = Field(None, description="Celery's broker; the Redis when unset")
    row_security: Literal["auto", "required", "off"] = Field(
        "auto", description="row-level security on Postgres: auto (where the login may), required, or off"
    )
    encryption_keys: str = Field(
        "",
        repr=False,
        description="id:base64 of 32 bytes, by commas; the first encrypts secrets and signing keys, all decrypt",
    )
    secret_key: str = Field(
        "", repr=False, description="signs sessions, sign-in links and results; needed to serve beyond this host"
    )
    public_url: str | None = Field(
        None, description="where people reach the web, like https://celeriac.example.com; for links, cookies and forms"
    )
    trusted_proxies: str = Field(
        "", description="proxies before the web that are believed who asked and how, like 10.0.0.5,10.1.0.0/16"
    )
    app: str | None = Field(None, description="the user's app as module:attribute")
    app_version: str | None = Field(None, description="recorded with functions whose app names no version")
    default_tenant: str | None = Field(None, description="tenant of app.send outside of runs when none is given")
    heartbeat_seconds: float = Field(2.0, gt=0, allow_inf_nan=False, description="how often a worker renews its row")
    worker_dead_seconds: float = Field(
        10.0, gt=0, allow_inf_nan=False, description="silence after which a worker counts as dead"
    )
    link_budget_seconds: float = Field(
        10.0, gt=0, allow_inf_nan=False, description="how long a link may go on between plain steps"
    )
    retry_seconds: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="a fixed retry delay in place of the growing one"
    )
    max_event_bytes: int = Field(512 * 1024, gt=0, description="largest event, in bytes of JSON")
    max_events: int = Field(5_000, gt=0, description="most events in one request")
    max_output_bytes: int = Field(4 * 1024 * 1024, gt=0, description="largest result of a step, in bytes of JSON")
    max_state_bytes: int = Field(32 * 1024 * 1024, gt=0, description="largest sum of the results of one run, in bytes")
    max_steps: int = Field(1_000, gt=0, le=10_000, description="most steps of one run")
    retention_days: int = Field(
        30, ge=0, le=36_500, description="how long ended runs and their events are kept, in days; 0: for ever"
    )
    audit_retention_days: int = Field(
        400, ge=0, le=36_500, description="how long entries of the audit log are kept, in days; 0: for ever"
    )
    cache_seconds: float = Field(3_600.0, gt=0, allow_inf_nan=False, description="how long step results stay in Redis")
    stream_seconds: float = Field(
        86_400.0, gt=0, allow_inf_nan=False, description="how long what a run told stays to be read after its last word"
    )
    stream_bytes: int = Field(
        8 * 1024 * 1024, gt=0, description="most bytes of what a run told that stay to be read; the oldest go first"
    )
    fetch_allow: str = Field("", description="private networks that fetches may reach, like 10.1.0.0/16,10.2.0.0/16")
    mcp_stdio: bool = Field(False, description="whether MCP servers may be commands, which run with a worker's rights")
    allow_model_calls: bool = Field(False, description="whether tests may call the providers of models themselves")
    memory_embedder: str = Field("hashing", description="embedder of the memories: hashing, or openai:<model>")

    @property
    def fetch_networks(self) -> tuple[str, ...]:
        """The networks of `fetch_allow`, one by one."""
        return tuple(one.strip() for one in self.fetch_allow.split(",") if one.strip())

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """The networks of `trusted_proxies`, one by one."""
        return tuple(ip_network(one.strip()) for one in self.trusted_proxies.split(",") if one.strip())

    @field_validator("fetch_allow", "trusted_proxies")
    @classmethod
    def _check_networks(cls, value: str) -> str:
        for one in value.split(","):
            if one.strip():
                ip_network(one.strip())
        return value

    @field_validator("public_url")
    @classmethod
    def _as_origin(cls, value: str | None) -> str | None:
        """Write it as browsers write the origin of a form: in lower case, and without the port that goes without."""
        if not value:
            return None
        parts = urlsplit(value)
        is_bare = parts.path in ("", "/") and not (parts.query or parts.fragment or "@" in parts.netloc)
        if parts.scheme not in _PORTS or not parts.hostname or not parts.netloc.isascii() or not is_bare:
            raise ValueError("write it like https://celeriac.example.com, without a path")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port in (None, _PORTS[parts.scheme]) else f":{parts.port}"
        return f"{parts.scheme}://{host}{port}"


def check_secret_key(given: str) -> None:
    """Raise `ConfigError` for a key with which the web does not start."""
    if len(given) < SHORTEST_SECRET_KEY:
        what = f"has {len(given)} characters, of {SHORTEST_SECRET_KEY} that it needs" if given else "is not set"
        why = "who guesses it signs in as anybody"
        raise ConfigError(f"CELERIAC_SECRET_KEY {what}: {why}. Make one with {NEW_SECRET_KEY}")


@cache
def load_settings() -> Settings:
    """Read the settings once for this process; raise pydantic's `ValidationError` for a bad value."""
    return Settings()  # type: ignore[call-arg,unused-ignore]
