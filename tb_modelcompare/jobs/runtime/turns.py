"""Whose turn it is: which job of a lane runs next, and which has to make way for it."""

from __future__ import annotations

from collections.abc import Collection

from tb_modelcompare.jobs.runtime.records import Entry, State


def waiting(jobs: Collection[Entry], lane: str) -> list[Entry]:
    """Queued jobs of a lane in the order in which they will run.

    The latest request comes first, and jobs in the background come last.
    """
    queued = [job for job in jobs if job.state is State.QUEUED and job.task.lane == lane]
    return sorted(queued, key=lambda job: (job.background, -job.order))


def in_the_way(job: Entry, jobs: Collection[Entry], slots: int) -> bool:
    """Whether a job in the background runs where one that is asked for could."""
    lane = job.task.lane
    asked_for = sum(not one.background for one in waiting(jobs, lane))
    running = [one for one in jobs if one.state is State.RUNNING and one.task.lane == lane]
    free = slots - sum(one.stop is None for one in running)
    return job.background and asked_for > free
