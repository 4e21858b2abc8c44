// Uppy Companion, plugged into Express as its README shows. `node companion.mjs PORT`, with NODE_ENV=production.
//
// It has the routing, body parser and session that the README requires, CORS, and signs a form for a POST. It verifies no
// token here, its metrics are off, and only its standalone server writes a request log.

import { tmpdir } from 'node:os'
import * as companion from '@uppy/companion'
import bodyParser from 'body-parser'
import express from 'express'
import session from 'express-session'

const port = Number(process.argv[2])
const secret = 'only the providers of files would use it'

const app = express()
app.use(bodyParser.json())
app.use(session({ secret, resave: false, saveUninitialized: false }))

const { app: companionApp } = companion.app({
  s3: {
    endpoint: process.env.R2_ENDPOINT,
    key: process.env.R2_ACCESS_KEY_ID,
    secret: process.env.R2_SECRET_ACCESS_KEY,
    bucket: process.env.R2_BUCKET_NAME,
    region: 'auto',
    expires: 900,
  },
  providerOptions: {},
  server: { host: `127.0.0.1:${port}` },
  filePath: tmpdir(),
  secret,
  uploadUrls: ['https://uploads.invalid/'], // production demands one; only uploads from other clouds go there
  corsOrigins: true,
  metrics: false,
})
app.use(companionApp)

companion.socket(app.listen(port, '127.0.0.1'))
