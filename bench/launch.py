"""Run a command and write what the kernel counted for it: `launch.py ACCOUNT COMMAND ...`.

A process of its own, and a small one. On Linux a child's peak memory begins at what its parent
held when it was started, so whoever starts what is measured must hold next to nothing.
"""

import json
import os
import sys
import time


def main() -> int:
    """Run the command, write wall, cpu and peak memory, and end as it ended."""
    account, command = sys.argv[1], sys.argv[2:]
    started = time.perf_counter()
    child = os.posix_spawnp(command[0], command, os.environ)
    try:
        _, status, taken = os.wait4(child, 0)
    except BaseException:
        os.kill(child, 9)
        raise
    wall = time.perf_counter() - started
    with open(account, "w") as file:
        # The kernel counts the peak in KiB.
        json.dump(
            {
                "wall": wall,
                "cpu": taken.ru_utime + taken.ru_stime,
                "peak_mb": taken.ru_maxrss * 1024 / 1e6,
            },
            file,
        )
    return os.waitstatus_to_exitcode(status) and 1


if __name__ == "__main__":
    sys.exit(main())
