// Builds callbacks with the two packages that others use, and opens answers. It
// reads {token, key, id, build: [texts], open: [{encrypt, signature, timestamp,
// nonce}]} and prints what each package makes of them.
import { createRequire } from 'node:module';
import * as wecom from '@wecom/crypto';
import { text } from 'node:stream/consumers';

const WXBizMsgCrypt = createRequire(import.meta.url)('wechat-crypto');
const { token, key, id, timestamp, build, open } = JSON.parse(await text(process.stdin));
const wechat = new WXBizMsgCrypt(token, key, id);

const packages = {
  '@wecom/crypto': {
    encrypt: (message) => wecom.encrypt(key, message, id),
    sign: (at, nonce, sealed) => wecom.getSignature(token, at, nonce, sealed),
    decrypt: (sealed) => wecom.decrypt(key, sealed),
  },
  'wechat-crypto': {
    encrypt: (message) => wechat.encrypt(message),
    sign: (at, nonce, sealed) => wechat.getSignature(at, nonce, sealed),
    decrypt: (sealed) => wechat.decrypt(sealed),
  },
};

const results = {};
for (const [name, p] of Object.entries(packages)) {
  results[name] = {
    built: build.map((message, n) => {
      const encrypt = p.encrypt(message);
      const nonce = `${name.length}${n}`;
      return { message, encrypt, nonce, signature: p.sign(timestamp, nonce, encrypt) };
    }),
    opened: open.map(({ encrypt, timestamp, nonce }) => {
      const { message, id } = p.decrypt(encrypt);
      return { message, id, signature: p.sign(timestamp, nonce, encrypt) };
    }),
  };
}
console.log(JSON.stringify(results));
