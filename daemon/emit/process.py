"""What the process takes of its machine: also where /proc shows processes alone, as under the systemd unit."""

import sys
import time

from prometheus_client import ProcessCollector


class Process(ProcessCollector):
    """The customary `process_*`. The library tells none of them where it can't read /proc/stat for the time of boot."""

    def _boot_time(self) -> float | None:
        """In seconds since 1970: what counts the start of a process in /proc/<pid>/stat from (proc(5))."""
        try:
            told: float | None = super()._boot_time()  # type: ignore[no-untyped-call]
        except OSError:
            if sys.platform != "linux":
                raise
            return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        return told
