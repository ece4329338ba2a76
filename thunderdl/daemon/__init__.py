"""The queue that survives: what was asked for, in which order, how it ended; kept in SQLite, run by one Client.

queue.py      all of it together                 jobs.py        what is known of one task
line.py       the order of those that wait, pure rules.py       what holds for the whole queue, pure
store.py      tasks, settings, documents on disk database.py    SQLite: one thread, group commits
records.py    tasks as rows, pure                claims.py      files that were about to get their names
places.py     where a task may be saved          documents.py   torrents and metalinks from outside
events.py     what happens, to who listens       hooks.py       programs and a webhook that hear of it
watching.py   folders that are looked into       clearing.py    files that go with their task
rechecking.py what is there, checked again        unwaited.py   calls that the stop does not wait for
"""
