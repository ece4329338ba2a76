"""aria2's RPC over the queue, for the clients that exist: its methods, its words, its quirks.

jsonrpc.py    bytes to calls and back, pure        params.py     what a method takes, pure
session.py    what the methods work on             methods.py    the table of all of them
adding.py     addUri, addTorrent, addMetalink      steering.py   pause, remove, move, change URIs
telling.py    a task in aria2's words              settings.py   options told and changed
calling.py    token, method, multicall             notices.py    notifications
routes.py     HTTP and WebSocket                   xmlrpc.py     XML-RPC
"""
