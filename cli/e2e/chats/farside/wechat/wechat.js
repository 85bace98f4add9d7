// WeChat's side of an official account: the calls to its callback, access
// tokens, and customer-service messages within their quota. It prints its URL,
// and is steered by POST of JSON to /control/METHOD.
import http from 'node:http';
import { createHash, randomInt } from 'node:crypto';

process.noDeprecation = true; // of wechat-crypto
const { default: Crypt } = await import('wechat-crypto');

const { APP: app, SECRET: secret, TOKEN: word, KEY: key } = process.env;
const crypt = new Crypt(word, key, app);
const otherWord = new Crypt('another', key, app);
const otherApp = new Crypt(word, key, 'wx9999999999999999');
const account = 'gh_0123456789ab';

let callbacks = []; // where the account is called, in turn
let calls = 0;
let tokens = 0; // that were given; only the newest is good
let taken = 0; // messages of a flood
let messageID = 23_456_789_012_345_678n;
const posts = []; // what people got, in their order
const passive = new Map(); // answers within a call, by the message
const refused = {}; // messages by the errcode that they were answered with
const said = new Map(); // what people sent, by ID
const quota = new Map(); // by person: how many messages may follow, until when

const now = () => Math.floor(Date.now() / 1000);
const cdata = (text) => `<![CDATA[${text.replaceAll(']]>', ']]]]><![CDATA[>')}]]>`;
const sign = (...parts) => createHash('sha1').update(parts.sort().join('')).digest('hex');

// message makes the XML of what somebody did, and opens the time to answer it.
function message(user, rest, left, seconds) {
  quota.set(user, { left, until: Math.max(Date.now() + seconds * 1000, quota.get(user)?.until ?? 0) });
  return `<xml><ToUserName>${cdata(account)}</ToUserName><FromUserName>${cdata(user)}</FromUserName><CreateTime>${now()}</CreateTime>${rest}</xml>`;
}

// seal makes the query and the body of a call. forged says what is wrong.
function seal(user, text, forged) {
  const at = String(now() - (forged === 'stale' ? 600 : 0));
  const nonce = String(randomInt(1e8, 1e9));
  const by = { word: otherWord, receiver: otherApp }[forged] ?? crypt;
  const sealed = by.encrypt(text);
  const query = new URLSearchParams({ signature: sign(by.token, at, nonce), timestamp: at, nonce, openid: user });
  if (forged === 'plain') return { query, body: text };
  query.set('encrypt_type', 'aes');
  if (forged === 'downgraded') query.delete('encrypt_type');
  if (forged !== 'unsigned') query.set('msg_signature', by.getSignature(at, nonce, sealed));
  const inside = forged === 'changed' ? sealed.slice(0, 40) + (sealed[40] === 'A' ? 'B' : 'A') + sealed.slice(41) : sealed;
  const body = forged === 'downgraded' ? text : `<xml><ToUserName>${cdata(account)}</ToUserName><Encrypt>${cdata(inside)}</Encrypt></xml>`;
  return { query, body };
}

const connections = new http.Agent({ keepAlive: true, maxSockets: 2000 });

// call calls the account. The status is 0 where nobody answers in five seconds.
function call(method, query, body) {
  return new Promise((done) => {
    const request = http.request(`${callbacks[calls++ % callbacks.length]}?${query}`, { method, agent: connections, timeout: 5000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => done({ status: response.statusCode, body: text }));
      response.on('error', () => done({ status: 0, body: '' }));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', (error) => done({ status: 0, body: String(error) }));
    request.end(body);
  });
}

// deliver calls the account until it takes what happened, at most so often.
async function deliver(user, text, { id, forged, times = 3 } = {}) {
  let answer;
  const from = performance.now();
  for (let n = 0; n < times; n++) {
    if (n > 0) await new Promise((done) => setTimeout(done, 1000));
    const { query, body } = seal(user, text, forged);
    answer = await call('POST', query, body);
    if (answer.status === 200) break;
  }
  answer.ms = Math.round(performance.now() - from);
  if (answer.status === 200 && answer.body !== 'success') answer.passive = show(user, id, open(answer.body));
  return answer;
}

const part = (xml, name) => xml.match(new RegExp(`<${name}>(?:<!\\[CDATA\\[)?(.*?)(?:\\]\\]>)?</${name}>`, 's'))[1];

// open opens the answer to a call.
function open(body) {
  const sealed = part(body, 'Encrypt');
  if (crypt.getSignature(part(body, 'TimeStamp'), part(body, 'Nonce'), sealed) !== part(body, 'MsgSignature')) throw new Error('an answer is not signed');
  const { message, id } = crypt.decrypt(sealed);
  if (id !== app) throw new Error(`an answer is for ${id}`);
  return message;
}

// show shows the answer within a call, once however often the message came.
function show(user, id, xml) {
  const text = part(xml, 'Content').replaceAll(']]]]><![CDATA[>', ']]>');
  if (part(xml, 'ToUserName') !== user || part(xml, 'FromUserName') !== account || Buffer.byteLength(text) > 2048) throw new Error(`an odd answer: ${xml}`);
  if (id && passive.has(id)) {
    if (passive.get(id) !== text) posts.push({ user, text: `ANOTHER ANSWER ${text}`, passive: true });
    return text;
  }
  if (id) passive.set(id, text);
  posts.push({ user, text, passive: true });
  return text;
}

function textOf(user, text, kind = 'text') {
  const id = String((messageID += 1n));
  const words = kind === 'voice' ? `<MediaId>${cdata('m')}</MediaId><Format>${cdata('amr')}</Format><Recognition>${cdata(text)}</Recognition>` : `<Content>${cdata(text)}</Content>`;
  const xml = message(user, `<MsgType>${cdata(kind)}</MsgType>${words}<MsgId>${id}</MsgId>`, 5, 48 * 3600);
  said.set(id, { user, xml });
  return { id, xml };
}

const fault = (code, text) => {
  refused[code] = (refused[code] ?? 0) + 1;
  return { errcode: code, errmsg: text };
};

// take takes a customer-service message.
function take(token, m) {
  if (token !== `token-hunter2-${tokens}`) return fault(tokens % 2 ? 40001 : 42001, 'access_token expired');
  const q = quota.get(m.touser);
  if (!q) return fault(40003, 'invalid openid');
  if (m.msgtype !== 'text' || !m.text?.content) return fault(40008, 'invalid message type');
  if (Buffer.byteLength(m.text.content) > 2048) return fault(45002, 'content size out of limit');
  if (Date.now() > q.until) return fault(45015, 'response out of time limit or subscription is canceled');
  if (q.left-- <= 0) return fault(45047, 'out of response count limit');
  posts.push({ user: m.touser, text: m.text.content, passive: false });
  return { errcode: 0, errmsg: 'ok' };
}

const control = {
  app: ({ urls }) => void (callbacks = urls),
  // test does what the platform does when the address is entered.
  async test({ forged }) {
    const at = String(now());
    const nonce = String(randomInt(1e8, 1e9));
    return call('GET', new URLSearchParams({ signature: sign(forged ? 'another' : word, at, nonce), timestamp: at, nonce, echostr: '5838479218127813673' }));
  },
  async say({ user, text, kind, forged }) {
    const { id, xml } = textOf(user, text, kind);
    return { id, ...(await deliver(user, xml, { id, forged, times: forged ? 1 : 3 })) };
  },
  again: ({ id }) => deliver(said.get(id).user, said.get(id).xml, { id, times: 1 }),
  event: ({ user, event, key = '' }) =>
    deliver(user, message(user, `<MsgType>${cdata('event')}</MsgType><Event>${cdata(event)}</Event><EventKey>${cdata(key)}</EventKey>`, 3, 60)),
  // shut ends the time in which somebody can be answered.
  shut: ({ user }) => void (quota.get(user).until = 0),
  posts: ({ user } = {}) => posts.filter((p) => !user || p.user === user),
  state: () => ({ tokens, refused, taken, posts: posts.length }),
  expire: () => void tokens++,
  flood,
};

// flood has people write at a rate. Of every ten messages one is delivered three
// times more, and one is forged beside it; in the middle the token runs out.
async function flood({ text, prefix = '', messages, rate, people }) {
  const from = Date.now();
  const ways = ['word', 'stale', 'receiver', 'unsigned', 'changed', 'plain', 'downgraded'];
  const pending = [];
  const counts = { lost: 0, again: 0, forged: 0, believed: 0, slowest: 0 };
  taken = 0;
  for (let n = 0; n < messages; n++) {
    const due = from + (n * 1000) / rate;
    if (due > Date.now()) await new Promise((done) => setTimeout(done, due - Date.now()));
    if (n === Math.floor(messages / 2)) tokens++;
    const user = `oPerson-${n % people}`;
    const { id, xml } = textOf(user, `${text} ${prefix}m${n}`);
    const first = deliver(user, xml, { id, times: 60 }).then((answer) => {
      if (answer.status === 200) taken++;
      else counts.lost++;
    });
    pending.push(first);
    if (n % 10 === 3) {
      for (let i = 0; i < 3; i++) {
        pending.push((i ? first : Promise.resolve()).then(() => deliver(user, xml, { id, times: 60 })).then((answer) => void (answer.status === 200 && counts.again++)));
      }
    }
    if (n % 10 === 7) {
      counts.forged++;
      const forged = textOf(user, `${text} forged${n}`);
      const way = ways[Math.floor(n / 10) % ways.length];
      pending.push(deliver(user, forged.xml, { forged: way, times: 1 }).then((answer) => void (answer.status === 200 && counts.believed++)));
    }
  }
  await Promise.all(pending);
  return { ...counts, taken, ms: Date.now() - from };
}

async function route(request, body) {
  const url = new URL(request.url, 'http://127.0.0.1');
  const q = url.searchParams;
  switch (url.pathname) {
    case '/cgi-bin/token':
      if (q.get('appid') !== app) return fault(40013, 'invalid appid');
      if (q.get('secret') !== secret) return fault(40125, 'invalid appsecret');
      tokens++;
      return { access_token: `token-hunter2-${tokens}`, expires_in: 7200 };
    case '/cgi-bin/message/custom/send':
      return take(q.get('access_token'), JSON.parse(body));
  }
  const method = control[url.pathname.replace('/control/', '')];
  if (!method) throw new Error(`there is no ${url.pathname}`);
  return (await method(JSON.parse(body || '{}') ?? {})) ?? {};
}

const server = http.createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let status = 200;
  const answer = await route(request, Buffer.concat(chunks).toString()).catch((error) => {
    status = 500;
    return { error: String(error.stack) };
  });
  response.writeHead(status, { 'Content-Type': 'application/json; charset=UTF-8' });
  response.end(JSON.stringify(answer));
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
