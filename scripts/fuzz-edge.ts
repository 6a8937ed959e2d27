/** `npm run fuzz:edge -- --seconds 60 [--seed 1]`: ends with 1, and the bytes, on a disagreement. */
import { parseArgs } from 'node:util'
import { fuzzEdge } from '../test/fuzz/edge/differential.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '60' }, seed: { type: 'string' } },
})
const seed = Number(values.seed ?? Date.now() % 0x7fff_ffff)
console.log(`seed ${seed}`)
console.log(JSON.stringify(await fuzzEdge({ seconds: Number(values.seconds), seed })))
