"""A worker of Procrastinate, with the loop that its user has to write: it brings back the tasks of silent workers."""

from __future__ import annotations

import asyncio

from benchmarks.peers.programs.procrastinate_tasks import app

CONCURRENCY = 10
LOOK_SECONDS = 2.0


async def main() -> None:
    """Run tasks until somebody ends the process."""
    async with app.open_async():
        bringing = asyncio.create_task(_bring_back())
        await app.run_worker_async(concurrency=CONCURRENCY, install_signal_handlers=False)
        bringing.cancel()


async def _bring_back() -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        for stalled in await app.job_manager.get_stalled_jobs():  # silent for the library's default of 30 s
            await app.job_manager.retry_job(stalled)


if __name__ == "__main__":
    asyncio.run(main())
