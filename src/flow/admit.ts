import { problemReply } from './answers.ts'
import type { Reply } from './exchange.ts'
import type { Visit } from './house.ts'

/** Whatever turns a request away before its price is looked at. Null: it may go on. */
export function admit(visit: Visit): Reply | null {
  if (isTooLong(visit)) return problemReply('body_too_large')
  return null
}

function isTooLong({ exchange, config }: Visit): boolean {
  return exchange.bodyLength !== null && exchange.bodyLength > config.server.limits.bodyBytes
}
