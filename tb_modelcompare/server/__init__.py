"""Behind the tab's routes: guards, requests, the queue of jobs, their workers, the cache.

A request is checked (`guards`, `job_requests`, `picture_requests`), becomes a task (`tasks`,
`picture_tasks`) in the queue (`jobs`), runs in a process of its kind (`lanes`, `executors`), and
its result is kept (`cache`, `values`).
"""
