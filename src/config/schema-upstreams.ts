import { z } from 'zod'
import { duration, text, wholeNumber } from './schema-values.ts'

const headers = z.record(z.string(), z.string().max(16 * 1024)).meta({
  description: `Header names and values. \${VAR} and \${file:/path} keep secrets out of this file.`,
})

const facilitatorFull = z.strictObject({
  url: text(2048).meta({
    description: 'Base URL, or the name of a preset from config/facilitators.yaml.',
  }),
  headers: headers.prefault({}),
  timeout: duration().prefault('10s').meta({
    description: 'How long to wait when a payment is verified.',
  }),
  settleTimeout: duration().prefault('60s').meta({
    description: 'How long to wait when money is moved.',
  }),
})

export const facilitator = z
  .union([
    text(2048)
      .transform((url): z.input<typeof facilitatorFull> => ({ url }))
      .pipe(facilitatorFull),
    facilitatorFull,
  ])
  .meta({ description: 'The name of a preset, a URL, or a map with url and headers.' })

const upstreamFull = z.strictObject({
  url: text(2048).meta({
    description: 'Where the API is, optionally with a path that is put before each request.',
    examples: ['http://localhost:3000'],
  }),
  headers: headers.prefault({}).meta({
    description:
      'Added to every request to the API, such as its key. Never sent to callers, never logged.',
  }),
  connectTimeout: duration()
    .prefault('5s')
    .meta({ description: 'How long a connection may take.' }),
  maxConnections: wholeNumber({ min: 1, max: 65_535 }).prefault('256').meta({
    description: 'Connections kept at most; more requests wait.',
  }),
})

export const upstream = z
  .union([
    text(2048)
      .transform((url): z.input<typeof upstreamFull> => ({ url }))
      .pipe(upstreamFull),
    upstreamFull,
  ])
  .meta({ description: 'A URL, or a map with url and headers.' })

export type FacilitatorSetting = z.output<typeof facilitatorFull>
export type UpstreamSetting = z.output<typeof upstreamFull>
