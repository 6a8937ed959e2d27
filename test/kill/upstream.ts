import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type LocalServer, serveLocally } from '../support/json-server.ts'
import type { Moments } from './moments.ts'
import { contentOf, type Order } from './order.ts'

export interface UpstreamParts {
  readonly moments: Moments
  find(id: string): Order | undefined
  /** True once nothing fails or dawdles any more. */
  isCalm(): boolean
}

const DAWDLES_MS = 120
const BETWEEN_PIECES_MS = 12

/** The API that is sold: it has never heard of payments. */
export function startUpstream({ moments, find, isCalm }: UpstreamParts): Promise<LocalServer> {
  const running = new Map<string, number>()
  return serveLocally(async (request, response) => {
    const [, , id = ''] = (request.url ?? '').split('/')
    const order = find(id)
    if (order === undefined) return void response.writeHead(404).end()
    const { plan, executions } = order
    const generation = Number(request.headers['x-generation'])
    const one = `${generation} ${id}`
    const already = running.get(one) ?? 0
    running.set(one, already + 1)
    response.once('close', () => running.set(one, (running.get(one) ?? 1) - 1))
    const fails = plan.upstream === 'fails once' && executions.length === 0 && !isCalm()
    executions.push({ generation, status: fails ? 500 : 200, overlaps: already > 0 })
    moments.tell('upstream asked', order)
    request.resume()
    if (plan.upstream === 'dawdles' && !isCalm()) await sleep(DAWDLES_MS)
    if (fails) return void response.writeHead(500).end('out of order')
    await send(response, contentOf(plan), () => moments.tell('upstream answered', order))
  })
}

async function send(
  response: ServerResponse,
  pieces: readonly string[],
  onHead: () => void,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.write(pieces[0] ?? '')
  onHead()
  for (const piece of pieces.slice(1)) {
    await sleep(BETWEEN_PIECES_MS)
    if (response.destroyed) return
    response.write(piece)
  }
  response.end()
}
