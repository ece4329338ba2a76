"""The queue that survives: what was asked for, in which order, how it ended; kept in SQLite, run by one Client.

jobs.py       what is known of one task          line.py      the order of those that wait, pure
database.py   SQLite: one thread, group commits  store.py     tasks, settings and documents on the disk
"""
