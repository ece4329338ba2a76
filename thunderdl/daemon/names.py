"""What a task that runs is called, written down once it is settled: after kill -9 its part is found by it."""

from __future__ import annotations

from collections.abc import Callable

from thunderdl.daemon.jobs import Job, how_far
from thunderdl.daemon.store import Store
from thunderdl.model import Progress


def naming(job: Job, seen: Callable[[Job], Progress | None], store: Store) -> Callable[[], None]:
    """What writes it down; ``seen``: how far it has come, None where it does not run any more."""

    def name() -> None:
        if (progress := seen(job)) is not None:
            job.outcome = how_far(progress)
            store.save_soon([job])

    return name
