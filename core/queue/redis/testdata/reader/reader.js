// Prints every event, as a consumer group of its own.
import Redis from "ioredis";

const group = process.env.GROUP ?? "audit";
const consumer = process.env.CONSUMER ?? "one";
const partitions = Number(process.env.PARTITIONS ?? 16); // queue.partitions
const redis = new Redis(process.env.REDIS_URL ?? "redis://127.0.0.1:6379");
const streams = Array.from({ length: partitions }, (_, n) => `skadi:events:{${n}}`);

async function join(start) {
  for (const stream of streams) {
    await redis.xgroup("CREATE", stream, group, start, "MKSTREAM").catch((err) => {
      if (!err.message.startsWith("BUSYGROUP")) throw err; // it is there already
    });
  }
}

function handle(stream, fields) {
  const event = { stream };
  for (let i = 0; i < fields.length; i += 2) event[fields[i]] = fields[i + 1];
  event.data = JSON.parse(event.data);
  console.log(JSON.stringify(event));
}

await join("$"); // "0" begins with what the streams still have
// What this consumer was given before it stopped comes first, then what is new.
for (let from = "0"; ; ) {
  const wait = from === ">" ? ["BLOCK", 5000] : [];
  let found;
  try {
    found = await redis.xreadgroup("GROUP", group, consumer, "COUNT", 100, ...wait,
      "STREAMS", ...streams, ...streams.map(() => from));
  } catch (err) {
    if (!/NOGROUP|UNBLOCKED/.test(err.message)) throw err;
    await join("0"); // Redis was emptied, or replaced
    continue;
  }
  let n = 0;
  for (const [stream, entries] of found ?? []) {
    for (const [entry, fields] of entries) {
      if (fields) handle(stream, fields); // none: it was removed meanwhile
      await redis.xack(stream, group, entry);
      n++;
    }
  }
  if (n === 0) from = ">";
}
