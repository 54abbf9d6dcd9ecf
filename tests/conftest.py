import os

# Quiet, and one thread a worker: xdist runs as many workers as there are cores. No test reaches the network.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ["EDGEZOO_OFFLINE"] = "1"
