import { z } from 'zod'
import { adminSetting, formatVersion, retention, storeUrl } from './schema.ts'
import { local } from './schema-local.ts'
import { networks } from './schema-networks.ts'
import { listenAddress, name, text, textOr, wholeNumber } from './schema-values.ts'

const limits = z.strictObject({
  perMinute: wholeNumber({ min: 1, max: 1_000_000 })
    .prefault('600')
    .meta({ description: 'Requests that the key may make in a minute.' }),
  concurrency: wholeNumber({ min: 1, max: 4096 })
    .prefault('64')
    .meta({ description: 'Requests of the key that may run at once.' }),
  maxAmount: text(64)
    .optional()
    .meta({
      description:
        'Most that one payment may move, in US dollars. With it, only payments in tokens that are ' +
        'pegged to the dollar are taken.',
      examples: ['$5'],
    }),
})

const callerKey = z.strictObject({
  name: name.meta({ description: 'Who has the key, in logs, metrics and the ledger.' }),
  sha256: text(64)
    .optional()
    .meta({ description: 'SHA-256 of the key as 64 hex digits, so that the key is not in here.' }),
  key: text(512)
    .optional()
    .meta({ description: `The key itself, as \${VAR} or \${file:/path}, instead of sha256.` }),
  limits: limits.prefault({}).meta({ description: 'What whoever has the key may ask for.' }),
})

const storeFull = z.strictObject({
  url: storeUrl('sqlite:./data/facilitator.db'),
  retention: retention(
    'How long finished settlements are remembered. Payments that could still be used are never ' +
      'forgotten.',
  ),
})

/** The one description of the file of `farebox facilitator`. */
export const facilitatorServiceSchema = z
  .strictObject({
    version: formatVersion,
    listen: listenAddress().prefault('0.0.0.0:8403').meta({
      description: 'Where callers connect: host:port, [::1]:8403, or a port for every interface.',
    }),
    admin: adminSetting('127.0.0.1:9403'),
    local: local.meta({
      description: 'The networks to settle on, and the keys that pay the gas.',
    }),
    keys: z.array(callerKey).max(1_000).meta({
      description: 'Who may ask, each with a bearer key: {name: shop, sha256: …}.',
    }),
    networks: networks.prefault({}),
    store: textOr(2048, storeFull, url => ({ url }))
      .prefault({})
      .meta({ description: 'Where is written down what was asked to be settled, and by whom.' }),
  })
  .meta({ title: 'farebox facilitator configuration' })

/** What the file says, with its defaults. */
export type FacilitatorServiceSettings = z.output<typeof facilitatorServiceSchema>
