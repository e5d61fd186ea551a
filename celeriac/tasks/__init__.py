"""Tasks: the fleet. Celery workers that advance runs, with the loops that keep the fleet whole."""
