import { z } from 'zod'
import { duration, text } from './schema-values.ts'

export const upstreamHealth = z
  .strictObject({
    path: text(2048).meta({
      description:
        'What is asked for, on the server itself: the path of url is not put before it. Something ' +
        'that costs nothing to answer.',
      examples: ['/healthz'],
    }),
    interval: duration({ min: 1_000, max: 3_600_000 }).prefault('10s').meta({
      description: 'How long between two checks of a server.',
    }),
    timeout: duration({ min: 1, max: 60_000 }).prefault('2s').meta({
      description: 'How long the answer may take.',
    }),
  })
  .meta({
    description:
      'Checks each server with a GET of its own. Two in a row that fail, or answer with 4xx or 5xx, ' +
      'take it out of use; one that succeeds brings it back.',
  })
