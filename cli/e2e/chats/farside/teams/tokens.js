// The tokens of the Bot Framework: those that it signs for a bot, and those
// that a bot gets for itself from Microsoft Entra.
// https://learn.microsoft.com/azure/bot-service/rest-api/bot-framework-rest-connector-authentication
import * as jose from 'jose';

const issuer = 'https://api.botframework.com';
const scope = issuer + '/.default';

export class Tokens {
  constructor(url, app, password, tenant) {
    Object.assign(this, { url, app, password, tenant, generation: 1, granted: 0, signed: new Map() });
  }

  async make() {
    const pair = () => jose.generateKeyPair('RS256', { extractable: true });
    // Served are the first two; the third is a stranger's.
    const [teams, webchat, stranger, login] = await Promise.all([pair(), pair(), pair(), pair()]);
    this.keys = { teams, webchat, stranger };
    this.login = login;
    this.jwks = {
      keys: [
        await this.jwk('teams', ['msteams', 'skype']),
        await this.jwk('webchat', ['webchat', 'directline']),
      ],
    };
    return this;
  }

  async jwk(kid, endorsements) {
    const key = await jose.exportJWK(this.keys[kid].publicKey);
    return { ...key, use: 'sig', kid, x5t: kid, endorsements };
  }

  metadata() {
    return {
      issuer,
      authorization_endpoint: 'https://invalid.botframework.com/',
      jwks_uri: this.url + '/v1/.well-known/keys',
      id_token_signing_alg_values_supported: ['RS256'],
      token_endpoint_auth_methods_supported: ['private_key_jwt'],
    };
  }

  // header returns the Authorization header of a call to the bot. What how has
  // is different from what an honest call has: see TestForgedCallsToTeams.
  async header(serviceUrl, how = {}) {
    if (how.header !== undefined) return how.header || undefined;
    const id = JSON.stringify([serviceUrl, how]);
    const now = Math.floor(Date.now() / 1000);
    const kept = this.signed.get(id);
    // The Bot Framework uses a token for many calls, too.
    if (kept && kept.until > now) return kept.header;
    const claims = { serviceurl: how.serviceurl ?? serviceUrl, iss: how.iss ?? issuer, aud: how.aud ?? this.app };
    if (how.aud === null) delete claims.aud;
    if (how.serviceurl === null) delete claims.serviceurl;
    claims.nbf = now + (how.nbf ?? -10);
    if (how.exp !== null) claims.exp = now + (how.exp ?? 3600);
    const token = await this.sign(claims, how);
    const header = 'Bearer ' + token;
    this.signed.set(id, { header, until: now + 60 });
    return header;
  }

  async sign(claims, how) {
    const kid = how.kid ?? how.key ?? 'teams';
    if (how.alg === 'none') return new jose.UnsecuredJWT(claims).encode();
    if (how.alg === 'HS256') {
      // The public key, which everybody has, as if it were a shared secret.
      const secret = new TextEncoder().encode(await jose.exportSPKI(this.keys.teams.publicKey));
      return new jose.SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'JWT', kid }).sign(secret);
    }
    const key = this.keys[how.key ?? 'teams'].privateKey;
    return new jose.SignJWT(claims).setProtectedHeader({ alg: 'RS256', typ: 'JWT', kid, x5t: kid }).sign(key);
  }

  // grant answers the bot's request for a token of its own.
  // https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
  async grant(tenant, form) {
    const refuse = (status, error, error_description) => ({ status, body: { error, error_description } });
    if (tenant !== this.tenant) return refuse(400, 'invalid_request', `AADSTS90002: Tenant '${tenant}' not found.`);
    if (form.get('grant_type') !== 'client_credentials') return refuse(400, 'unsupported_grant_type', 'AADSTS70003');
    if (form.get('scope') !== scope) return refuse(400, 'invalid_scope', 'AADSTS70011');
    if (form.get('client_id') !== this.app) return refuse(400, 'unauthorized_client', 'AADSTS700016: not found.');
    if (form.get('client_secret') !== this.password) {
      return refuse(401, 'invalid_client', 'AADSTS7000215: Invalid client secret provided.');
    }
    this.granted++;
    const token = await new jose.SignJWT({ appid: this.app, tid: tenant, generation: this.generation })
      .setProtectedHeader({ alg: 'RS256', typ: 'JWT' })
      .setIssuer(`https://sts.windows.net/${tenant}/`).setAudience(issuer).setIssuedAt().setExpirationTime('1h')
      .sign(this.login.privateKey);
    return { status: 200, body: { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token: token } };
  }

  // revoke makes every token that was granted until now worthless.
  revoke() {
    this.generation++;
  }

  // trusts says whether a call to the connector has a token of the bot's.
  async trusts(authorization = '') {
    try {
      const token = authorization.replace(/^Bearer /, '');
      const { payload } = await jose.jwtVerify(token, this.login.publicKey, { audience: issuer, algorithms: ['RS256'] });
      return payload.appid === this.app && payload.generation === this.generation;
    } catch {
      return false;
    }
  }
}
