// Microsoft's side of a bot in Teams: the keys and the login, the calls to the
// bot's messaging endpoint, and the Bot Connector. It prints its URL, and is
// steered by POST of JSON to /control/METHOD.
import http from 'node:http';
import { Activities } from './activities.js';
import { Connector } from './connector.js';
import { Tokens } from './tokens.js';

const { APP_ID: app, APP_PASSWORD: password, TENANT_ID: tenant } = process.env;
const connectorPath = '/emea/v3/conversations/';

const server = http.createServer((request, response) => {
  route(request, response).catch((error) => reply(response, { status: 500, body: { error: String(error.stack) } }));
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));
const url = `http://127.0.0.1:${server.address().port}`;
const serviceUrl = url + '/emea/';
const tokens = await new Tokens(url, app, password, tenant).make();
const activities = new Activities(serviceUrl, app, tenant);
const connector = new Connector(tokens, activities.bot);
let endpoint; // where the bot is called
console.log(url);

async function route(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  const path = request.url;
  if (path.startsWith('/control/')) {
    const method = control[path.slice('/control/'.length)];
    if (!method) return reply(response, { status: 404, body: { error: 'no such method' } });
    return reply(response, { status: 200, body: (await method(JSON.parse(body) ?? {})) ?? {} });
  }
  if (path === '/v1/.well-known/openidconfiguration') return reply(response, { status: 200, body: tokens.metadata() });
  if (path === '/v1/.well-known/keys') return reply(response, { status: 200, body: tokens.jwks });
  const login = path.match(/^\/([^/]+)\/oauth2\/v2\.0\/token$/);
  if (login && request.method === 'POST') {
    return reply(response, await tokens.grant(login[1], new URLSearchParams(body.toString())));
  }
  if (!path.startsWith(connectorPath)) {
    return reply(response, connector.refuse(404, 'NotFound', `there is no ${request.method} ${path}`));
  }
  const parts = path.slice(connectorPath.length).split('/').map(decodeURIComponent);
  const answer = await connector.serve({ method: request.method, parts, headers: request.headers, body });
  return answer ? reply(response, answer) : request.socket.destroy();
}

function reply(response, { status, headers = {}, body }) {
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', ...headers });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });

// call calls the bot's messaging endpoint. The status is 0 where nobody
// answers.
async function call(activity, how) {
  const headers = { 'Content-Type': 'application/json; charset=utf-8', 'User-Agent': 'BF-DirectLine (Microsoft-BotFramework/3.2)' };
  const authorization = await tokens.header(activity.serviceUrl, how);
  if (authorization) headers.Authorization = authorization;
  return new Promise((done) => {
    const request = http.request(endpoint, { method: 'POST', agent, headers, timeout: 15_000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => done({ status: response.statusCode, body: text }));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in 15 seconds')));
    request.on('error', (error) => done({ status: 0, body: String(error) }));
    request.end(JSON.stringify(activity));
  });
}

// deliver calls the bot until it takes an activity. Teams itself gives up
// after the second time.
async function deliver(activity, how, tries = 1) {
  connector.hears(activity);
  let answer;
  for (let n = 0; n < tries; n++) {
    answer = await call(activity, how);
    if (answer.status === 200) break;
  }
  return { ...answer, id: activity.id };
}

// said are the messages by their ID, so that they can be delivered again.
const said = new Map();

const control = {
  bot: ({ url }) => void (endpoint = url),

  // say delivers a message; how forges the token, activity the fields that it
  // has.
  async say({ message, how, activity }) {
    const a = { ...activities.message(message), ...activity };
    said.set(a.id, a);
    return deliver(a, how);
  },
  again: ({ id }) => deliver(said.get(id)),
  edit: ({ id, text }) => deliver(activities.edited(said.get(id), text)),

  // click clicks on a button of a card as often as times says, at once.
  async click({ where, who, card, title, times = 1, trigger }) {
    const action = connector.byID.get(card).actions.find((a) => a.title === title);
    if (!action) throw new Error(`the card has no button ${title}`);
    const clicks = Array.from({ length: times }, () => activities.click({ where, who, card, action, trigger }));
    return Promise.all(clicks.map((a) => deliver(a)));
  },
  // invoke delivers an invoke of any kind.
  invoke: ({ where, who, name, value }) => deliver({ ...activities.base('invoke', where, who), name, value }),
  join: async (m) => {
    const answers = [];
    for (const a of activities.joins(m)) answers.push(await deliver(a));
    return answers;
  },
  arrive: (m) => deliver(activities.arrives(m)),

  flood,

  posts: () => connector.posts,
  state: () => ({
    complaints: connector.complaints, faulted: connector.faulted, held: connector.held?.calls ?? 0,
    typing: connector.typing, granted: tokens.granted, posts: connector.posts.length,
    done: connector.posts.filter((p) => p.text.includes('done ')).length,
  }),
  fail: (fault) => void connector.faults.push(fault),
  heal: () => void (connector.faults = []),
  revoke: () => tokens.revoke(),
  hold: () => connector.hold(),
  release: () => connector.unhold('released'),
  drop: () => connector.unhold('dropped'),
};

// flood delivers messages at a rate, and some again: half of these at once, half
// after the first was taken. Each is "TEXT KEY" with a key of its own, in one of
// some threads of a channel.
async function flood({ where, who, text, messages, rate, threads, every }) {
  const start = performance.now();
  const statuses = {};
  const sent = [];
  const count = (a) => (statuses[a.status] = (statuses[a.status] ?? 0) + 1);
  const pending = [];
  let slowest = 0;
  let again = 0;
  for (let n = 0; n < messages; ) {
    const due = Math.min(messages, Math.floor(((performance.now() - start) / 1000) * rate));
    for (; n < due; n++) {
      const key = `m${n}`;
      const thread = String(1_600_000_000_000 + (n % threads));
      const a = activities.message({ where: { ...where, thread }, who, text: `${text} ${key}` });
      sent.push({ key, id: a.id, conversation: a.conversation.id });
      const began = performance.now();
      const first = deliver(a, undefined, 3).then((answer) => {
        slowest = Math.max(slowest, performance.now() - began);
        count(answer);
      });
      pending.push(first);
      if (n % every === 0) {
        again++;
        const second = () => deliver(a, undefined, 3).then(count);
        pending.push((again % 2 === 0 ? Promise.resolve() : first).then(second));
      }
    }
    await new Promise((done) => setTimeout(done, 2));
  }
  const offered = performance.now() - start;
  await Promise.all(pending);
  return { statuses, sent, again, offered: offered / 1000, taken: (performance.now() - start) / 1000, slowest: slowest / 1000 };
}
