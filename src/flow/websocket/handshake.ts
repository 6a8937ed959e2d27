import type { UpstreamOutcome, UpstreamRequest } from '../../upstream/upstream.ts'
import { problemReply } from '../answers.ts'
import type { Reply } from '../exchange.ts'
import type { Visit } from '../house.ts'
import type { Route } from '../route.ts'

/** Turns a handshake away that could not be kept open. Null: there is room, or it is none. */
export function barHandshake({ exchange, route, house }: Visit): Reply | null {
  if (!exchange.isHandshake || route === null || route.websocket === null) return null
  const code = house.tunnels.bars(route.key, route.websocket)
  return code === null ? null : problemReply(code)
}

/**
 * Asks the upstream to change protocols. Its 101 is a response like any other, charged for before
 * the client has it, and its body is the tunnel. On routes without WebSocket a handshake is a plain
 * request.
 */
export async function forwardRequest(
  { exchange, house }: Visit,
  route: Route,
  request: UpstreamRequest,
  signalAbort: (abort: () => void) => void,
): Promise<UpstreamOutcome> {
  const { websocket: limits, upstream, key } = route
  if (!exchange.isHandshake || limits === null) return upstream.send(request, signalAbort)
  const outcome = await upstream.upgrade(request, signalAbort)
  if (outcome.kind !== 'upgraded') return outcome
  const { connection, headers } = outcome
  const { requestId, clientAddress } = exchange
  const body = house.tunnels.open(connection, { requestId, route: key, clientAddress, limits })
  if (body !== null) return { kind: 'response', status: 101, headers, body }
  connection.destroy()
  return { kind: 'unreachable', detail: 'TOO_MANY_TUNNELS' }
}
