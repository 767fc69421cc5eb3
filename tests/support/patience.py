"""How long tests wait for what should come.

Only a program that hangs lets them wait so long: on a machine that is busy with other work, what
takes seconds takes minutes.
"""

HANG = 900  # seconds
LATE = 300_000  # milliseconds, for what a browser shows
