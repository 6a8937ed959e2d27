import type { Duplex } from 'node:stream'
import type { WebSocketConfig } from '../../config/websocket-config.ts'
import type { Clock } from '../../core/time.ts'
import type { GatewayObserver } from '../../observe/events.ts'
import type { ReplyStream } from '../exchange.ts'
import type { ProblemCode } from '../problems.ts'
import { Tunnel } from './tunnel.ts'

/** The WebSockets that are open. */
export interface Tunnels {
  /** Why no handshake may be taken for a route; null: one may. */
  bars(route: string, limits: WebSocketConfig): ProblemCode | null
  /** What follows an upstream's 101. Null: as many are open as may be. */
  open(upstream: Duplex, terms: TunnelTerms): ReplyStream | null
  /** Takes none any more and tells those that are open to end, which takes seconds at most. */
  close(): void
}

export interface TunnelTerms {
  readonly requestId: string
  /** As the YAML writes it. */
  readonly route: string
  readonly clientAddress: string
  readonly limits: WebSocketConfig
}

export interface TunnelsParts {
  readonly observer: Pick<GatewayObserver, 'tunnelOpened' | 'tunnelClosed'>
  readonly clock: Clock
}

/** A tunnel is of no generation: it goes on over reloads, by the limits that it began with. */
export function createTunnels({ observer, clock }: TunnelsParts): Tunnels {
  const byRoute = new Map<string, Set<Tunnel>>()
  let isClosing = false
  const bars: Tunnels['bars'] = (route, { openMax }) => {
    if (isClosing) return 'shutting_down'
    return (byRoute.get(route)?.size ?? 0) >= openMax ? 'too_many_tunnels' : null
  }
  return {
    bars,
    open(upstream, { requestId, route, clientAddress, limits }) {
      if (bars(route, limits) !== null) return null
      let openedAt: number | null = null
      const tunnel = new Tunnel({
        upstream,
        limits,
        onOpen() {
          openedAt = clock()
          observer.tunnelOpened({ route })
        },
        onEnd(end, traffic) {
          leave(route, tunnel)
          if (openedAt === null) return
          const durationMs = clock() - openedAt
          observer.tunnelClosed({ requestId, route, clientAddress, end, durationMs, ...traffic })
        },
      })
      const open = byRoute.get(route) ?? new Set()
      byRoute.set(route, open.add(tunnel))
      return tunnel
    },
    close() {
      isClosing = true
      for (const open of byRoute.values()) for (const tunnel of open) tunnel.close('shutting_down')
    },
  }

  function leave(route: string, tunnel: Tunnel): void {
    const open = byRoute.get(route)
    open?.delete(tunnel)
    if (open?.size === 0) byRoute.delete(route)
  }
}
