// WeCom's side of an application and of a group robot: the calls to the
// application's callback, access tokens, and the messages to members. It prints
// its URL, and is steered by POST of JSON to /control/METHOD.
import http from 'node:http';
import { randomInt } from 'node:crypto';
import { decrypt, encrypt, getSignature } from '@wecom/crypto';

const { CORP: corp, AGENT: agent, SECRET: secret, TOKEN: word, KEY: key, ROBOT: robot } = process.env;

let callback; // where the application is called
let tokens = 0; // that were given; only the newest is good
const posts = []; // that members got, in their order
const group = []; // what the robot said
const refused = {}; // messages by the errcode that they were answered with
const said = new Map(); // messages that members sent, by MsgId
const tasks = new Set();
const sentAt = new Map(); // by member
let messageID = 6_000_000_000_000_000n;

const cdata = (text) => `<![CDATA[${text.replaceAll(']]>', ']]]]><![CDATA[>')}]]>`;
const message = (user, rest) =>
  `<xml><ToUserName>${cdata(corp)}</ToUserName><FromUserName>${cdata(user)}</FromUserName><CreateTime>${Math.floor(Date.now() / 1000)}</CreateTime>` +
  `${rest}<AgentID>${agent}</AgentID></xml>`;

// seal makes the query and the body of a call. forged says what is wrong.
function seal(text, forged) {
  const at = String(Math.floor(Date.now() / 1000) - (forged === 'stale' ? 600 : 0));
  const nonce = String(randomInt(1e9, 1e10));
  const sealed = encrypt(key, text, forged === 'receiver' ? 'ww9999999999999999' : corp);
  const signature = getSignature(forged === 'word' ? 'another' : word, at, nonce, sealed);
  const query = new URLSearchParams({ msg_signature: forged === 'unsigned' ? '' : signature, timestamp: at, nonce });
  const inside = forged === 'changed' ? sealed.slice(0, 40) + (sealed[40] === 'A' ? 'B' : 'A') + sealed.slice(41) : sealed;
  const body = forged === 'plain' ? text : `<xml><ToUserName>${cdata(corp)}</ToUserName><Encrypt>${cdata(inside)}</Encrypt><AgentID>${cdata(agent)}</AgentID></xml>`;
  return { query, body, sealed };
}

const connections = new http.Agent({ keepAlive: true, maxSockets: 64 });

// call calls the application. The status is 0 where nobody answers in five
// seconds.
function call(method, query, body) {
  return new Promise((done) => {
    const request = http.request(`${callback}?${query}`, { method, agent: connections, timeout: 5000 }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk) => (text += chunk));
      response.on('end', () => done({ status: response.statusCode, body: text }));
    });
    request.on('timeout', () => request.destroy(new Error('no answer in time')));
    request.on('error', (error) => done({ status: 0, body: String(error) }));
    request.end(body);
  });
}

// deliver calls the application until it takes what happened, up to four times.
async function deliver(text, { forged, times = 4 } = {}) {
  let answer;
  for (let n = 0; n < times; n++) {
    const { query, body } = seal(text, forged);
    answer = await call('POST', query, body);
    if (answer.status === 200) break;
  }
  if (answer.status === 200 && answer.body) answer.passive = open(answer.body);
  return answer;
}

// open opens the answer to a call.
function open(body) {
  const part = (name) => body.match(new RegExp(`<${name}>(?:<!\\[CDATA\\[)?(.*?)(?:\\]\\]>)?</${name}>`, 's'))[1];
  const sealed = part('Encrypt');
  if (getSignature(word, part('TimeStamp'), part('Nonce'), sealed) !== part('MsgSignature')) throw new Error('an answer is not signed');
  const { message, id } = decrypt(key, sealed);
  if (id !== corp) throw new Error(`an answer is for ${id}`);
  return message;
}

function textOf(user, text) {
  const id = String((messageID += 1n));
  const xml = message(user, `<MsgType>${cdata('text')}</MsgType><Content>${cdata(text)}</Content><MsgId>${id}</MsgId>`);
  said.set(id, xml);
  return { id, xml };
}

const fault = (code, text) => {
  refused[code] = (refused[code] ?? 0) + 1;
  return { errcode: code, errmsg: text };
};

// take takes a message for a member.
function take(token, m) {
  if (token !== `token-hunter2-${tokens}`) return fault(42001, 'access_token expired');
  if (String(m.agentid) !== agent) return fault(40056, 'invalid agentid');
  if (!/^[A-Za-z][\w.@-]*$/.test(m.touser)) return fault(81013, 'user & party & tag all invalid');
  const text = m.text?.content ?? m.markdown?.content ?? '';
  if (Buffer.byteLength(text) > 2048) return fault(45002, 'content size exceeds the limit');
  const card = m.template_card;
  if (card && (tasks.has(card.task_id) || !/^[\w@-]{1,128}$/.test(card.task_id))) return fault(40058, 'invalid task_id');
  if (card) tasks.add(card.task_id);
  // What is more than 30 a minute is thrown away, and nobody is told.
  const times = (sentAt.get(m.touser) ?? []).filter((at) => at > Date.now() - 60_000);
  times.push(Date.now());
  sentAt.set(m.touser, times);
  if (times.length > 30) fault('thrown away', '');
  const words = card ? [card.main_title.title, card.main_title.desc, card.sub_title_text].join('\n') : text;
  posts.push({ user: m.touser, type: m.msgtype, words, buttons: card?.button_list ?? [], task: card?.task_id ?? '' });
  return { errcode: 0, errmsg: 'ok', invaliduser: '', msgid: `m${posts.length}`, response_code: 'once' };
}

const control = {
  app: ({ url }) => void (callback = url),
  // test does what the console does when the address is entered.
  async test({ forged }) {
    const { query, sealed } = seal('1616140317555161061', forged);
    query.set('echostr', sealed);
    const from = performance.now();
    return { ...(await call('GET', query)), ms: Math.round(performance.now() - from) };
  },
  async say({ user, text, forged }) {
    const { id, xml } = textOf(user, text);
    return { id, ...(await deliver(xml, { forged, times: forged ? 1 : 4 })) };
  },
  again: ({ id }) => deliver(said.get(id), { times: 1 }),
  event: ({ user, event, key = '' }) =>
    deliver(message(user, `<MsgType>${cdata('event')}</MsgType><Event>${cdata(event)}</Event><EventKey>${cdata(key)}</EventKey>`)),
  click: ({ user, task, label }) => {
    const button = posts.find((p) => p.task === task).buttons.find((b) => b.text === label);
    return deliver(message(user, `<MsgType>${cdata('event')}</MsgType><Event>${cdata('template_card_event')}</Event><EventKey>${cdata(button.key)}</EventKey>` +
      `<TaskId>${cdata(task)}</TaskId><CardType>${cdata('button_interaction')}</CardType><ResponseCode>${cdata('code')}</ResponseCode>`));
  },
  posts: ({ user } = {}) => posts.filter((p) => !user || p.user === user),
  group: () => group,
  state: () => ({ tokens, refused, posts: posts.length }),
  expire: () => void tokens++,
  flood,
};

// flood has members write, so many at a time. Of every ten messages one is
// delivered three times more, and one is forged beside it; in the middle the
// token runs out. What is not taken is delivered again, however often.
async function flood({ text, messages, members, workers }) {
  const from = Date.now();
  const ways = ['word', 'stale', 'receiver', 'unsigned', 'changed', 'plain'];
  const counts = { taken: 0, late: 0, again: 0, forged: 0, believed: 0 };
  const until = async (xml, forged) => {
    for (let n = 0; n < 200; n++) {
      const { status } = await deliver(xml, { forged, times: 1 });
      if (status === 200 || (forged && status !== 0)) return status;
      counts.late++;
    }
    return 0;
  };
  let next = 0;
  const work = async () => {
    while (next < messages) {
      const n = next++;
      if (n === Math.floor(messages / 2)) tokens++;
      const user = `Member${n % members}`;
      const { xml } = textOf(user, `${text} m${n}`);
      const deliveries = [until(xml)];
      if (n % 10 === 3) deliveries.push(until(xml)); // before the first is taken
      for (const status of await Promise.all(deliveries)) if (status === 200) counts.taken++;
      if (n % 10 === 3) {
        counts.again++;
        for (let i = 0; i < 2; i++) if ((await until(xml)) === 200) counts.again++;
        counts.taken--;
      }
      if (n % 10 === 7) {
        counts.forged++;
        const forged = textOf(user, `${text} forged${n}`);
        if ((await until(forged.xml, ways[Math.floor(n / 10) % ways.length])) === 200) counts.believed++;
      }
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  return { ...counts, ms: Date.now() - from };
}

async function route(request, body) {
  const url = new URL(request.url, 'http://127.0.0.1');
  const q = url.searchParams;
  switch (url.pathname) {
    case '/cgi-bin/gettoken':
      if (q.get('corpid') !== corp) return fault(40013, 'invalid corpid');
      if (q.get('corpsecret') !== secret) return fault(40001, 'invalid credential');
      tokens++;
      return { errcode: 0, errmsg: 'ok', access_token: `token-hunter2-${tokens}`, expires_in: 7200 };
    case '/cgi-bin/message/send':
      return take(q.get('access_token'), JSON.parse(body));
    case '/cgi-bin/webhook/send':
      if (q.get('key') !== robot) return fault(93000, 'invalid webhook url');
      group.push(JSON.parse(body));
      return { errcode: 0, errmsg: 'ok' };
  }
  const method = url.pathname.startsWith('/control/') && control[url.pathname.slice('/control/'.length)];
  if (!method) return fault(404, 'no such call');
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
