"""The daemon's doors to others on this machine and beyond: they hold no logic of their own, the queue does the work."""
