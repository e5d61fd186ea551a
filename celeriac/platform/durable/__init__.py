"""The engine: what makes a function remember its steps. No SQL, no Redis and no Celery in here."""
