import { problemReply } from './answers.ts'
import type { Reply } from './exchange.ts'
import type { Visit } from './house.ts'
import { overRateLimit } from './rate-limits.ts'
import { barHandshake } from './websocket/handshake.ts'

/** Whatever turns a request away before its price is looked at. Null: it may go on. */
export function admit(visit: Visit): Reply | null {
  if (isTooLong(visit)) return problemReply('body_too_large')
  if (visit.route?.access?.denies(visit.exchange)) return problemReply('access_denied')
  return overRateLimit(visit) ?? barHandshake(visit)
}

function isTooLong({ exchange, config }: Visit): boolean {
  return exchange.bodyLength !== null && exchange.bodyLength > config.server.limits.bodyBytes
}
