"""An application for ``sqsw work``."""

import os

from benchmarks.worker.contestants import job
from sqsw import SQSEnv

env = SQSEnv()
options = os.environ.get("BENCHMARK_JOB", "").split()
env.queue(os.environ["BENCHMARK_QUEUE"]).connect_processor("job", job.make(options))
