"""The other side of testing/fault_shim.cpp: disks, clocks and microphones of one agent, as a test wants them."""

import mmap
import os
import struct
from pathlib import Path


def shim():
    """The library's path, or None where it was not built."""
    path = os.environ.get("EW_FAULT_SHIM", "")
    return path if Path(path).is_file() else None


class Faults:
    """Give `environment` to the agent's process."""

    def __init__(self, folder):
        path = folder / "faults"
        path.write_bytes(bytes(64))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 64)
        self.environment = {**os.environ, "LD_PRELOAD": shim(), "EW_FAULTS": str(path)}

    def jump_clock(self, seconds):
        """How far the system's clock is from the true time, from now on."""
        struct.pack_into("<q", self.map, 0, int(seconds * 1e6))

    def fill_disk(self, is_full):
        struct.pack_into("<i", self.map, 8, is_full)

    def hold_syncs(self, is_held):
        struct.pack_into("<i", self.map, 12, is_held)

    def fail_sound(self, error):
        """The next read of a microphone gives this errno."""
        struct.pack_into("<i", self.map, 20, -error)

    def held_syncs(self):
        return struct.unpack_from("<i", self.map, 16)[0]
