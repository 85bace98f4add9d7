// The state of a Slack workspace: apps, conversations and messages.

import { randomUUID } from "node:crypto";

// apps are the installed ones, by bot token. Each has: bot_token, app_token or
// signing_secret and url (where its callbacks go, for those without Socket
// Mode), team, app_id, bot_user, revoked.
export const apps = new Map();

// messages are all, by channel and ts.
const messages = new Map();

// guests are the channels that no bot is a member of; nobody can post there but
// by a response_url.
export const guests = new Set();

// responses are the addresses that take an answer to a click or a command, with
// what they took.
export const responses = new Map();

// files are those that were uploaded, by their ID.
export const files = new Map();

// pages are the App Homes by user.
export const pages = new Map();

// counts of what happened, for the tests.
export const counts = {};
export function count(what, by = 1) {
  counts[what] = (counts[what] ?? 0) + by;
}

let last = 0;

// newTS returns the ts of a new message, which is its ID in its channel.
export function newTS() {
  last = Math.max(Math.floor(Date.now() * 1000), last + 1);
  const s = String(last);
  return s.slice(0, -6) + "." + s.slice(-6);
}

export function newID(prefix) {
  return prefix + randomUUID().replaceAll("-", "").slice(0, 12).toUpperCase();
}

export function addMessage(m) {
  m.ts = newTS();
  m.edits = [];
  m.reactions = [];
  m.reacted = [];
  messages.set(m.channel + "/" + m.ts, m);
  return m;
}

export function messageAt(channel, ts) {
  return messages.get(channel + "/" + ts);
}

export function allMessages() {
  return [...messages.values()];
}

// responseURL makes an address that takes five answers within half an hour.
// https://docs.slack.dev/interactivity/handling-user-interaction#message_responses
export function responseURL(base, channel, user, about) {
  const id = randomUUID();
  responses.set(id, { channel, user, about, until: Date.now() + 30 * 60_000, took: [] });
  return base + "/response/" + id;
}
