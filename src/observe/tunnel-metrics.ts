import { Counter, Gauge, type Registry } from 'prom-client'
import type { GatewayObserver } from './events.ts'

/** WebSockets are few beside requests, and each is counted twice in its life. */
export function registerTunnels(
  registry: Registry,
): Pick<GatewayObserver, 'tunnelOpened' | 'tunnelClosed'> {
  const registers = [registry]
  const open = new Gauge({
    name: 'farebox_websockets_open',
    help: 'WebSockets that are open.',
    labelNames: ['route'],
    registers,
  })
  const closed = new Counter({
    name: 'farebox_websockets_closed_total',
    help: 'WebSockets that have ended, by who left first or the limit that ended them.',
    labelNames: ['route', 'end'],
    registers,
  })
  const bytes = new Counter({
    name: 'farebox_websocket_bytes_total',
    help: 'Bytes that passed through WebSockets that have ended, frames and all.',
    labelNames: ['route', 'direction'],
    registers,
  })
  return {
    tunnelOpened: ({ route }) => open.inc({ route }),
    tunnelClosed({ route, end, bytesFromClient, bytesToClient }) {
      open.dec({ route })
      closed.inc({ route, end })
      bytes.inc({ route, direction: 'from_client' }, bytesFromClient)
      bytes.inc({ route, direction: 'to_client' }, bytesToClient)
    },
  }
}
