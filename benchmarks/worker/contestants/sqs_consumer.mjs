// sqs-consumer on Node: receives ten, handles them as a batch, deletes them together.
import { SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const endpoint = process.env.AWS_ENDPOINT_URL;
Consumer.create({
  queueUrl: `${endpoint}/000000000000/${process.env.BENCHMARK_QUEUE}`,
  sqs: new SQSClient({ endpoint, region: "us-east-1" }),
  batchSize: 10,
  waitTimeSeconds: 20,
  handleMessageBatch: async (messages) => {
    for (const message of messages) JSON.parse(message.Body);
    return messages;
  },
}).start();
