import { z } from 'zod'
import { duration, flag, size, wholeNumber } from './schema-values.ts'

const DAY_MS = 24 * 3_600_000

const limits = z.strictObject({
  maxDuration: duration({ min: 1_000, max: 7 * DAY_MS })
    .prefault('1h')
    .meta({ description: 'How long a WebSocket may stay open. At most 7d.' }),
  maxBytes: size({ min: 1, max: 1024 ** 4 })
    .prefault('100MiB')
    .meta({ description: 'How much may pass through it, both ways together.' }),
  idleTimeout: duration({ min: 1_000, max: DAY_MS })
    .prefault('60s')
    .meta({ description: 'How long nothing may come from either side; pings count.' }),
  maxOpen: wholeNumber({ min: 1, max: 100_000 })
    .prefault('1000')
    .meta({ description: 'WebSockets that may be open at once, in each process.' }),
})

/** Null: handshakes are forwarded as plain requests. */
export const websocket = z
  .union([flag().transform(isOn => (isOn ? limits.parse({}) : null)), limits])
  .meta({
    description:
      'Whether WebSocket handshakes open a tunnel to the API. The price is that of the handshake. ' +
      'Default: false.',
    examples: ['true', { maxDuration: '1h', maxBytes: '100MiB', idleTimeout: '60s' }],
  })

export type WebSocketSetting = z.output<typeof websocket>
