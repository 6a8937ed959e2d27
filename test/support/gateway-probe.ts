/**
 * Preloaded into a gateway that is looked into: on SIGUSR2 it prints one line, after a collection
 * of garbage, of what lives in its process.
 */
import { queryObjects, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Client, Pool } from 'undici'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void // what the flag puts there

process.on('SIGUSR2', () => {
  collect()
  const resources: Record<string, number> = {}
  for (const name of process.getActiveResourcesInfo()) resources[name] = (resources[name] ?? 0) + 1
  const { heapUsed, external } = process.memoryUsage()
  const pools = queryObjects(Pool, { format: 'count' })
  const connections = queryObjects(Client, { format: 'count' })
  const line = { msg: 'probe', heapUsed, external, resources, pools, connections }
  process.stdout.write(`${JSON.stringify(line)}\n`)
})
