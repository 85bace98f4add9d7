// Slack's rate limits: https://docs.slack.dev/apis/web-api/rate-limits

// lifted are limits that a test does without, since it would take hours
// otherwise.
export const lifted = new Set();

// perMinute are the tiers of methods, for an app in a workspace.
const perMinute = {
  "chat.update": 50,
  "chat.postEphemeral": 100,
  "reactions.add": 50,
  "reactions.remove": 20,
  "files.getUploadURLExternal": 100,
  "files.completeUploadExternal": 100,
  "usergroups.list": 20,
  "users.info": 100,
};

// postsPerSecond is how many messages a channel takes, with short bursts.
const postsPerSecond = 1;
const postsAtOnce = 3;

const buckets = new Map();

// wait returns how many seconds a call is too early, or 0.
export function wait(method, token, channel) {
  if (lifted.has(method)) return 0;
  if (method === "chat.postMessage") return take(`post ${token} ${channel}`, postsPerSecond, postsAtOnce);
  const rate = perMinute[method];
  return rate ? take(`${method} ${token}`, rate / 60, rate) : 0;
}

function take(name, perSecond, atOnce) {
  const now = Date.now() / 1000;
  let b = buckets.get(name);
  if (!b) buckets.set(name, (b = { left: atOnce, at: now }));
  b.left = Math.min(atOnce, b.left + (now - b.at) * perSecond);
  b.at = now;
  if (b.left < 1) return Math.ceil((1 - b.left) / perSecond);
  b.left--;
  return 0;
}
