/**
 * Preloaded into a gateway that is looked into: asked by a signal, it prints one line, after a
 * collection of garbage, of what lives in its process.
 */
import { queryObjects, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Client, Pool } from 'undici'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void // what the flag puts there

function look(): Record<string, unknown> {
  collect()
  const resources: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
  const { heapUsed, external } = process.memoryUsage()
  return { heapUsed, external, resources }
}

function tell(found: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify({ msg: 'probe', ...found })}\n`)
}

process.on('SIGUSR2', () => tell(look()))
// Walks the whole heap, for which everything else waits.
process.on('SIGWINCH', () => {
  const pools = queryObjects(Pool, { format: 'count' })
  const connections = queryObjects(Client, { format: 'count' })
  tell({ ...look(), pools, connections })
})
