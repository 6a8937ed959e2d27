/**
 * `npm run fuzz:edge -- --seconds 60 [--seed 1] [--http2]`: ends with 1, and with what was sent, on
 * a disagreement.
 */
import { parseArgs } from 'node:util'
import { fuzzEdge } from '../test/fuzz/edge/differential.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    http2: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed ?? Date.now() % 0x7fff_ffff)
const protocol = values.http2 ? 'HTTP/2' : 'HTTP/1.1'
await fuzzEdge({ seconds: Number(values.seconds), seed, protocol })
