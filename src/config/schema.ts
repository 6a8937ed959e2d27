import { z } from 'zod'
import { allowSetting, denySetting, freeQuotaSetting } from './schema-access.ts'
import { limitsSetting, rateLimitSetting } from './schema-limits.ts'
import { networks } from './schema-networks.ts'
import { accepts, paymentIdentifier, route } from './schema-routes.ts'
import { chargeMode, corsSetting, defaultRewrite, headerRules } from './schema-shaping.ts'
import { http2, tls } from './schema-tls.ts'
import { facilitator, upstream } from './schema-upstreams.ts'
import { duration, listenAddress, name, size, text, textOr, wholeNumber } from './schema-values.ts'

const KIB = 1024

const limits = z.strictObject({
  headerBytes: size({ min: KIB, max: KIB ** 2 })
    .prefault('16KiB')
    .meta({
      description: 'Most that the headers of a request may take.',
    }),
  bodyBytes: size({ min: 0, max: 1024 * KIB ** 3 })
    .prefault('10MiB')
    .meta({
      description: 'Most that the body of a request may take.',
    }),
  requestTimeout: duration().prefault('60s').meta({
    description: 'How long a caller may take to send a request.',
  }),
  minReplyRate: size({ min: 0, max: KIB ** 2 })
    .prefault('240B')
    .meta({
      description:
        'What a caller takes of a reply in a second at least, on average, while it is what the ' +
        'reply waits for; 0B: any pace.',
    }),
  connections: wholeNumber({ min: 1, max: 1_000_000 }).prefault('10000').meta({
    description: 'Connections of callers at once, for each worker; more are closed at once.',
  }),
})

const server = z.strictObject({
  listen: listenAddress().prefault('0.0.0.0:8402').meta({
    description: 'Where callers connect: host:port, [::1]:8402, or a port for every interface.',
  }),
  tls: tls.optional(),
  http2,
  publicUrl: text(2048)
    .optional()
    .meta({
      description: 'How callers reach the gateway. Default: as the request says.',
      examples: ['https://api.example.com'],
    }),
  hosts: z
    .array(text(255))
    .min(1)
    .optional()
    .meta({
      description:
        'Host names that callers may ask for, without ports; ["*"]: any. Others are refused with ' +
        '421. Default: the host of publicUrl where there is one, else any.',
      examples: [['api.example.com']],
    }),
  trustedProxies: z
    .array(text(64))
    .prefault([])
    .meta({
      description:
        "Addresses or CIDR ranges whose X-Forwarded-* headers are believed. Default: nobody's.",
      examples: [['10.0.0.0/8']],
    }),
  limits: limits.prefault({}).meta({ description: 'What is refused for being too large or slow.' }),
  drainTimeout: duration().prefault('30s').meta({
    description: 'How long requests in flight may take to end after SIGTERM.',
  }),
  workers: wholeNumber({ min: 1, max: 64 }).prefault('1').meta({
    description:
      'Processes that share the listener and the store, so that more than one core is used.',
  }),
})

/** @param listen Where it listens unless the file says otherwise. */
export const adminSetting = (listen: string) =>
  z
    .union([
      z.literal('off'),
      z.strictObject({
        listen: listenAddress().prefault(listen).meta({
          description: 'host:port, as for callers.',
        }),
      }),
    ])
    .prefault({})
    .meta({
      description: 'Where metrics and health are served: {listen: …}, or off. Not for the public.',
    })

export const formatVersion = z.enum(['1']).meta({
  description: 'Version of this format. Always 1.',
  type: ['integer', 'string'],
  enum: [1, '1'],
})

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** @param url Of the store unless the file says otherwise. */
export const storeUrl = (url: string) =>
  text(2048)
    .prefault(url)
    .meta({
      description:
        'sqlite: and a path from the directory of this file, sqlite::memory:, or postgres://… for ' +
        'many gateways on one database.',
    })

export const retention = (description: string) =>
  duration({ min: HOUR_MS, max: 3650 * DAY_MS })
    .prefault('90d')
    .meta({ description })

const storeFull = z.strictObject({
  url: storeUrl('sqlite:./data/farebox.db'),
  redeemable: duration({ min: 1000, max: 365 * DAY_MS })
    .prefault('24h')
    .meta({
      description:
        'How long a payment that was settled, and whose response was not delivered, may be sent ' +
        'again for its response.',
    }),
  retention: retention(
    'How long finished payments are remembered for reports. Those that could be used again are ' +
      'never forgotten.',
  ),
})

/**
 * The one description of the configuration file: its keys, their types, their defaults and what
 * they mean. The published JSON Schema and the messages for unknown keys come from it. Whether
 * names, prices and addresses make sense together is for check.ts to say.
 */
export const gatewaySchema = z
  .strictObject({
    version: formatVersion,
    payTo: z
      .union([
        text(128),
        z.strictObject({
          evm: text(128)
            .optional()
            .meta({ description: 'The address that is paid on EVM networks.' }),
          solana: text(128).optional().meta({ description: 'The wallet that is paid on Solana.' }),
        }),
      ])
      .optional()
      .meta({
        description: 'The address that is paid, or a map with one for each kind of network.',
      }),
    accepts: accepts.optional(),
    facilitators: z
      .array(facilitator)
      .min(1)
      .optional()
      .meta({
        description: 'Who verifies and settles payments, tried in this order: presets or URLs.',
        examples: [['x402-org']],
      }),
    upstreams: z.record(name, upstream).meta({
      description: 'The APIs behind the gateway, by a name of your choice.',
    }),
    routes: z.record(z.string().min(1).max(2048), route).meta({
      description:
        'What may be called, and its price: "GET /v1/weather/{city}": $0.001. What is not listed ' +
        'is refused. {name} is one segment, a trailing /* is the rest.',
    }),
    server: server.prefault({}).meta({ description: 'The listener that callers talk to.' }),
    admin: adminSetting('127.0.0.1:9402'),
    store: textOr(2048, storeFull, url => ({ url }))
      .prefault({})
      .meta({ description: 'Where is remembered which payments were used.' }),
    networks: networks.prefault({}),
    cors: corsSetting.prefault('off'),
    rewrite: defaultRewrite.optional(),
    headers: headerRules.prefault({}),
    mode: chargeMode.prefault('enforce'),
    allow: allowSetting.optional(),
    deny: denySetting.optional(),
    freeQuota: freeQuotaSetting.optional(),
    paymentIdentifier: paymentIdentifier.prefault('optional'),
    limits: limitsSetting.prefault({}),
    rateLimit: rateLimitSetting.prefault('off'),
  })
  .meta({ title: 'farebox configuration' })

/** What the file says, with its defaults. */
export type Settings = z.output<typeof gatewaySchema>
