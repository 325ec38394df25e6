"""sqs-workers: one queue, ``process_queue``."""

import sys

from sqs_workers import SQSEnv

from benchmarks.worker.contestants import job

env = SQSEnv()
queue = env.queue(sys.argv[1])
queue.connect_processor("job", job.make(sys.argv))
queue.process_queue(wait_second=20)
