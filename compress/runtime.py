"""How a `.tflite` file runs on this machine, beside what it answers: what XNNPACK leaves, time, memory."""

import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from compress.errors import CompressError

_PEAK = """
import sys
import numpy
from ai_edge_litert.interpreter import Interpreter
def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak()
interpreter = Interpreter(sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
for port in interpreter.get_input_details():
    interpreter.set_tensor(port["index"], numpy.zeros(port["shape"], port["dtype"]))
interpreter.invoke()
print("peak", peak() - before)
"""


def undelegated(interpreter: Interpreter) -> dict[str, int]:
    """How many of each operator of the main graph LiteRT's own kernels run, for XNNPACK does not take them.

    The interpreter lists the file's operators and then one DELEGATE for each part that is taken, with what goes in and
    comes out of it: that part is all that leads from the one to the other.

    Args:
        interpreter: with its tensors allocated.
    """
    listed = interpreter._get_ops_details()
    own = [each for each in listed if each["op_name"] != "DELEGATE"]
    maker = {int(tensor): place for place, each in enumerate(own) for tensor in each["outputs"]}
    taken: set[int] = set()
    for part in listed:
        if part["op_name"] != "DELEGATE":
            continue
        given, wanted = set(map(int, part["inputs"])), [int(tensor) for tensor in part["outputs"]]
        while wanted:
            place = maker.get(wanted.pop())
            if place is not None and place not in taken:
                taken.add(place)
                wanted += [int(tensor) for tensor in own[place]["inputs"] if int(tensor) not in given]
    return dict(Counter(each["op_name"] for place, each in enumerate(own) if place not in taken).most_common())


def median_ms(interpreter: Interpreter) -> float:
    """Median milliseconds of a run after warm-up, on what is in the inputs: at most 50 runs or half a second."""
    for _ in range(4):
        interpreter.invoke()
    times: list[float] = []
    while len(times) < 50 and (len(times) < 5 or sum(times) < 0.5):
        start = time.perf_counter()
        interpreter.invoke()
        times.append(time.perf_counter() - start)
    return float(np.median(times) * 1e3)


class Runs(Protocol):
    """A file that can be run on what is in its inputs."""

    def invoke(self) -> None:
        """Run once."""


def processor_ms(file: Runs, *, at_least: float = 10.0) -> float:
    """Milliseconds of the processor for a run: the mean of as many runs as take `at_least` so many milliseconds.

    Not of the clock on the wall: what else the machine does is none of it. For files that run on one thread, which is
    the caller's.
    """
    count, took = 1, 0.0
    while took < at_least:
        started = time.thread_time_ns()
        for _ in range(count):
            file.invoke()
        took = (time.thread_time_ns() - started) / 1e6
        count *= 2
    return 2 * took / count


def ratio(first: Runs, second: Runs, *, rounds: int = 15) -> float:
    """Time of the first file over that of the second, in turns: the median of the rounds."""
    return float(np.median([processor_ms(first) / processor_ms(second) for _ in range(rounds)]))


def peak_bytes(path: Path) -> int | None:
    """By how much loading the file and one run raise the most memory that a process of its own ever held.

    The weights count as far as they are read in. None where the system is not Linux.

    Raises:
        CompressError: the file does not run there.
    """
    if sys.platform != "linux":
        return None
    done = subprocess.run([sys.executable, "-c", _PEAK, str(path)], capture_output=True, text=True, check=False)
    said = [line for line in done.stdout.splitlines() if line.startswith("peak ")]
    if done.returncode or not said:
        reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise CompressError(f"{path} does not run in a process of its own: {reason}")
    return int(said[-1].split()[1])
