import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import type { ChildGateway } from './child-gateway.ts'

/** For `startChildGateway`: a gateway that can be looked into. */
export const PROBE = fileURLToPath(new URL('./gateway-probe.ts', import.meta.url))

const insideSchema = z.object({
  msg: z.literal('probe'),
  heapUsed: z.number(),
  external: z.number(),
  /** What keeps the process busy, by kind, as `process.getActiveResourcesInfo` names it. */
  resources: z.record(z.string(), z.number()),
  /** undici's, of upstreams and facilitators: a pool for each, a client for each connection. */
  pools: z.number(),
  connections: z.number(),
})

export type Inside = z.output<typeof insideSchema>

const ANSWER_MS_MAX = 20_000

/** What lives in the gateway's process now. It collects its garbage for that. */
export async function lookInside(gateway: ChildGateway): Promise<Inside> {
  const { logs, pid } = gateway
  const before = logs.length
  process.kill(pid, 'SIGUSR2')
  const until = performance.now() + ANSWER_MS_MAX
  while (performance.now() < until) {
    const line = logs.slice(before).find(({ msg }) => msg === 'probe')
    if (line !== undefined) return insideSchema.parse(line)
    await sleep(20)
  }
  throw new Error('The gateway does not tell what is inside.')
}
