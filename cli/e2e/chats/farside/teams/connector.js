// The Bot Connector: what a bot says in Teams, and what Teams makes of it.
// https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference
const cardType = 'application/vnd.microsoft.card.adaptive';
// Teams takes about 100 KB; bots are told to stay below 80.
const mostBytes = 100 << 10;
// Two processes may read the clock this differently, in milliseconds.
const clockError = 20;

export class Connector {
  constructor(tokens, bot) {
    // members are the conversations that the bot is in, each with the IDs of
    // its activities; complaints is what a bot must never do.
    Object.assign(this, { tokens, bot, members: new Map(), posts: [], byID: new Map(), complaints: [], typing: [] });
    Object.assign(this, { notBefore: new Map(), faults: [], faulted: {}, held: null, last: 1_800_000_000_000 });
  }

  // hears notes an activity that the bot was told of.
  hears(activity) {
    const id = activity.conversation.id;
    if (!this.members.has(id)) this.members.set(id, new Set());
    this.members.get(id).add(activity.id);
  }

  // serve answers one call, or returns null if it is to have no answer. parts
  // are those of its path after /v3/conversations/.
  async serve({ method, parts, headers, body }) {
    const [conversation, activities, id] = parts;
    if (Date.now() < (this.notBefore.get(conversation) ?? 0)) {
      this.complaints.push(`${conversation} was called before its Retry-After was over`);
    }
    // Nobody repeats that somebody types, so that would use up a fault.
    const fault = /"type":"typing"/.test(body) ? null : this.fault();
    if (fault) {
      if (fault.status === 0) return null;
      if (!fault.retry_after) return { status: fault.status, body: errorOf(fault) };
      this.notBefore.set(conversation, Date.now() + fault.retry_after * 1000 - clockError);
      return { status: fault.status, headers: { 'Retry-After': String(fault.retry_after) }, body: errorOf(fault) };
    }
    if (!(await this.tokens.trusts(headers.authorization))) {
      this.count('401');
      return { status: 401, body: { message: 'Authorization has been denied for this request.' } };
    }
    if (this.held) {
      this.held.calls++;
      if ((await this.held.ended) === 'dropped') return null;
    }
    const known = activities === 'activities' && (method === 'POST' ? parts.length <= 3 : method === 'PUT' && parts.length === 3);
    if (!known) {
      return this.refuse(404, 'NotFound', `there is no ${method} of ${parts.join('/')}`);
    }
    if (body.length > mostBytes) return this.refuse(413, 'MessageSizeTooBig', `${body.length} bytes`);
    if (!this.members.has(conversation)) return this.refuse(403, 'BotNotInConversationRoster', `the bot is not in ${conversation}`);
    let activity;
    try {
      activity = JSON.parse(body);
    } catch {
      return this.refuse(400, 'BadSyntax', 'the body is no JSON');
    }
    const wrong = this.wrong(conversation, activity);
    if (wrong) return this.refuse(400, 'BadArgument', wrong);
    return method === 'PUT' ? this.edit(conversation, id, activity) : this.post(conversation, id, activity);
  }

  // fault returns how a call fails, if calls fail now. The status 0 is a
  // connection that breaks.
  fault() {
    const [fault] = this.faults;
    if (!fault) return null;
    if (fault.times && --fault.times === 0) this.faults.shift();
    this.count(String(fault.status));
    return fault;
  }

  count(status) {
    this.faulted[status] = (this.faulted[status] ?? 0) + 1;
  }

  refuse(status, code, message) {
    this.complaints.push(`${status} ${code}: ${message}`);
    return { status, body: { error: { code, message } } };
  }

  // wrong says what Teams would not take of an activity.
  wrong(conversation, a) {
    if (a.type !== 'message' && a.type !== 'typing') return `the type is ${a.type}`;
    if (a.conversation?.id !== conversation) return `the conversation is ${a.conversation?.id} in the body`;
    if (a.from?.id !== this.bot.id) return `it is from ${a.from?.id}`;
    if (a.type === 'typing') return '';
    if (!a.text && !a.attachments?.length) return 'it says nothing';
    for (const tag of (a.text ?? '').match(/<at>.*?<\/at>/g) ?? []) {
      if (!(a.entities ?? []).some((e) => e.type === 'mention' && e.text === tag && e.mentioned?.id)) return `${tag} is no entity`;
    }
    for (const { contentType, content: card } of a.attachments ?? []) {
      if (contentType !== cardType) return `an attachment is ${contentType}`;
      if (card?.type !== 'AdaptiveCard' || !/^1\.[0-5]$/.test(card.version)) return 'the card is of a version that Teams does not know';
      if (!Array.isArray(card.body) || card.body.length === 0) return 'the card is empty';
      if ((card.actions ?? []).length > 6) return 'the card has too many actions';
      for (const action of card.actions ?? []) {
        if (action.type !== 'Action.Execute' || !action.title || !action.verb) return `the card has the action ${action.type}`;
      }
    }
    return '';
  }

  post(conversation, replyTo, activity) {
    if (replyTo && !this.members.get(conversation).has(replyTo)) {
      return this.refuse(404, 'ActivityNotFoundInConversation', `${conversation} has no activity ${replyTo}`);
    }
    const id = String(++this.last);
    if (activity.type === 'typing') {
      this.typing.push(conversation);
      return { status: 201, body: { id } };
    }
    this.members.get(conversation).add(id);
    const post = { conversation, id, reply_to: replyTo ?? '', versions: [], ...seen(activity) };
    post.versions.push(post.text);
    this.posts.push(post);
    this.byID.set(id, post);
    return { status: 201, body: { id } };
  }

  edit(conversation, id, activity) {
    const post = this.byID.get(id);
    if (post?.conversation !== conversation) {
      return this.refuse(404, 'ActivityNotFoundInConversation', `the bot has not said ${id} in ${conversation}`);
    }
    Object.assign(post, seen(activity));
    post.versions.push(post.text);
    return { status: 200, body: { id } };
  }

  // hold has calls wait until they are released, and then carried out, or
  // dropped.
  hold() {
    const held = { calls: 0 };
    held.ended = new Promise((end) => (held.end = end));
    this.held = held;
  }

  unhold(how) {
    this.held.end(how);
    this.held = null;
  }
}

function errorOf({ status }) {
  const codes = { 412: 'PreconditionFailed', 429: 'TooManyRequests', 503: 'ServiceUnavailable' };
  return { error: { code: codes[status] ?? 'Error', message: 'Please try again.' } };
}

// seen is what a person sees of an activity.
function seen(activity) {
  const card = activity.attachments?.[0]?.content;
  const text = [activity.text ?? '', ...(card?.body ?? []).flatMap(lines)].filter(Boolean).join('\n');
  return {
    text,
    card: Boolean(card),
    summary: activity.summary ?? '',
    actions: card?.actions ?? [],
    mentions: (activity.entities ?? []).filter((e) => e.type === 'mention').map((e) => e.mentioned.id),
  };
}

// lines returns the texts of a card's element.
function lines(element) {
  switch (element.type) {
    case 'TextBlock':
      return [element.text];
    case 'RichTextBlock':
      return [element.inlines.map((run) => (typeof run === 'string' ? run : run.text)).join('')];
    case 'Container':
      return element.items.flatMap(lines);
    default:
      return [];
  }
}
