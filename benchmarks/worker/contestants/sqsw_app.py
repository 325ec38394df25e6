"""An application for ``sqsw work``."""

import os

from benchmarks.worker.contestants import job
from sqsw import SQSEnv

env = SQSEnv()
env.queue(os.environ["BENCHMARK_QUEUE"]).connect_processor("job", job.make([]))
