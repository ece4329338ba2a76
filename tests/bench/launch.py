"""Runs one command and prints what the kernel says of it: exit status, wall, user, system seconds, peak bytes.

A program of its own, started with ``-I -S``, because Linux counts the memory of the process that spawns
into the peak of the spawned (``exec`` keeps the larger): the parent has to be as small as can be, about 9 MB.

    python -I -S launch.py LIMIT_SECONDS COMMAND…
"""

import posix
import signal
import sys
import time


def main() -> None:
    limit_s, command = int(sys.argv[1]), sys.argv[2:]
    begun = time.perf_counter()
    pid = posix.posix_spawn(command[0], command, dict(posix.environ))
    signal.signal(signal.SIGALRM, lambda *_: posix.kill(pid, signal.SIGKILL))
    signal.alarm(limit_s)
    _, status, usage = posix.wait4(pid, 0)
    wall_s = time.perf_counter() - begun
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    code = posix.waitstatus_to_exitcode(status)
    sys.stdout.write(f"\n{code} {wall_s:.6f} {usage.ru_utime:.6f} {usage.ru_stime:.6f} {peak_bytes}\n")


if __name__ == "__main__":
    main()
