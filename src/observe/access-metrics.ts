import type { Registry } from 'prom-client'
import type { RequestFinished } from './events.ts'
import { registerCounter } from './kept-metrics.ts'
import { NO_ROUTE } from './request-counts.ts'
import { createSeries, mapValues } from './series.ts'

/** Subjects of tokens are as many as their issuer likes, so that they are not told apart. */
const NO_NAME = ''

export function registerAccess(registry: Registry): (event: RequestFinished) => void {
  const clients = createSeries(() => ({ count: 0 }))
  const refused = createSeries(() => ({ count: 0 }))
  registerCounter(registry, {
    name: 'farebox_known_clients_requests_total',
    help: 'Requests of clients that a key, token, certificate or network names as known.',
    labelNames: ['route', 'by', 'client'],
    entries: () => mapValues(clients.entries(), ({ count }) => count),
  })
  registerCounter(registry, {
    name: 'farebox_credentials_refused_total',
    help: 'Requests with a key or token that is none, by why. They paid, as any other.',
    labelNames: ['route', 'reason'],
    entries: () => mapValues(refused.entries(), ({ count }) => count),
  })
  return ({ route: matched, client, credentialFlaw: reason }) => {
    const route = matched ?? NO_ROUTE
    if (reason !== undefined) {
      refused.at(`${route}\n${reason}`, () => ({ route, reason })).count++
    }
    if (client === undefined) return
    const { by } = client
    const name = by === 'jwt' ? NO_NAME : (client.name ?? NO_NAME)
    clients.at(`${route}\n${by}\n${name}`, () => ({ route, by, client: name })).count++
  }
}
