// What Teams tells a bot, in the form in which it does.
// https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-api-reference#activity-object
import { randomUUID } from 'node:crypto';

export class Activities {
  constructor(serviceUrl, app, tenant) {
    Object.assign(this, { serviceUrl, tenant, last: 1_700_000_000_000 });
    this.bot = { id: '28:' + app, name: 'Skadi' };
  }

  // base is what all activities have. where is {type, id, thread?}, who is
  // {name, object}; a thread is named by the ID of its first message.
  base(type, where, who) {
    const id = where.thread ? `${where.id};messageid=${where.thread}` : where.id;
    const a = {
      type,
      id: String(++this.last),
      timestamp: new Date().toISOString(),
      channelId: 'msteams',
      serviceUrl: this.serviceUrl,
      from: { id: '29:1' + who.object.replaceAll('-', '_'), name: who.name, aadObjectId: who.object },
      conversation: { conversationType: where.type, tenantId: this.tenant, id },
      recipient: this.bot,
      channelData: { tenant: { id: this.tenant } },
    };
    if (where.type !== 'personal') a.conversation.isGroup = true;
    if (where.type === 'channel') {
      const team = where.team ?? where.id;
      Object.assign(a.channelData, { teamsChannelId: where.id, teamsTeamId: team, channel: { id: where.id }, team: { id: team } });
    }
    return a;
  }

  // message is what somebody writes. In group chats and channels it mentions
  // the bot, since Teams tells of no other message.
  message({ where, who, text }) {
    const a = this.base('message', where, who);
    Object.assign(a, { text, textFormat: 'plain', locale: 'en-GB', localTimezone: 'Europe/London' });
    a.entities = [{ type: 'clientInfo', locale: 'en-GB', country: 'GB', platform: 'Web', timezone: 'Europe/London' }];
    let html = `<p>${escape(text)}</p>`;
    if (where.type !== 'personal') {
      a.text = `<at>${this.bot.name}</at>\u00a0${text}\r\n`;
      a.entities.unshift({ type: 'mention', text: `<at>${this.bot.name}</at>`, mentioned: this.bot });
      html = `<p><span itemtype="http://schema.skype.com/Mention" itemscope="" itemid="0">${this.bot.name}</span>&nbsp;${escape(text)}</p>`;
    }
    a.attachments = [{ contentType: 'text/html', content: html }];
    return a;
  }

  // edited is what Teams tells when a message of before has another text.
  edited(original, text) {
    const mention = original.entities.find((e) => e.type === 'mention');
    return {
      ...original,
      type: 'messageUpdate',
      text: (mention ? mention.text + ' ' : '') + text,
      channelData: { ...original.channelData, eventType: 'editMessage' },
    };
  }

  // click is an invoke by a card's Action.Execute.
  // https://learn.microsoft.com/adaptive-cards/authoring-cards/universal-action-model
  click({ where, who, card, action, trigger = 'manual' }) {
    const a = this.base('invoke', where, who);
    return Object.assign(a, {
      id: 'f:' + randomUUID(),
      name: 'adaptiveCard/action',
      replyToId: card,
      value: { action: { type: action.type, title: action.title, verb: action.verb, data: action.data ?? {} }, trigger },
      channelData: { ...a.channelData, source: { name: 'message' }, legacy: { replyToId: card } },
    });
  }

  // joins are what Teams tells when somebody adds the bot, in this order.
  joins({ where, who }) {
    const added = this.base('conversationUpdate', where, who);
    added.membersAdded = [{ id: this.bot.id }];
    const installed = this.base('installationUpdate', where, who);
    installed.action = 'add';
    for (const a of [added, installed]) {
      a.id = 'f:' + randomUUID();
      if (where.type === 'channel') a.channelData.eventType = 'teamMemberAdded';
    }
    return [added, installed];
  }

  // arrives is what Teams tells when a person is added.
  arrives({ where, who }) {
    const a = this.base('conversationUpdate', where, who);
    return Object.assign(a, { id: 'f:' + randomUUID(), membersAdded: [{ id: a.from.id, aadObjectId: who.object }] });
  }
}

function escape(text) {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
