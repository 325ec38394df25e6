"""sqsw as a library: one queue, ``process_queue``."""

import sys

from benchmarks.worker.contestants import job
from sqsw import SQSEnv

env = SQSEnv()
queue = env.queue(sys.argv[1])
coroutine = job.option(sys.argv, "async") == "1"
queue.connect_processor("job", job.make_coroutine(sys.argv) if coroutine else job.make(sys.argv))
queue.process_queue(wait_second=20, concurrency=int(job.option(sys.argv, "slots", "8")))
