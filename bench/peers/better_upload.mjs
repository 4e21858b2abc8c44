// Better Upload on Hono, as their documentation shows them, with a bearer token that jose verifies for each upload.
// `node better_upload.mjs PORT`, with NODE_ENV=production.
//
// It verifies the token (HS256, with a key that is imported once), validates the request, and signs content-type and
// content-length. It has no request log, metrics or request id.
//
// Its client (@better-upload/client 3.0.19) sends: POST /api/upload, Content-Type: application/json, and
//   {"route": "songs", "files": [{"name": "song.mp3", "size": 8123456, "type": "audio/mpeg"}]}
// with `metadata` beside them if the page has some. The response has the URL at `files[0].signedUrl`.

import { handleRequest, RejectUpload, route } from '@better-upload/server'
import { cloudflare } from '@better-upload/server/clients'
import { serve } from '@hono/node-server'
import { Hono } from 'hono'
import { jwtVerify } from 'jose'

// jose imports a secret that is given as bytes anew for each token
const key = await crypto.subtle.importKey(
  'raw',
  new TextEncoder().encode(process.env.JWT_SECRET),
  { name: 'HMAC', hash: 'SHA-256' },
  false,
  ['verify'],
)

async function userOf(req) {
  const [scheme, token] = (req.headers.get('authorization') ?? '').split(' ')
  try {
    if (scheme !== 'Bearer') throw new Error('no bearer token')
    const { payload } = await jwtVerify(token, key, { algorithms: ['HS256'] })
    return payload.sub
  } catch {
    throw new RejectUpload('Not logged in!')
  }
}

const router = {
  client: cloudflare({
    accountId: process.env.R2_ACCOUNT_ID,
    accessKeyId: process.env.R2_ACCESS_KEY_ID,
    secretAccessKey: process.env.R2_SECRET_ACCESS_KEY,
  }),
  bucketName: process.env.R2_BUCKET_NAME,
  routes: {
    songs: route({
      fileTypes: ['audio/*'],
      maxFileSize: 1024 * 1024 * 1024,
      signedUrlExpiresIn: 900,
      onBeforeUpload: async ({ req, file }) => {
        const user = await userOf(req)
        return { objectInfo: { key: `uploads/${user}/${crypto.randomUUID()}/${file.name}` } }
      },
    }),
  },
}

const app = new Hono()
app.post('/api/upload', (c) => handleRequest(c.req.raw, router))

serve({ fetch: app.fetch, port: Number(process.argv[2]), hostname: '127.0.0.1' })
