"""The daemon's own API, version 1: a table of routes over the queue, the event stream, and what describes both.

fields.py  what a request may say        shapes.py  tasks as JSON         routes.py  the table
live.py    one look for all listeners    events.py  the event stream      openapi.py the table, described
"""
