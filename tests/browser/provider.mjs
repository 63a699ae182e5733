// An OpenID provider that is not ours, for tests: panva's oidc-provider with one client and the
// accounts that it is given. It reads one line of JSON, prints {"issuer": …} once it listens, and
// ends when its input does.
//
//   redirect_uris   where answers may go
//   accounts        [{sub, email, email_verified, name, groups}]; the login form takes the sub
//   client          more metadata of the client, such as token_endpoint_auth_method
//   configuration   more settings of oidc-provider, such as ttl

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

// Standard output belongs to the answer; notices go where errors go.
console.info = console.error;
console.log = console.error;
const { Provider } = await import('oidc-provider');

const lines = createInterface({ input: process.stdin });
lines.once('line', (line) => start(JSON.parse(line)));
lines.once('close', () => process.exit(0));

function key(type, options, alg) {
  const { privateKey } = generateKeyPairSync(type, options);
  return { ...privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: alg };
}

function account(known, sub) {
  const found = known.find((one) => one.sub === sub);
  return found && { accountId: sub, claims: async () => found };
}

function settings(given) {
  const known = given.accounts ?? [];
  return {
    clients: [
      {
        client_id: 'rack-gateway',
        client_secret: 'a-secret-between-the-tests-and-this-provider',
        redirect_uris: given.redirect_uris ?? [],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        id_token_signed_response_alg: 'ES256',
        ...given.client,
      },
    ],
    // ID tokens carry the claims, as those of the large providers do.
    conformIdTokenClaims: false,
    claims: {
      openid: ['sub'],
      email: ['email', 'email_verified'],
      profile: ['name', 'groups'],
      groups: ['groups'],
    },
    findAccount: async (_, sub) => account(known, sub),
    pkce: { required: () => true },
    features: { devInteractions: { enabled: true } },
    cookies: { keys: [randomBytes(32).toString('hex')] },
    jwks: {
      keys: [key('ec', { namedCurve: 'P-256' }, 'ES256'), key('rsa', { modulusLength: 2048 }, 'RS256')],
    },
    ...given.configuration,
  };
}

function start(given) {
  const server = createServer();
  server.listen(0, '127.0.0.1', () => {
    const issuer = `http://127.0.0.1:${server.address().port}`;
    const chosen = settings(given);
    const provider = new Provider(issuer, chosen);
    provider.on('server_error', (_, error) => console.error(error));
    server.on('request', provider.callback());
    const [{ client_id, client_secret }] = chosen.clients;
    process.stdout.write(`${JSON.stringify({ issuer, client_id, client_secret })}\n`);
  });
}
