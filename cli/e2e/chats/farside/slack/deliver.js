// How Slack delivers to an app: over Socket Mode, or by signed requests.

import { createHmac, randomUUID } from "node:crypto";
import { WebSocketServer } from "ws";
import { apps, count, newID, responseURL } from "./workspace.js";

// ackWithin is how long Slack waits, and retryAfter when it tries again.
// https://docs.slack.dev/apis/events-api/#retries
const ackWithin = 3000;
const retryAfter = [0, 60_000, 300_000];

// delivered are events that were delivered, by event_id, to deliver them again.
const delivered = new Map();

// event has an event delivered until it is acknowledged. It resolves with the
// number of the try that was.
export async function event(app, fields, id = newID("Ev")) {
  const payload = {
    token: "deprecated", team_id: app.team, api_app_id: app.app_id, type: "event_callback", event: fields,
    event_id: id, event_time: Math.floor(Date.now() / 1000), is_ext_shared_channel: false,
    authorizations: [{ enterprise_id: null, team_id: app.team, user_id: app.bot_user, is_bot: true, is_enterprise_install: false }],
  };
  delivered.set(id, { app, payload });
  for (let n = 0; ; n++) {
    if (await once(app, "events_api", payload, n, "timeout")) return n;
    count("events not taken");
    if (n === retryAfter.length) throw new Error("Slack gave up delivering " + id);
    await new Promise((done) => setTimeout(done, retryAfter[n]));
  }
}

// again delivers an event once more, as Slack does when an acknowledgement was
// lost. It resolves with whether it was acknowledged.
export function again(id, n, reason) {
  const { app, payload } = delivered.get(id);
  count("events again");
  return once(app, "events_api", payload, n, reason);
}

// command has a slash command delivered, once. It resolves with the answer.
export function command(base, app, { channel, user, text }) {
  const response_url = responseURL(base, channel, user, text);
  const payload = {
    token: "deprecated", team_id: app.team, team_domain: "tests", channel_id: channel, channel_name: "somewhere", user_id: user,
    user_name: user.toLowerCase(), command: "/skadi", text, api_app_id: app.app_id, is_enterprise_install: "false",
    response_url, trigger_id: randomUUID(),
  };
  return once(app, "slash_commands", payload);
}

// click has a click on a button of a message delivered, once.
export function click(base, app, m, user, action, ephemeral) {
  const payload = {
    type: "block_actions", api_app_id: app.app_id, token: "deprecated", trigger_id: randomUUID(), enterprise: null, is_enterprise_install: false,
    user: { id: user, username: user.toLowerCase(), name: user.toLowerCase(), team_id: app.team },
    team: { id: app.team, domain: "tests" }, channel: { id: m.channel, name: "somewhere" },
    container: { type: "message", message_ts: m.ts, thread_ts: m.thread_ts, channel_id: m.channel, is_ephemeral: ephemeral },
    message: { type: "message", user: app.bot_user, ts: m.ts, thread_ts: m.thread_ts, text: m.text, blocks: m.blocks },
    response_url: responseURL(base, m.channel, user, "click " + action.value),
    actions: [{ ...action, block_id: "b", action_ts: m.ts }],
  };
  return once(app, "interactive", payload);
}

// once delivers something a single time. It resolves with the answer, or with
// undefined if there was none in time.
function once(app, type, payload, n = 0, reason = "") {
  return app.url ? post(app, type, payload, n, reason) : send(app, type, payload, n, reason);
}

const paths = { events_api: "/events", slash_commands: "/commands", interactive: "/interactivity" };

async function post(app, type, payload, n, reason) {
  let body = JSON.stringify(payload);
  let mime = "application/json";
  if (type !== "events_api") {
    mime = "application/x-www-form-urlencoded";
    body = new URLSearchParams(type === "interactive" ? { payload: body } : payload).toString();
  }
  const stamp = String(Math.floor(Date.now() / 1000));
  const signature = createHmac("sha256", app.signing_secret).update(`v0:${stamp}:${body}`).digest("hex");
  const headers = { "Content-Type": mime, "X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": "v0=" + signature };
  if (n > 0) Object.assign(headers, { "X-Slack-Retry-Num": String(n), "X-Slack-Retry-Reason": reason });
  try {
    const answer = await fetch(app.url + paths[type], { method: "POST", headers, body, signal: AbortSignal.timeout(ackWithin) });
    const text = await answer.text();
    if (answer.status !== 200) return undefined;
    return { text: answer.headers.get("content-type")?.includes("json") ? JSON.parse(text) : text };
  } catch {
    return undefined;
  }
}

// links are the open connections of an app, by its app-level token.
const links = new Map();
// unacked are the deliveries under way, by envelope.
const unacked = new Map();
// waiting are those that wait for a connection.
let waiting = [];

const server = new WebSocketServer({ noServer: true });

// upgrade makes a connection of Socket Mode of a request for it.
export function upgrade(request, socket, head, base) {
  const token = new URL(request.url, base).searchParams.get("ticket");
  const app = [...apps.values()].find((a) => a.app_token === token);
  const open = links.get(token) ?? [];
  if (!app || app.revoked || open.length >= 10) return socket.destroy();
  server.handleUpgrade(request, socket, head, (link) => {
    links.set(token, [...open, link]);
    count("connections");
    link.on("message", (text) => acknowledged(JSON.parse(text)));
    link.on("close", () => gone(token, link));
    link.on("error", () => link.terminate());
    const beat = setInterval(() => link.ping(), 5000);
    link.on("close", () => clearInterval(beat));
    link.send(JSON.stringify({
      type: "hello", num_connections: links.get(token).length, connection_info: { app_id: app.app_id },
      debug_info: { host: "far-side", build_number: 1, approximate_connection_time: 3600 },
    }));
    const next = waiting;
    waiting = [];
    next.forEach((go) => go());
  });
}

// connections is how many an app has.
export const connections = (app) => links.get(app.app_token)?.length ?? 0;

let turn = 0;

function send(app, type, payload, n, reason) {
  const open = links.get(app.app_token) ?? [];
  if (open.length === 0) {
    return new Promise((done) => waiting.push(() => done(send(app, type, payload, n, reason))));
  }
  const link = open[turn++ % open.length];
  const envelope_id = randomUUID();
  const more = type === "events_api" ? { retry_attempt: n, retry_reason: n ? reason : "" } : {};
  return new Promise((done) => {
    const end = (answer) => {
      clearTimeout(timer);
      unacked.delete(envelope_id);
      done(answer);
    };
    const timer = setTimeout(end, ackWithin, undefined);
    unacked.set(envelope_id, { link, end });
    link.send(JSON.stringify({ envelope_id, type, accepts_response_payload: type !== "events_api", payload, ...more }));
  });
}

function acknowledged({ envelope_id, payload }) {
  const one = unacked.get(envelope_id);
  if (one) one.end({ text: payload });
  else count("late acknowledgements");
}

function gone(token, link) {
  links.set(token, links.get(token).filter((l) => l !== link));
  for (const one of [...unacked.values()]) if (one.link === link) one.end(undefined);
}

// refresh ends the oldest connection of an app as Slack does every few hours: it
// warns, goes on delivering meanwhile, and then hangs up.
// https://docs.slack.dev/apis/events-api/using-socket-mode#disconnect
export function refresh(app, warning) {
  const link = links.get(app.app_token)?.[0];
  if (!link) throw new Error("there is no connection");
  const say = (reason) => link.send(JSON.stringify({ type: "disconnect", reason, debug_info: { host: "far-side" } }));
  if (warning) say("warning");
  count("refreshes");
  return new Promise((done) => setTimeout(() => {
    say("refresh_requested");
    setTimeout(() => { link.close(); done(); }, 100);
  }, warning ? 500 : 0));
}
