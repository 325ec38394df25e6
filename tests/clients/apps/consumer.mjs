// sqs-consumer as its manual has it: node consumer.mjs QUEUE_URL one|batch
// Each message goes as a line into the file `done`; what "fails" does so at its first receive.
import { appendFileSync, existsSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.env.NODE_PATH}/`);
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { Consumer } = await load("sqs-consumer");
const { ChangeMessageVisibilityCommand, SQSClient } = await load("@aws-sdk/client-sqs");

const [queueUrl, way] = process.argv.slice(2);
const sqs = new SQSClient({});
const write = (line) => appendFileSync("done", `${line}\n`);

async function handleMessage(message) {
  const { colour } = message.MessageAttributes ?? {};
  if (message.Body === "fails" && !existsSync("failed")) {
    writeFileSync("failed", "");
    throw new Error("the first time it fails");
  }
  if (message.Body.startsWith("slow")) {
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  write(message.Body + (colour ? ` ${colour.StringValue}` : ""));
  return message;
}

async function handleMessageBatch(messages) {
  const done = [];
  for (const message of messages) {
    try {
      done.push(await handleMessage(message));
    } catch (error) {
      // what is not returned stays in the queue, and here it is for the next one at once
      const handle = { QueueUrl: queueUrl, ReceiptHandle: message.ReceiptHandle };
      await sqs.send(new ChangeMessageVisibilityCommand({ ...handle, VisibilityTimeout: 0 }));
    }
  }
  return done;
}

const consumer = Consumer.create({
  queueUrl,
  sqs,
  waitTimeSeconds: 2,
  messageAttributeNames: ["All"],
  terminateVisibilityTimeout: true,
  pollingCompleteWaitTimeMs: 20000,
  ...(way === "batch" ? { handleMessageBatch, batchSize: 10 } : { handleMessage }),
});
consumer.on("error", (error) => console.error(error));
consumer.on("processing_error", (error) => console.error(error.message));
consumer.on("stopped", () => process.exit(0));
process.on("SIGTERM", () => consumer.stop());
consumer.start();
