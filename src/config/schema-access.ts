import { z } from 'zod'
import { flag, name, text, wholeNumber } from './schema-values.ts'

const networks = z
  .array(text(64))
  .min(1)
  .max(10_000)
  .optional()
  .meta({
    description: 'Addresses and CIDR ranges that clients connect from.',
    examples: [['10.0.0.0/8']],
  })

const certificates = z
  .array(text(255))
  .min(1)
  .max(10_000)
  .optional()
  .meta({
    description:
      'Names in the certificate of a client, which server.tls.clientCa has to vouch for.',
    examples: [['client.example.com']],
  })

const clientKey = z.strictObject({
  name: name.meta({ description: 'Who has the key, in logs, metrics and for the API.' }),
  sha256: text(128).meta({
    description: 'SHA-256 of the key as 64 hex digits. "farebox key" makes a key and this.',
  }),
})

const jwt = z
  .strictObject({
    jwks: text(64 * 1024).meta({
      description: `Public keys of the issuer: an https URL, or the JSON itself as \${file:./jwks.json}.`,
      examples: ['https://id.example.com/.well-known/jwks.json'],
    }),
    issuer: text(2048).meta({ description: 'What iss has to be, to the letter.' }),
    audience: z
      .union([text(2048).transform((one): string[] => [one]), z.array(text(2048)).min(1).max(32)])
      .meta({ description: 'What aud has to be or to have: one text, or a list of which any.' }),
    claims: z
      .record(z.string().min(1).max(256), text(1024))
      .prefault({})
      .meta({
        description: 'Other claims and what each has to be, or to have among its values.',
        examples: [{ plan: 'partner' }],
      }),
    forward: flag().prefault('false').meta({
      description: 'Whether the API gets the token. Default: it ends here.',
    }),
  })
  .meta({ description: 'Tokens (JWT) of an issuer, as Authorization: Bearer.' })

const allow = z.strictObject({
  keys: z
    .array(clientKey)
    .min(1)
    .max(10_000)
    .optional()
    .meta({ description: 'API keys, each by its hash: {name: partner-a, sha256: …}.' }),
  header: z.enum(['authorization', 'x-api-key']).prefault('authorization').meta({
    description: 'Where a key is sent: Authorization: Bearer …, or X-API-Key: ….',
  }),
  jwt: jwt.optional(),
  networks,
  certificates,
})

const deny = z.strictObject({ networks, certificates })

const freeQuota = z.strictObject({
  requests: wholeNumber({ min: 1, max: 100_000_000 }).meta({
    description: 'Requests of each client that are free in each period.',
  }),
  per: z.enum(['hour', 'day', 'month']).meta({ description: 'The period, which begins in UTC.' }),
  by: z
    .enum(['address', 'payer'])
    .prefault('address')
    .meta({
      description:
        'What a client is. address: an IPv4 address, or an IPv6 network of 64 bits. payer: whoever ' +
        'signed the payment, which is left unspent.',
    }),
})

const off = z.literal('off')

export const allowSetting = z.union([off, allow]).meta({
  description:
    'Who need not pay: whoever has a key, a token, an address or a certificate listed here. ' +
    'Default: nobody.',
})

export const denySetting = z.union([off, deny]).meta({
  description: 'Who gets nothing, whatever they pay or have: 403. Default: nobody.',
})

export const freeQuotaSetting = z.union([off, freeQuota]).meta({
  description: 'Requests that are free for everybody before the price begins. Default: none.',
  examples: [{ requests: 100, per: 'day', by: 'address' }],
})

export type AllowSetting = z.output<typeof allowSetting>
export type DenySetting = z.output<typeof denySetting>
export type FreeQuotaSetting = z.output<typeof freeQuotaSetting>
