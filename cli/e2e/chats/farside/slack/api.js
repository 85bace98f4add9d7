// The methods of Slack's Web API that an app such as Skadi calls.
// https://docs.slack.dev/reference/methods

import * as limits from "./limits.js";
import { addMessage, allMessages, apps, count, files, guests, messageAt, newID, pages } from "./workspace.js";

class Refusal extends Error {}

const refuse = (error) => {
  throw new Refusal(error);
};

// call answers a call as { status, headers, body }. base is this server's URL.
export function call(base, method, token, args) {
  count(method);
  const app = [...apps.values()].find((a) => a.bot_token === token || a.app_token === token);
  const bare = { status: 200, headers: {} };
  if (!token) return { ...bare, body: { ok: false, error: "not_authed" } };
  if (!app || app.revoked) return { ...bare, body: { ok: false, error: "invalid_auth" } };
  const forApp = method === "apps.connections.open";
  if (forApp !== (token === app.app_token)) return { ...bare, body: { ok: false, error: "not_allowed_token_type" } };
  if (!methods[method]) return { ...bare, body: { ok: false, error: "unknown_method" } };
  const early = limits.wait(method, token, args.channel);
  if (early) {
    count("limited " + method);
    return { status: 429, headers: { "Retry-After": String(early) }, body: { ok: false, error: "ratelimited" } };
  }
  try {
    return { ...bare, body: { ok: true, ...methods[method](app, args, base) } };
  } catch (err) {
    if (!(err instanceof Refusal)) throw err;
    count("refused " + method + " " + err.message);
    return { ...bare, body: { ok: false, error: err.message } };
  }
}

const methods = {
  "auth.test": (app, _, base) => ({
    url: base + "/", team: "Tests", user: "skadi", team_id: app.team, user_id: app.bot_user, bot_id: "B" + app.bot_user,
  }),
  "apps.connections.open": (app, _, base) => ({
    url: base.replace("http:", "ws:") + "/link/?ticket=" + encodeURIComponent(app.app_token) + "&app_id=" + app.app_id,
  }),
  "usergroups.list": () => ({ usergroups: [] }),
  "users.info": (_, { user }) => ({ user: { id: user, name: user.toLowerCase(), real_name: "Person " + user } }),
  "views.publish": (_, { user_id, view }) => {
    pages.set(user_id, typeof view === "string" ? JSON.parse(view) : view);
    return { view: { id: "V" + user_id } };
  },

  "chat.postMessage": (app, args) => {
    const channel = conversation(args.channel);
    if (args.thread_ts && !messageAt(channel, args.thread_ts)) refuse("thread_not_found");
    const m = addMessage({ channel, bot: app.bot_user, thread_ts: args.thread_ts, text: args.text ?? "", blocks: blocksOf(args) });
    return { channel, ts: m.ts, message: { text: m.text, ts: m.ts, user: app.bot_user } };
  },
  "chat.update": (app, args) => {
    const m = messageAt(args.channel, args.ts) ?? refuse("message_not_found");
    if (m.bot !== app.bot_user) refuse("cant_update_message");
    const blocks = blocksOf(args);
    m.edits.push({ text: m.text, blocks: m.blocks });
    [m.text, m.blocks] = [args.text ?? "", blocks];
    return { channel: args.channel, ts: m.ts, text: m.text };
  },
  "chat.postEphemeral": (app, args) => {
    const m = addMessage({ channel: conversation(args.channel), bot: app.bot_user, to: args.user, text: args.text ?? "", blocks: blocksOf(args) });
    return { message_ts: m.ts };
  },

  "reactions.add": (_, { channel, timestamp, name }) => {
    const m = messageAt(channel, timestamp) ?? refuse("message_not_found");
    if (m.reactions.includes(name)) refuse("already_reacted");
    m.reactions.push(name);
    m.reacted.push(name);
    return {};
  },
  "reactions.remove": (_, { channel, timestamp, name }) => {
    const m = messageAt(channel, timestamp) ?? refuse("message_not_found");
    if (!m.reactions.includes(name)) refuse("no_reaction");
    m.reactions = m.reactions.filter((r) => r !== name);
    return {};
  },

  "files.getUploadURLExternal": (_, { filename, length }, base) => {
    if (!filename || !(Number(length) > 0)) refuse("invalid_arguments");
    const id = newID("F");
    files.set(id, { id, filename, length: Number(length) });
    return { file_id: id, upload_url: base + "/upload/" + id };
  },
  "files.completeUploadExternal": (app, args) => {
    const list = typeof args.files === "string" ? JSON.parse(args.files) : args.files;
    const shown = list.map(({ id }) => {
      const f = files.get(id) ?? refuse("file_not_found");
      if (f.content?.length !== f.length) refuse("file_upload_size_mismatch");
      return f;
    });
    const channel = conversation(args.channel_id);
    addMessage({ channel, bot: app.bot_user, thread_ts: args.thread_ts, text: args.initial_comment ?? "", files: shown.map((f) => f.id) });
    return { files: shown.map(({ id, filename }) => ({ id, title: filename })) };
  },
};

// conversation is where a message goes: a user's ID stands for the direct
// messages with that user.
function conversation(channel) {
  if (!channel) refuse("channel_not_found");
  if (guests.has(channel)) refuse("not_in_channel");
  return channel.startsWith("U") ? "D" + channel.slice(1) : channel;
}

// blocksOf reads the blocks of a message and refuses those that Slack does.
// https://docs.slack.dev/reference/block-kit/blocks
function blocksOf({ text, blocks }) {
  if (!blocks || blocks === "null") return text ? [] : refuse("no_text");
  if (Buffer.byteLength(text ?? "") > 40_000) refuse("msg_too_long");
  let all;
  try {
    all = typeof blocks === "string" ? JSON.parse(blocks) : blocks;
  } catch {
    refuse("invalid_blocks_format");
  }
  if (!Array.isArray(all) || all.length > 50) refuse("invalid_blocks");
  const ids = new Set();
  for (const b of all) {
    for (const e of b.type === "actions" ? b.elements : []) {
      if (ids.has(e.action_id) || !e.text?.text || e.text.text.length > 75 || (e.value ?? "").length > 2000) refuse("invalid_blocks");
      ids.add(e.action_id);
    }
    if (b.type === "section" && !(b.text?.text?.length <= 3000)) refuse("invalid_blocks");
    if (b.type === "context" && !(b.elements?.length <= 10)) refuse("invalid_blocks");
    if (b.type === "rich_text" && emptyText(b)) refuse("invalid_blocks");
  }
  return all;
}

// emptyText says whether a piece of text has none, which Slack refuses.
function emptyText(e) {
  return e.type === "text" ? !e.text : (e.elements ?? []).some(emptyText);
}

// wordsOf is all that a person sees of a message.
export function wordsOf(m) {
  const words = [];
  (function walk(e) {
    if (Array.isArray(e)) return e.forEach(walk);
    if (e === null || typeof e !== "object") return;
    if (e.type === "emoji") words.push(`:${e.name}:`);
    if (typeof e.text === "string") words.push(e.text);
    else walk(e.text);
    walk(e.elements);
    walk(e.rows);
  })(m.blocks ?? []);
  return words.join(" ") || m.text;
}

// told is what a bot said in a thread.
export function told(channel, thread) {
  return allMessages().filter((m) => m.bot && m.channel === channel && m.thread_ts === thread);
}
