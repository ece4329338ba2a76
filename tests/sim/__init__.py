"""The simulation: scripted sources on a virtual clock, driving the real scheduler.

``python -m tests.sim --seed N`` plays one world and tells what happened, ``--worlds N`` prints the distribution
over many. A world is its seed: the same seed plays the same world, event by event.
"""
