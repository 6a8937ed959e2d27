import type { EventEmitter } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Connections } from './connections.ts'
import type { Arrival } from './exchange.ts'
import { UpgradeExchange } from './upgrade-exchange.ts'

export interface Upgrades {
  /** Cuts off whatever is still open on connections that were taken over. */
  destroyAll(): void
}

export interface UpgradeParts {
  readonly connections: Connections
  readonly arrival: () => Arrival
  /** Never rejects. */
  readonly serve: (exchange: UpgradeExchange) => void
}

/**
 * Takes the requests that ask to change protocols from a server, whatever carries its connections:
 * without these listeners node:http would answer an Upgrade as any request, and drop a CONNECT.
 */
export function takeUpgrades(server: EventEmitter, parts: UpgradeParts): Upgrades {
  const taken = new Set<Duplex>()
  const take = (request: IncomingMessage, _stream: Duplex, early: Buffer): void => {
    const { socket } = request
    // Answers that are still owed would come behind a 101.
    if (!parts.connections.leave(socket) || socket.destroyed) {
      socket.destroy()
      return
    }
    taken.add(socket)
    socket.once('close', () => taken.delete(socket))
    parts.serve(new UpgradeExchange(request, early, parts.arrival()))
  }
  server.on('upgrade', take)
  server.on('connect', take)
  return {
    destroyAll() {
      for (const socket of taken) socket.destroy()
    },
  }
}
