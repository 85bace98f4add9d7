// A Slack workspace for tests. It prints its URL, below which are: the Web API
// at /api/, Socket Mode at /link/, addresses for uploads and for answers, and
// what steers it at /control/.

import { createServer } from "node:http";
import { call, told, wordsOf } from "./api.js";
import * as deliver from "./deliver.js";
import { failing, fails } from "./failing.js";
import * as limits from "./limits.js";
import { addMessage, allMessages, apps, count, counts, files, guests, messageAt, newID, responses } from "./workspace.js";

let base;

// held are the methods of the Web API that do not answer, with the calls that
// wait.
const held = new Map();

const control = {
  install: (app) => void apps.set(app.bot_token, app),
  guest: ({ channel }) => void guests.add(channel),
  // fail has a share of all calls of the Web API fail, in one way or another.
  fail: ({ share }) => void (failing.share = share),
  lift: ({ methods }) => methods.forEach((m) => limits.lifted.add(m)),
  connections: ({ app }) => deliver.connections(apps.get(app)),
  refresh: ({ app, warning }) => deliver.refresh(apps.get(app), warning),
  counts: () => counts,

  // say has somebody write a message: it returns its ts and event_id. Its event
  // is acknowledged when it returns.
  say: async (what) => {
    const { ts, event_id, deliveries } = write(what);
    await deliveries;
    return { ts, event_id };
  },
  again: async ({ event_id, num, reason }) => ({ taken: Boolean(await deliver.again(event_id, num, reason)) }),
  slash: async ({ app, ...what }) => ({ answer: await deliver.command(base, apps.get(app), what) }),
  // click presses the button with a label, so many times at once.
  click: async ({ app, channel, ts, user, label, times }) => {
    const m = messageAt(channel, ts);
    const button = (m.blocks ?? []).flatMap((b) => (b.type === "actions" ? b.elements : [])).find((e) => e.text.text === label);
    if (!button) throw new Error(`the message has no button ${label}`);
    const all = await Promise.all(Array.from({ length: times }, () => deliver.click(base, apps.get(app), m, user, button, false)));
    return { taken: all.filter(Boolean).length };
  },
  // thread is what the bot said in the thread of a message.
  thread: ({ channel, ts }) => ({
    asked: shown(messageAt(channel, ts)),
    told: told(channel, ts).map(shown),
  }),
  // channel is what the bot said outside of threads.
  channel: ({ channel }) => told(channel, undefined).map(shown),
  responses: () => [...responses.values()],

  hold: ({ method }) => void held.set(method, []),
  waiting: ({ method }) => held.get(method).length,
  // drop hangs up on the calls that wait, and answers again.
  drop: ({ method }) => {
    held.get(method).forEach((socket) => socket.destroy());
    held.delete(method);
  },

  // flood has many messages written at a rate, and a share of them delivered
  // again. It returns when all were acknowledged.
  flood: ({ app, count, rate, channels, again, text }) => flood(app, count, rate, channels, again, text),
  // done is how many messages of the bot's show that a job succeeded.
  done: () => allMessages().filter((m) => m.bot && wordsOf(m).includes("Succeeded")).length,
  // asked are all messages that people wrote, with what the bot said in the
  // thread of each; loose is how many it said elsewhere, and ends how often a
  // message of it was written so that it shows a job that succeeded.
  asked: () => {
    const all = allMessages();
    const asked = new Map(all.filter((m) => !m.bot).map((m) => [m.channel + "/" + m.ts, { text: m.text, told: [] }]));
    let loose = 0;
    for (const m of all.filter((one) => one.bot)) {
      const at = asked.get(m.channel + "/" + m.thread_ts);
      if (at) at.told.push({ words: wordsOf(m), edits: m.edits.length, ends: [m, ...m.edits].filter((e) => wordsOf(e).includes("Succeeded")).length });
      else loose++;
    }
    return { asked: [...asked.values()], loose };
  },
};

function shown(m) {
  return {
    ts: m.ts, thread: m.thread_ts ?? "", text: m.text, words: wordsOf(m), reactions: m.reactions, reacted: m.reacted,
    before: m.edits.map(wordsOf), buttons: (m.blocks ?? []).flatMap((b) => (b.type === "actions" ? b.elements.map((e) => e.text.text) : [])),
    files: (m.files ?? []).map((id) => files.get(id).content.toString()),
  };
}

// write has somebody write a message. A mention comes as such and as a message
// of its channel, each with an ID of its own.
// https://docs.slack.dev/reference/events/app_mention
function write({ app: token, channel, user, text, thread }) {
  const app = apps.get(token);
  const direct = channel.startsWith("D");
  const mention = text.includes(`<@${app.bot_user}>`);
  const m = addMessage({ channel, user, text, thread_ts: thread || undefined });
  const fields = { user, ts: m.ts, thread_ts: m.thread_ts, channel, event_ts: m.ts, team: app.team, text, client_msg_id: newID("") };
  const event_id = newID("Ev");
  const message = { ...fields, type: "message", channel_type: direct ? "im" : "channel" };
  const events = [];
  if (mention && !direct) events.push(deliver.event(app, { ...fields, type: "app_mention" }, event_id), deliver.event(app, message));
  else events.push(deliver.event(app, message, event_id));
  return { ts: m.ts, event_id, deliveries: Promise.all(events) };
}

async function flood(token, total, rate, channels, share, text) {
  const from = Date.now();
  const pending = [];
  let repeats = 0;
  for (let n = 0; n < total; n++) {
    const due = from + (n * 1000) / rate;
    if (due > Date.now()) await new Promise((done) => setTimeout(done, due - Date.now()));
    const one = write({ app: token, channel: `C${1000 + (n % channels)}`, user: `U${1 + (n % 7)}`, text: text.replace("%d", n) });
    // Every so many-th is delivered again: half of them before the first was
    // acknowledged, half after.
    if (Math.floor((n + 1) * share) > Math.floor(n * share)) {
      repeats++;
      const repeat = () => deliver.again(one.event_id, 1, "timeout");
      pending.push(repeats % 2 ? repeat() : one.deliveries.then(repeat));
    }
    pending.push(one.deliveries);
  }
  const written = Date.now();
  await Promise.all(pending);
  return { written: total, repeats, wrote_ms: written - from, acknowledged_ms: Date.now() - from };
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts);
}

function argsOf(request, body, query) {
  const args = Object.fromEntries(query);
  const mime = request.headers["content-type"] ?? "";
  if (mime.startsWith("application/json")) return Object.assign(args, JSON.parse(body.toString() || "{}"));
  return Object.assign(args, Object.fromEntries(new URLSearchParams(body.toString())));
}

async function serve(request, response) {
  const body = await bodyOf(request);
  const url = new URL(request.url, base);
  const [, place, name] = url.pathname.split("/");
  const send = (status, value, headers = {}) => {
    response.writeHead(status, { "Content-Type": "application/json; charset=utf-8", ...headers });
    response.end(JSON.stringify(value ?? {}));
  };
  if (place === "control") return send(200, await control[name](JSON.parse(body.toString() || "{}")));
  if (place === "upload") {
    files.get(name).content = body;
    return send(200, {});
  }
  if (place === "response") {
    const one = responses.get(name);
    if (!one || Date.now() > one.until) return send(404, { ok: false, error: "expired_url" });
    if (one.took.length >= 5) return send(404, { ok: false, error: "used_url" });
    const said = JSON.parse(body.toString());
    one.took.push({ ...said, words: wordsOf(said) });
    count("response_url");
    return send(200, { ok: true });
  }
  if (place !== "api") return send(404, {});
  if (held.has(name)) return void held.get(name).push(response.socket);
  const args = argsOf(request, body, url.searchParams);
  const token = request.headers.authorization?.replace(/^Bearer /, "") ?? args.token;
  const how = fails(name);
  if (how === "silent") return; // until the caller gives up
  if (how === "error") return send(500, {});
  if (how === "limit") return send(429, { ok: false, error: "ratelimited" }, { "Retry-After": "1" });
  if (how === "cut") return void response.socket.destroy();
  const answer = call(base, name, token, args);
  if (how === "lost") return void response.socket.destroy();
  send(answer.status, answer.body, answer.headers);
}

const server = createServer((request, response) => {
  serve(request, response).catch((err) => {
    console.error(err);
    response.writeHead(500).end(String(err));
  });
});
server.keepAliveTimeout = 60_000;
server.on("upgrade", (request, socket, head) => deliver.upgrade(request, socket, head, base));
server.listen(0, "127.0.0.1", () => {
  base = `http://127.0.0.1:${server.address().port}`;
  console.log(base);
});
