"""What a reply cost, from the price table that `genai-prices` carries; nothing is fetched.

Called by the adapters for every reply, so it never raises: a model without a known price costs 0.0.
"""

from __future__ import annotations

import logging
from functools import lru_cache

from celeriac.platform.message import Usage
from celeriac.platform.models import providers

logger = logging.getLogger(__name__)

#: the module with the table; it takes half a second to import, so adapters load it beside their SDK
TABLE = "genai_prices"


def cost(provider: str, model: str, usage: Usage, *, cache_written_tokens: int = 0, declared: str = "") -> float:
    """Return US dollars, or 0.0 where the price is unknown.

    `cache_written_tokens` is the part of the input that the provider stored for later calls, at a price of its own.
    `declared` is the user's name for the model, for providers whose own name for it has no price.
    """
    provider = providers.known(provider).prices
    if not _has_price(provider, model):
        model = declared
    if not model or not _has_price(provider, model):
        return 0.0
    from genai_prices import Usage as Priced
    from genai_prices import calc_price

    tokens = Priced(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=cache_written_tokens,
        output_tokens=usage.output_tokens,
    )
    try:
        return float(calc_price(tokens, model, provider_id=provider).total_price)
    except (LookupError, ValueError, TypeError, ArithmeticError) as error:
        # a provider's odd figures (more cached than read) must not cost us its reply
        logger.warning("no cost for a reply of %s:%s: %s", provider, model, error)
        return 0.0


@lru_cache(maxsize=1024)
def _has_price(provider: str, model: str) -> bool:
    from genai_prices import Usage as Priced
    from genai_prices import calc_price

    try:
        calc_price(Priced(input_tokens=1, output_tokens=1), model, provider_id=provider)
    except LookupError:
        return False
    return True
