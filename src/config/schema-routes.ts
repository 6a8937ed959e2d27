import { z } from 'zod'
import { allowSetting, denySetting, freeQuotaSetting } from './schema-access.ts'
import { rateLimitSetting } from './schema-limits.ts'
import {
  chargeMode,
  corsSetting,
  headerRules,
  redirect,
  respond,
  rewrite,
} from './schema-shaping.ts'
import { duration, name, size, statusRange, text, textOr } from './schema-values.ts'
import { websocket } from './schema-websocket.ts'

export const paymentIdentifier = z.enum(['optional', 'required']).meta({
  description:
    'Whether a payment must carry an id of the caller (x402 extension payment-identifier), by ' +
    'which a retry with a fresh signature is not charged again. Version 1 payments cannot.',
})

const replay = z
  .strictObject({
    for: duration().prefault('10m').meta({
      description: 'How long a paid response is kept. At most 24h.',
    }),
    maxBytes: size({ min: 1, max: 16 * 1024 ** 2 })
      .prefault('1MiB')
      .meta({
        description: 'A longer response is not kept. At most 16MiB.',
      }),
  })
  .meta({
    description:
      'Keeps paid responses in the store and gives them again to the same payment and request.',
    examples: [{ for: '10m', maxBytes: '1MiB' }],
  })

const acceptFull = z.strictObject({
  network: text(128).meta({
    description: 'Network by name or CAIP-2 id: base, base-sepolia, eip155:8453.',
  }),
  asset: text(64).optional().meta({
    description: "Token by symbol or contract address. Default: the network's first, mostly USDC.",
  }),
  scheme: z.literal('exact').prefault('exact').meta({
    description: 'How is paid: exact is one fixed amount per request.',
  }),
  payTo: text(128).optional().meta({ description: 'Who is paid, instead of the payTo above.' }),
  via: z
    .literal('circle-gateway')
    .optional()
    .meta({
      description:
        "Paid from the caller's balance at Circle Gateway, in USDC, instead of on chain. Needs " +
        'settle: before-upstream, and a facilitator that is Circle Gateway.',
    }),
  maxTimeout: duration({ min: 1000, max: 24 * 3_600_000 })
    .prefault('120s')
    .meta({
      description:
        'How long a payment is good for. At least 16 seconds more than the time-out of the route.',
    }),
})

export const accepts = z
  .array(
    textOr(128, acceptFull, network => ({ network })).meta({
      description: 'The name of a network, or a map with network and asset.',
    }),
  )
  .min(1)
  .meta({
    description: 'How callers may pay: a list of networks, best first.',
    examples: [['base-sepolia']],
  })

const price = z
  .union([z.string(), z.record(z.string(), z.string().meta({ type: ['string', 'number'] }))])
  .meta({
    description:
      '"$0.001" in US dollars, free, or whole tokens per asset like {USDC: "0.001"}. ' +
      'Never finer than the token can carry.',
    examples: ['$0.001', 'free', { USDC: '0.001' }],
  })

const routeFull = z.strictObject({
  price,
  upstream: name.optional().meta({
    description: 'Name of an entry of upstreams. May be left out when there is one.',
  }),
  accepts: accepts.optional().meta({ description: 'How callers may pay for this route.' }),
  description: text(1024).optional().meta({ description: 'What the caller gets, in the 402.' }),
  mimeType: z
    .string()
    .regex(/^[\w.+-]+\/[\w.+-]+(?: *; *[\w.+-]+=[\w.+"-]+)*$/)
    .max(256)
    .optional()
    .meta({
      description: 'Media type of the response, in the 402.',
      examples: ['application/json'],
    }),
  settle: z
    .enum(['on-response', 'before-upstream'])
    .prefault('on-response')
    .meta({
      description:
        'When money moves. on-response: when the API answers and the answer is billable. ' +
        'before-upstream: before the API hears of the request.',
    }),
  billable: z
    .array(statusRange())
    .min(1)
    .prefault(['2xx', '301-303', '307', '308'])
    .meta({
      description:
        'Statuses of the API that are charged for: 2xx, 404, 200-299. Default: successes and ' +
        'redirects, not 304.',
    }),
  timeout: duration().prefault('30s').meta({
    description: 'How long the API may take until its answer begins.',
  }),
  cors: corsSetting.optional(),
  rewrite: rewrite.optional(),
  headers: headerRules.optional(),
  respond: respond.optional(),
  redirect: redirect.optional(),
  mode: chargeMode.optional(),
  allow: allowSetting.optional(),
  deny: denySetting.optional(),
  freeQuota: freeQuotaSetting.optional(),
  replay: replay.optional(),
  websocket: websocket.optional(),
  paymentIdentifier: paymentIdentifier.optional(),
  rateLimit: rateLimitSetting.optional(),
})

export const route = textOr(256, routeFull, price => ({ price })).meta({
  description: 'A price, or a map with the price and what else the route needs.',
})

export type AcceptSetting = z.output<typeof acceptFull>
export type RouteSetting = z.output<typeof routeFull>
