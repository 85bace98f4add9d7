// GitHub as a CI system for tests: it delivers signed events, keeps the statuses
// of commits, and beside it a service that takes callbacks. It prints its URL,
// below which are: the REST API at /api/, the service at /callbacks/, a place
// that leads elsewhere at /redirect/, and what steers it at /control/.

import { createHmac, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Webhook } from "standardwebhooks";

let token, callbackSecret;
const statuses = []; // of commits, oldest first
const callbacks = []; // what the service took
const refused = []; // why the service did not take what came
const visited = []; // what came to a place where nothing should come

const control = {
  setup: (what) => void ({ token, callbackSecret } = what),
  // deliver sends an event, as GitHub does it: the body is the payload as it is
  // written here. What of it is changed after it was signed is said by change.
  deliver: async ({ url, secret, event, payload, delivery, change }) => {
    const body = JSON.stringify(payload);
    const headers = {
      "Content-Type": "application/json",
      "User-Agent": "GitHub-Hookshot/0b1ba5c",
      "X-GitHub-Event": event,
      "X-GitHub-Delivery": delivery ?? randomUUID(),
      "X-Hub-Signature-256": "sha256=" + createHmac("sha256", secret).update(body).digest("hex"),
      ...change?.headers,
    };
    const answer = await fetch(url, { method: change?.method ?? "POST", headers, body: change?.body ?? body });
    return { status: answer.status, body: await answer.text() };
  },
  // send makes a call as it is given.
  send: async ({ url, headers, size }) => {
    const answer = await fetch(url, { method: "POST", headers, body: " ".repeat(size) });
    return { status: answer.status, body: await answer.text() };
  },
  statuses: ({ repo, sha }) => statuses.filter((s) => s.repo === repo && s.sha === sha),
  callbacks: () => callbacks,
  refused: () => refused,
  visited: () => visited,
};

function api(request, path, body) {
  const [, owner, name, sha] = path.match(/^repos\/([\w.-]+)\/([\w.-]+)\/statuses\/([0-9a-f]{40})$/) ?? [];
  if (request.headers.authorization !== `Bearer ${token}`) return [401, { message: "Bad credentials" }];
  if (!sha || request.method !== "POST") return [404, { message: "Not Found" }];
  const { state, context, description, target_url } = JSON.parse(body);
  if (!["error", "failure", "pending", "success"].includes(state) || [...(description ?? "")].length > 140) {
    return [422, { message: "Validation Failed" }];
  }
  const status = { id: statuses.length + 1, repo: `${owner}/${name}`, sha, state, context: context ?? "default", description, target_url };
  statuses.push(status);
  return [201, status];
}

function callback(request, body) {
  try {
    callbacks.push({ id: request.headers["webhook-id"], ...new Webhook(callbackSecret).verify(body, request.headers) });
    return [204];
  } catch (fault) {
    refused.push(String(fault));
    return [401, { message: String(fault) }];
  }
}

async function serve(request, response) {
  const parts = [];
  for await (const part of request) parts.push(part);
  const body = Buffer.concat(parts).toString();
  const [, where, rest] = request.url.match(/^\/(\w+)\/(.*)$/) ?? [];
  let answer = [404, {}];
  if (where === "control") answer = [200, (await control[rest](JSON.parse(body))) ?? null];
  if (where === "api") answer = api(request, rest, body);
  if (where === "callbacks") answer = callback(request, body);
  if (where === "inside") visited.push(request.url), (answer = [200, {}]);
  if (where === "redirect") {
    response.writeHead(307, { location: `http://localhost:${server.address().port}/inside/` }).end();
    return;
  }
  response.writeHead(answer[0], { "Content-Type": "application/json" }).end(answer.length > 1 ? JSON.stringify(answer[1]) : undefined);
}

const server = createServer((request, response) => {
  serve(request, response).catch((fault) => response.writeHead(500).end(String(fault?.stack ?? fault)));
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
