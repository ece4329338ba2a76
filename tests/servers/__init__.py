"""Servers for tests: a loopback server that can misbehave at byte level, and real programs."""
