import { z } from 'zod'
import { localFacilitator } from './schema-local.ts'
import { upstreamHost } from './schema-shaping.ts'
import { upstreamHealth } from './schema-upstream-health.ts'
import { upstreamTls } from './schema-upstream-tls.ts'
import { duration, flag, text, textOr, wholeNumber } from './schema-values.ts'

const headers = z.record(z.string(), z.string().max(16 * 1024)).meta({
  description: `Header names and values. \${VAR} and \${file:/path} keep secrets out of this file.`,
})

const SECRET_LENGTH_MAX = 16 * 1024

const keyPair = {
  keyId: text(512).meta({ description: 'The id of the API key.' }),
  keySecret: text(SECRET_LENGTH_MAX).meta({
    description: `The secret of the API key, as \${VAR} or \${file:/path}. Never logged.`,
  }),
}

/** How a facilitator knows who asks: in config/facilitators.yaml and in the operator's file. */
export const facilitatorAuth = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('coinbase').meta({
        description: 'coinbase: a token for each call, signed with an Ed25519 or ECDSA API key.',
      }),
      ...keyPair,
    }),
    z.strictObject({
      kind: z.literal('payai').meta({ description: 'payai: a token signed with an API key.' }),
      ...keyPair,
    }),
    z.strictObject({
      kind: z.literal('path').meta({ description: 'path: a key at the end of the URL.' }),
      key: text(SECRET_LENGTH_MAX).meta({
        description: `The key, as \${VAR} or \${file:/path}. Never logged.`,
      }),
    }),
  ])
  .meta({ description: 'API keys: a map with kind coinbase, payai or path.' })

const facilitatorFull = z.strictObject({
  url: text(2048).meta({
    description: 'Base URL, or the name of a preset from config/facilitators.yaml.',
  }),
  headers: headers.prefault({}),
  auth: facilitatorAuth.optional(),
  supported: z
    .array(text(128))
    .min(1)
    .max(64)
    .optional()
    .meta({
      description: 'Networks that it settles on, for a service that has no /supported to ask.',
      examples: [['base']],
    }),
  timeout: duration().prefault('10s').meta({
    description: 'How long to wait when a payment is verified.',
  }),
  settleTimeout: duration().prefault('60s').meta({
    description: 'How long to wait when money is moved.',
  }),
  concurrency: wholeNumber({ min: 1, max: 4096 })
    .prefault('256')
    .meta({
      description:
        'Calls to it at once, at most, of which verifications take up to three quarters. When it has ' +
        'no place, the next facilitator is asked.',
    }),
})

export const facilitator = z
  .union([
    text(2048)
      .transform((url): z.input<typeof facilitatorFull> => ({ url }))
      .pipe(facilitatorFull),
    facilitatorFull,
    localFacilitator,
  ])
  .meta({ description: 'The name of a preset, a URL, a map with url and headers, or local: {…}.' })

const upstreamFull = z.strictObject({
  url: z.union([text(2048), z.array(text(2048)).min(1).max(64)]).meta({
    description:
      'Where the API is, optionally with a path that is put before each request: http://…, ' +
      'https://…, or unix:/run/api.sock:/path. A list names servers that do the same.',
    examples: ['http://localhost:3000', ['http://10.0.0.1:3000', 'http://10.0.0.2:3000']],
  }),
  headers: headers.prefault({}).meta({
    description:
      'Added to every request to the API, such as its key. Never sent to callers, never logged.',
  }),
  host: upstreamHost,
  http2: flag().prefault('false').meta({
    description:
      'true: HTTP/2 alone, as gRPC needs it; over https: by ALPN, over http: by prior knowledge.',
  }),
  connectTimeout: duration()
    .prefault('5s')
    .meta({ description: 'How long a connection may take.' }),
  bodyTimeout: duration().prefault('5m').meta({
    description: 'How long the body of a response may be silent before it counts as broken.',
  }),
  maxConnections: wholeNumber({ min: 1, max: 65_535 }).prefault('256').meta({
    description: 'Connections to each server at most; more requests wait.',
  }),
  maxQueue: wholeNumber({ min: 0, max: 65_535 }).prefault('1024').meta({
    description:
      'Requests that may wait for a connection to each server; more are answered with 503. 0: none.',
  }),
  health: upstreamHealth.optional(),
  tls: upstreamTls.optional(),
})

export const upstream = textOr(2048, upstreamFull, url => ({ url })).meta({
  description: 'A URL, or a map with url and headers.',
})

export type FacilitatorAuthSetting = z.output<typeof facilitatorAuth>
export type FacilitatorSetting = z.output<typeof facilitatorFull>
export type UpstreamSetting = z.output<typeof upstreamFull>
