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
})

/** undici's, of upstreams and facilitators: a pool for each, a client for each connection. */
const objectsSchema = insideSchema.extend({ pools: z.number(), connections: z.number() })

const ANSWER_MS_MAX = 20_000

/** What lives in the gateway's process now. It collects its garbage for that. */
export async function lookInside(gateway: ChildGateway): Promise<z.output<typeof insideSchema>> {
  return insideSchema.parse(await ask(gateway, 'SIGUSR2'))
}

/** The same, with objects counted, for which the gateway stands still a while. */
export async function countInside(gateway: ChildGateway): Promise<z.output<typeof objectsSchema>> {
  return objectsSchema.parse(await ask(gateway, 'SIGWINCH'))
}

async function ask({ logs, pid }: ChildGateway, signal: NodeJS.Signals): Promise<unknown> {
  const before = logs.length
  process.kill(pid, signal)
  const until = performance.now() + ANSWER_MS_MAX
  while (performance.now() < until) {
    const line = logs.slice(before).find(({ msg }) => msg === 'probe')
    if (line !== undefined) return line
    await sleep(20)
  }
  throw new Error('The gateway does not tell what is inside.')
}
